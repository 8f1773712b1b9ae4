/**
 * Limits that can be read while Redis is away: as they were last seen, and saying so. Writes need
 * Redis.
 */
import type { Limit, TemporaryLimitChange } from '../../schemas/limits.ts'
import type { PageRequest } from '../../schemas/paging.ts'
import { storeUnavailable } from '../errors.ts'
import type { LimitsStore } from '../limits/limits-store.ts'
import type { Breaker } from './breaker.ts'
import type { LimitCache } from './limit-cache.ts'
import { isUnavailable } from './unavailable.ts'

/** Asks the store, and falls back on what is known for the limit of one user. */
export class ResilientLimitsStore implements LimitsStore {
  #store: LimitsStore
  #known: LimitCache
  #breaker: Breaker

  constructor (store: LimitsStore, known: LimitCache, breaker: Breaker) {
    this.#store = store
    this.#known = known
    this.#breaker = breaker
  }

  /**
   * @throws ServiceError `store_unavailable` when Redis is away and nothing is known of this user:
   * no default is made up
   */
  async getLimit (username: string): Promise<Limit> {
    try {
      const limit = await this.#ask(async () => await this.#store.getLimit(username))
      this.#known.see(limit)
      return limit
    } catch (error) {
      const stale_ms = this.#known.ageMs(username)
      if (!isUnavailable(error) || stale_ms === undefined) throw error
      return { ...this.#known.mirror.limitNow(username), degraded: true, stale_ms }
    }
  }

  async setLimit (username: string, limit: number) {
    await this.#ask(async () => await this.#store.setLimit(username, limit))
    this.#known.seeOwn(username, limit)
  }

  async removeLimit (username: string) {
    const removed = await this.#ask(async () => await this.#store.removeLimit(username))
    this.#known.seeOwn(username, undefined)
    return removed
  }

  async setLimits (limits: Record<string, number | null>) {
    const result = await this.#ask(async () => await this.#store.setLimits(limits))
    for (const [username, limit] of Object.entries(limits)) {
      this.#known.seeOwn(username, limit ?? undefined)
    }
    return result
  }

  async setTemporaryLimit (username: string, change: TemporaryLimitChange) {
    const expiresAtMs = await this.#ask(
      async () => await this.#store.setTemporaryLimit(username, change)
    )
    this.#known.mirror.rememberTemporary(username, {
      limit: change.limit,
      expiresAtMs,
      reason: change.reason ?? ''
    })
    return expiresAtMs
  }

  async removeTemporaryLimit (username: string) {
    const removed = await this.#ask(async () => await this.#store.removeTemporaryLimit(username))
    this.#known.mirror.rememberTemporary(username, undefined)
    return removed
  }

  async listLimits (prefix: string, page: PageRequest) {
    return await this.#ask(async () => await this.#store.listLimits(prefix, page))
  }

  allLimits (prefix: string) {
    return this.#store.allLimits(prefix)
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    await this.#breaker.decided()
    if (this.#breaker.open) throw storeUnavailable(new Error('Redis is known to be away'))
    try {
      return await question()
    } catch (error) {
      if (isUnavailable(error)) this.#breaker.trip(error)
      throw error
    }
  }
}
