/** Limits in Redis, under the very keys that the switch reads. */
import type { TemporaryLimitChange } from '../../schemas/limits.ts'
import type { PageRequest } from '../../schemas/paging.ts'
import type { MalformedValues } from '../util/malformed-values.ts'
import type { PolicyCache } from '../policy/policy.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { keyspaces, scanAll, scanPage, type ScanList } from '../redis/scan.ts'
import { limitInForce, parseLimit, parseTemporaryLimit } from './limit-value.ts'
import type { LimitEntry, LimitsStore } from './limits-store.ts'

/**
 * Keeps limits in Redis. Values that others wrote without meaning are noted and read as "no own
 * limit".
 */
export class RedisLimitsStore implements LimitsStore {
  #executor: RedisExecutor
  #keys: RedisKeys
  #policy: PolicyCache
  #malformed: MalformedValues

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    policy: PolicyCache,
    malformed: MalformedValues
  ) {
    this.#executor = executor
    this.#keys = keys
    this.#policy = policy
    this.#malformed = malformed
  }

  async getLimit (username: string) {
    const [own, temporary] = await this.#executor.run(
      Promise.all([
        this.#text(this.#keys.user('user-limit', username), 'limit_without_meaning'),
        this.#text(
          this.#keys.user('user-temporary-limit', username),
          'temporary_limit_without_meaning'
        )
      ])
    )
    return this.inForce(username, own, temporary)
  }

  async setLimit (username: string, limit: number) {
    await this.#executor.run(
      this.#executor.client.set(this.#keys.user('user-limit', username), limit)
    )
  }

  async removeLimit (username: string) {
    return (
      (await this.#executor.run(
        this.#executor.client.del(this.#keys.user('user-limit', username))
      )) === 1
    )
  }

  async setLimits (limits: Record<string, number | null>) {
    const set: Array<string | number> = []
    const removed: string[] = []
    for (const [username, limit] of Object.entries(limits)) {
      const key = this.#keys.user('user-limit', username)
      if (limit === null) removed.push(key)
      else set.push(key, limit)
    }
    if (this.#executor.isCluster) return await this.#setLimitsInCluster(limits)
    const transaction = this.#executor.client.multi()
    if (set.length > 0) transaction.mset(set)
    if (removed.length > 0) transaction.del(removed)
    const replies = await this.#executor.run(transaction.exec())
    const gone = removed.length > 0 ? (replies?.at(-1)?.[1] as number) : 0
    return { set: set.length / 2, removed: gone }
  }

  /** The keys of different users lie in different slots, which no transaction spans. */
  async #setLimitsInCluster (limits: Record<string, number | null>) {
    const removed = await Promise.all(
      Object.entries(limits).map(async ([username, limit]) => {
        if (limit === null) return await this.removeLimit(username)
        await this.setLimit(username, limit)
        return null
      })
    )
    return {
      set: removed.filter((one) => one === null).length,
      removed: removed.filter((one) => one === true).length
    }
  }

  async setTemporaryLimit (username: string, { limit, duration, reason }: TemporaryLimitChange) {
    const key = this.#keys.user('user-temporary-limit', username)
    return (await this.#executor.run(
      this.#executor.scripts.setTemporaryLimit([key], [limit, duration * 1000, reason ?? ''])
    )) as number
  }

  async removeTemporaryLimit (username: string) {
    return (
      (await this.#executor.run(
        this.#executor.client.del(this.#keys.user('user-temporary-limit', username))
      )) === 1
    )
  }

  async listLimits (prefix: string, { cursor, count }: PageRequest) {
    return await scanPage(this.#list(prefix), cursor, count)
  }

  allLimits (prefix: string) {
    return scanAll(this.#list(prefix))
  }

  #list (prefix: string): ScanList<LimitEntry> {
    return {
      sources: keyspaces(this.#executor, this.#keys.pattern('user-limit', prefix), (key) =>
        this.#keys.usernameOf('user-limit', key)
      ),
      load: async (names) => {
        const values = await this.#executor.getMany(
          names.map((name) => this.#keys.user('user-limit', name))
        )
        return names.flatMap((name, i) => {
          const limit = this.#own(name, values[i])
          return limit === undefined ? [] : [[name, limit] satisfies LimitEntry]
        })
      }
    }
  }

  /** The limit in force, given what is stored for the user. */
  inForce (username: string, own: string | null | undefined, temporary: string | null | undefined) {
    const { max_sessions_per_user: policyLimit } = this.#policy.current
    const ownLimit = typeof own === 'string' ? this.#own(username, own) : undefined
    return limitInForce(
      username,
      ownLimit,
      typeof temporary === 'string' ? this.#temporary(username, temporary) : undefined,
      policyLimit
    )
  }

  /**
   * The text at a key. A key of another type, which somebody else wrote, is noted and read as none.
   */
  async #text (key: string, kind: string): Promise<string | null> {
    return await this.#executor.or(null, this.#executor.get(key), () =>
      this.#malformed.note(kind, key)
    )
  }

  /** A listed key without a string in it is of another type, or went meanwhile. */
  #own (username: string, text: string | null | undefined): number | undefined {
    const limit = typeof text === 'string' ? parseLimit(text) : undefined
    if (limit === undefined) {
      this.#malformed.note('limit_without_meaning', this.#keys.user('user-limit', username))
    }
    return limit
  }

  #temporary (username: string, text: string) {
    const temporary = parseTemporaryLimit(text)
    if (temporary === undefined) {
      this.#malformed.note(
        'temporary_limit_without_meaning',
        this.#keys.user('user-temporary-limit', username)
      )
    }
    return temporary
  }
}
