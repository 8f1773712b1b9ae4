/**
 * Sweeps Redis: ghosts in the switch's sets, what is left of expired leases, and leases of sessions
 * that have ended. One replica does it at a time.
 */
import type { SweepResult } from '../../../schemas/counts.ts'
import { ServiceError } from '../../errors.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys, UserFamily } from '../../redis/keys.ts'
import { keyspaces, scanSteps } from '../../redis/scan.ts'
import { SharedWork } from '../../util/shared-work.ts'
import { throttled } from '../../util/throttled.ts'
import type { OnSwept, Sweeper } from '../session-lists.ts'
import { dropEnded } from './ended-leases.ts'
import { purge, removeExpired } from './node-index.ts'
import { RedisGhosts } from './redis-ghosts.ts'
import type { ReleasesFrom } from './release-script.ts'

/** The most leases that one script call removes. */
const BATCH = 200
/** The most keys that one step looks at: a millisecond or two of this process and of Redis. */
const STEP_KEYS = 100
/**
 * How much of the interval a claim is held: less than all of it, so that the same replica can claim
 * the next sweep.
 */
const CLAIMED = 0.9

/** Walks over all users; what one step holds in memory is bounded. */
export class RedisSweep implements Sweeper {
  #executor: RedisExecutor
  #keys: RedisKeys
  #ghosts: RedisGhosts
  #store: ReleasesFrom
  #onSwept: OnSwept
  /** Sweeps under way, by the share of the time that they take: there are two. */
  #sweeps = new Map<number, SharedWork<SweepResult>>()

  /** @param onSwept - told of each lease, once it is removed */
  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    store: ReleasesFrom,
    onSwept: OnSwept = () => {}
  ) {
    this.#executor = executor
    this.#keys = keys
    this.#ghosts = new RedisGhosts(executor, keys)
    this.#store = store
    this.#onSwept = onSwept
  }

  async sweep (share: number, isGone?: () => boolean): Promise<SweepResult> {
    let shared = this.#sweeps.get(share)
    if (shared === undefined) {
      shared = new SharedWork(async (allGone) => await this.#sweep(share, allGone))
      this.#sweeps.set(share, shared)
    }
    return await shared.result(isGone)
  }

  async #sweep (share: number, allGone: () => boolean): Promise<SweepResult> {
    const result = { users: 0, removed: 0 }
    const steps = scanSteps(
      {
        sources: keyspaces(this.#executor, this.#keys.sweptPattern, (key) => key),
        load: async (keys) => await this.#sweepKeys(keys)
      },
      STEP_KEYS
    )
    for await (const removed of throttled(steps, share)) {
      result.users += removed.length
      for (const ghosts of removed) result.removed += ghosts
      if (allGone()) throw new ServiceError('too_many_requests', 'The caller has hung up.')
    }
    return result
  }

  async claimSweep (forMs: number) {
    const { client } = this.#executor
    const heldMs = Math.ceil(forMs * CLAIMED)
    return (
      (await this.#executor.run(client.set(this.#keys.sweepLock, '1', 'PX', heldMs, 'NX'))) === 'OK'
    )
  }

  async keepSweep (forMs: number) {
    await this.#executor.run(
      this.#executor.client.pexpire(this.#keys.sweepLock, Math.ceil(forMs * CLAIMED))
    )
  }

  /** How many ghosts were removed, for each key of the switch. */
  async #sweepKeys (keys: string[]): Promise<number[]> {
    const namesOf = (family: UserFamily) =>
      keys.flatMap((key) => this.#keys.usernameOf(family, key) ?? [])
    const leaseholders = namesOf('user-leases')
    const nodes = keys.flatMap((key) => this.#keys.leasesNodeOf(key) ?? [])
    const [ghosts] = await Promise.all([
      Promise.all(
        namesOf('user-sessions').map(async (username) => await this.#ghosts.remove(username))
      ),
      this.#keys.cluster
        ? Promise.all(leaseholders.map(async (username) => await this.#purge([username])))
        : this.#purge(leaseholders),
      this.#purgeNodes(nodes),
      this.#dropEnded(leaseholders)
    ])
    return ghosts
  }

  /** Leases that have expired, in the indexes of nodes. */
  async #purgeNodes (nodes: string[]): Promise<void> {
    for (const node of nodes) await removeExpired(this.#executor, this.#keys.nodeLeases(node))
  }

  /** One script call for all of them, in place of one for each. */
  async #purge (usernames: string[]): Promise<void> {
    if (usernames.length === 0) return
    const keys = usernames.map((username) => this.#keys.user('user-leases', username))
    let purged: string[][]
    do {
      purged = await purge(this.#executor, keys, BATCH)
      purged.forEach((ids, i) => {
        if (ids.length > 0) this.#onSwept('expired', usernames[i] ?? '', ids)
      })
    } while (purged.flat().length === BATCH)
  }

  async #dropEnded (usernames: string[]): Promise<void> {
    const parts = { executor: this.#executor, keys: this.#keys, store: this.#store }
    for (const [username, ids] of await dropEnded(parts, usernames)) {
      this.#onSwept('released', username, ids)
    }
  }
}
