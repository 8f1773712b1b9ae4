/** Sweeps what others would trip over: ghosts in the switch's sets, and what is left of expired leases. */
import type { SweepResult } from '../../schemas/counts.ts'
import type { RedisGate } from '../redis/redis-gate.ts'
import type { RedisKeys } from '../redis/redis-keys.ts'
import { keyspaces, scanAll } from '../redis/redis-scan.ts'

/** The most sessions one script call looks at. */
const BATCH = 200

/** Walks over all users; what one step holds in memory is bounded. */
export class RedisSweep {
  #gate: RedisGate
  #keys: RedisKeys

  constructor (gate: RedisGate, keys: RedisKeys) {
    this.#gate = gate
    this.#keys = keys
  }

  /** Sweeps every user once. */
  async run (): Promise<SweepResult> {
    const result = { users: 0, removed: 0 }
    const sweeps = scanAll({
      sources: keyspaces(this.#gate, this.#keys.userSessionsPattern, (key) => key),
      load: async (keys) => await Promise.all(keys.map(async (key) => await this.#sweepKey(key)))
    })
    for await (const batch of sweeps) {
      for (const removed of batch) {
        if (removed !== undefined) result.users++
        result.removed += removed ?? 0
      }
    }
    return result
  }

  /** Removes the ghosts of one user; returns how many there were. A key of another type has no members. */
  async removeGhosts (username: string): Promise<number> {
    const key = this.#keys.user('user-sessions', username)
    let [cursor, removed] = ['0', 0]
    do {
      const [next, members] = await this.#gate.or<[string, string[]]>(['0', []],
        this.#gate.ask(this.#gate.client.sscan(key, cursor, 'COUNT', BATCH)))
      for (let i = 0; i < members.length; i += BATCH) removed += await this.#remove(key, members.slice(i, i + BATCH))
      cursor = next
    } while (cursor !== '0')
    return removed
  }

  /** Ghosts removed, for a key of the switch; undefined for one of ours. */
  async #sweepKey (key: string): Promise<number | undefined> {
    const username = this.#keys.usernameOf('user-sessions', key)
    if (username !== undefined) return await this.removeGhosts(username)
    const leaseholder = this.#keys.usernameOf('user-leases', key)
    if (leaseholder !== undefined) await this.#purge(leaseholder)
    return undefined
  }

  async #purge (username: string): Promise<void> {
    let purged: string[]
    do {
      purged = await this.#gate.ask(this.#gate.scripts.purge(
        [this.#keys.user('user-leases', username)],
        [username, BATCH, this.#keys.leasePrefix(username), this.#keys.nodeLeasesPrefix])) as string[]
    } while (purged.length === BATCH)
  }

  async #remove (key: string, members: string[]): Promise<number> {
    if (this.#keys.cluster) return await this.#removeInCluster(key, members)
    const sessions = members.map((member) => this.#keys.session(member))
    return await this.#gate.ask(this.#gate.scripts.sweepGhosts([key, ...sessions], members)) as number
  }

  /** A session lies in another slot than its user's set, so that looking and removing are two steps: twice gone is gone. */
  async #removeInCluster (key: string, members: string[]): Promise<number> {
    const once = await this.#gone(members)
    const twice = once.length === 0 ? [] : await this.#gone(once)
    return twice.length === 0 ? 0 : await this.#gate.ask(this.#gate.client.srem(key, ...twice))
  }

  async #gone (members: string[]): Promise<string[]> {
    const exist = await this.#gate.ask(Promise.all(members.map(async (member) =>
      await this.#gate.client.exists(this.#keys.session(member)))))
    return members.filter((_member, i) => exist[i] === 0)
  }
}
