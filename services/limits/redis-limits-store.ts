/** Limits in Redis, under the very keys that the switch reads. */
import type { TemporaryLimitChange } from '../../schemas/limits.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { outcomeOf } from '../redis/script-outcomes.ts'
import { encodeBar, parseBar, type Bar } from './bar.ts'
import type { LimitsStore } from './limits-store.ts'
import type { StoredLimits } from './stored-limits.ts'

/** Keeps limits in Redis. */
export class RedisLimitsStore implements LimitsStore {
  #executor: RedisExecutor
  #keys: RedisKeys
  #stored: StoredLimits

  constructor (executor: RedisExecutor, keys: RedisKeys, stored: StoredLimits) {
    this.#executor = executor
    this.#keys = keys
    this.#stored = stored
  }

  async getLimit (username: string) {
    const [own, temporary, bar] = await this.#executor.run(
      Promise.all([
        this.#text(this.#keys.user('user-limit', username), () => this.#stored.noteOwn(username)),
        this.#text(this.#keys.user('user-temporary-limit', username), () =>
          this.#stored.noteTemporary(username)
        ),
        this.#text(this.#keys.user('user-bar', username), () => this.#stored.noteBar(username))
      ])
    )
    const limit = this.#stored.inForce(username, own, temporary)
    return bar === null ? limit : { ...limit, bar: parseBar(bar) }
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

  async setBar (username: string, bar: Bar) {
    const key = this.#keys.user('user-bar', username)
    const code = (await this.#executor.run(
      this.#executor.scripts.setBar([key], [encodeBar(bar), bar.expiresMs ?? 0])
    )) as number
    return outcomeOf(code) === 'noted'
  }

  async removeBar (username: string) {
    const removed = await this.#executor.run(
      this.#executor.client.del(this.#keys.user('user-bar', username))
    )
    return removed === 1
  }

  /** The text at a key. A key of another type, which somebody else wrote, is read as none. */
  async #text (key: string, onWrongType: () => void): Promise<string | null> {
    return await this.#executor.or(null, this.#executor.get(key), onWrongType)
  }
}
