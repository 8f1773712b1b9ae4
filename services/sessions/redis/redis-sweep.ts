/**
 * Sweeps what others would trip over: ghosts in the switch's sets, and what is left of expired
 * leases.
 */
import type { SweepResult } from '../../../schemas/counts.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import { throttled } from '../../util/throttled.ts'
import type { RedisKeys, UserFamily } from '../../redis/keys.ts'
import { keyspaces, scanSteps } from '../../redis/scan.ts'

/** The most sessions that one script call looks at. */
const BATCH = 200
/** The most keys that one step looks at: a millisecond or two of this process and of Redis. */
const STEP_KEYS = 100

/** Walks over all users; what one step holds in memory is bounded. */
export class RedisSweep {
  #executor: RedisExecutor
  #keys: RedisKeys

  constructor (executor: RedisExecutor, keys: RedisKeys) {
    this.#executor = executor
    this.#keys = keys
  }

  /** Sweeps every user once, taking at most `share` of the time. */
  async run (share: number): Promise<SweepResult> {
    const result = { users: 0, removed: 0 }
    const steps = scanSteps(
      {
        sources: keyspaces(this.#executor, this.#keys.userSessionsPattern, (key) => key),
        load: async (keys) => await this.#sweepKeys(keys)
      },
      STEP_KEYS
    )
    for await (const removed of throttled(steps, share)) {
      result.users += removed.length
      for (const ghosts of removed) result.removed += ghosts
    }
    return result
  }

  /**
   * Removes the ghosts of one user; returns how many there were. A key of another type has no
   * members.
   */
  async removeGhosts (username: string): Promise<number> {
    const key = this.#keys.user('user-sessions', username)
    let [cursor, removed] = ['0', 0]
    do {
      const [next, members] = await this.#executor.or<[string, string[]]>(
        ['0', []],
        this.#executor.run(this.#executor.client.sscan(key, cursor, 'COUNT', BATCH))
      )
      for (let i = 0; i < members.length; i += BATCH) {
        removed += await this.#remove(key, members.slice(i, i + BATCH))
      }
      cursor = next
    } while (cursor !== '0')
    return removed
  }

  /** How many ghosts were removed, for each key of the switch. */
  async #sweepKeys (keys: string[]): Promise<number[]> {
    const namesOf = (family: UserFamily) =>
      keys.flatMap((key) => this.#keys.usernameOf(family, key) ?? [])
    const leaseholders = namesOf('user-leases')
    const [ghosts] = await Promise.all([
      Promise.all(
        namesOf('user-sessions').map(async (username) => await this.removeGhosts(username))
      ),
      this.#keys.cluster
        ? Promise.all(leaseholders.map(async (username) => await this.#purge([username])))
        : this.#purge(leaseholders)
    ])
    return ghosts
  }

  /** One script call for all of them, in place of one for each. */
  async #purge (usernames: string[]): Promise<void> {
    if (usernames.length === 0) return
    const keys = usernames.map((username) => this.#keys.user('user-leases', username))
    const args = [
      BATCH,
      this.#keys.leasePrefix(usernames[0] ?? ''),
      this.#keys.nodeLeasesPrefix,
      ...usernames
    ]
    let purged: string[][]
    do purged = (await this.#executor.run(this.#executor.scripts.purge(keys, args))) as string[][]
    while (purged.flat().length === BATCH)
  }

  async #remove (key: string, members: string[]): Promise<number> {
    if (this.#keys.cluster) return await this.#removeInCluster(key, members)
    const sessions = members.map((member) => this.#keys.session(member))
    return (await this.#executor.run(
      this.#executor.scripts.sweepGhosts([key, ...sessions], members)
    )) as number
  }

  /**
   * A session lies in another slot than its user's set, so that looking and removing are two steps:
   * twice gone is gone.
   */
  async #removeInCluster (key: string, members: string[]): Promise<number> {
    const once = await this.#gone(members)
    const twice = once.length === 0 ? [] : await this.#gone(once)
    return twice.length === 0
      ? 0
      : await this.#executor.run(this.#executor.client.srem(key, ...twice))
  }

  async #gone (members: string[]): Promise<string[]> {
    const exist = await this.#executor.run(
      Promise.all(
        members.map(
          async (member) => await this.#executor.client.exists(this.#keys.session(member))
        )
      )
    )
    return members.filter((_member, i) => exist[i] === 0)
  }
}
