/**
 * Limits that can be read while Redis is away, as they were last seen; the answer says so. Writes
 * need Redis.
 */
import type { TemporaryLimitChange } from '../../schemas/limits.ts'
import { ServiceError } from '../errors.ts'
import type { Bar } from '../limits/bar.ts'
import type { LimitInForce } from '../limits/limit-value.ts'
import type { LimitsStore } from '../limits/limits-store.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import type { LimitCache } from './limit-cache.ts'
import { redisAway, type RetryOnce } from './retry-once.ts'
import type { Shards } from './shards.ts'
import { isUnavailable } from './unavailable.ts'

/** How many users' limits are written at once in a Cluster. */
const USERS_AT_ONCE = 32

/** Asks the store, and falls back on what is known for the limit of one user. */
export class ResilientLimitsStore implements LimitsStore {
  #store: LimitsStore
  #known: LimitCache
  #retry: RetryOnce
  #shards: Shards

  constructor (store: LimitsStore, known: LimitCache, retry: RetryOnce, shards: Shards) {
    this.#store = store
    this.#known = known
    this.#retry = retry
    this.#shards = shards
  }

  /**
   * @throws ServiceError `store_unavailable` when Redis is away and nothing is known of this user:
   * no default is made up
   */
  async getLimit (username: string): Promise<LimitInForce> {
    try {
      const limit = await this.#retry.ask(
        username,
        async () => await this.#store.getLimit(username)
      )
      this.#known.see(limit)
      return limit
    } catch (error) {
      const staleMs = this.#known.ageMs(username)
      if (!isUnavailable(error) || staleMs === undefined) throw error
      return { ...this.#known.limitNow(username), degraded: true, staleMs }
    }
  }

  async setLimit (username: string, limit: number) {
    await this.#retry.ask(username, async () => await this.#store.setLimit(username, limit))
    this.#known.seeOwn(username, limit)
  }

  async removeLimit (username: string) {
    const removed = await this.#retry.ask(
      username,
      async () => await this.#store.removeLimit(username)
    )
    this.#known.seeOwn(username, undefined)
    return removed
  }

  async setLimits (limits: Record<string, number | null>) {
    const result = this.#shards.areOne
      ? await this.#retry.askMuch('', async () => await this.#store.setLimits(limits))
      : await this.#setLimitsInParts(limits)
    for (const [username, limit] of Object.entries(limits)) {
      this.#known.seeOwn(username, limit ?? undefined)
    }
    return result
  }

  /**
   * User by user: the keys of different users lie in different slots, which no transaction spans.
   */
  async #setLimitsInParts (limits: Record<string, number | null>) {
    const users = Object.entries(limits)
    if (users.some(([username]) => this.#shards.of(username).breaker.open)) throw redisAway()
    const sum = { set: 0, removed: 0 }
    try {
      await forEachLimit(users, USERS_AT_ONCE, async ([username, limit]) => {
        const { set, removed } = await this.#retry.askMuch(
          username,
          async () => await this.#store.setLimits({ [username]: limit })
        )
        sum.set += set
        sum.removed += removed
      })
    } catch (error) {
      if (error instanceof ServiceError) error.members['outcome'] = 'unknown'
      throw error
    }
    return sum
  }

  async setTemporaryLimit (username: string, change: TemporaryLimitChange) {
    const expiresAtMs = await this.#retry.ask(
      username,
      async () => await this.#store.setTemporaryLimit(username, change)
    )
    const { limit, reason = '' } = change
    this.#known.seeInForce(username, { limit, source: 'temporary', expiresAtMs, reason })
    return expiresAtMs
  }

  async removeTemporaryLimit (username: string) {
    const removed = await this.#retry.ask(
      username,
      async () => await this.#store.removeTemporaryLimit(username)
    )
    this.#known.seeNoTemporary(username)
    return removed
  }

  async setBar (username: string, bar: Bar) {
    const isSet = await this.#retry.ask(
      username,
      async () => await this.#store.setBar(username, bar)
    )
    if (isSet) this.#known.seeBar(username, bar)
    return isSet
  }

  async removeBar (username: string) {
    const removed = await this.#retry.ask(
      username,
      async () => await this.#store.removeBar(username)
    )
    this.#known.seeBar(username, undefined)
    return removed
  }
}
