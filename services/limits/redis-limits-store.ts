/** Limits in Redis, under the very keys that the switch reads. */
import type { TemporaryLimitChange } from '../../schemas/limits.ts'
import { outcomeUnknown } from '../errors.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { outcomeOf } from '../redis/script-outcomes.ts'
import { encodeBar, parseBar, type Bar } from './bar.ts'
import type { LimitsStore } from './limits-store.ts'
import type { StoredLimits } from './stored-limits.ts'

/** A key, and what it is set to; null to remove it. */
type KeyValue = [key: string, value: number | null]

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
    await this.#write([[this.#keys.user('user-limit', username), limit]])
  }

  async removeLimit (username: string) {
    const { removed } = await this.#write([[this.#keys.user('user-limit', username), null]])
    return removed === 1
  }

  async setLimits (limits: Record<string, number | null>) {
    const entries = Object.entries(limits).map(
      ([username, limit]): KeyValue => [this.#keys.user('user-limit', username), limit]
    )
    return this.#executor.isCluster
      ? await this.#writeOneByOne(entries)
      : await this.#write(entries)
  }

  /** The keys of different users lie in different slots, which no script call spans. */
  async #writeOneByOne (entries: KeyValue[]) {
    const sum = { set: 0, removed: 0 }
    try {
      await Promise.all(
        entries.map(async (entry) => {
          const { set, removed } = await this.#write([entry])
          sum.set += set
          sum.removed += removed
        })
      )
    } catch (error) {
      throw outcomeUnknown(error)
    }
    return sum
  }

  async setTemporaryLimit (username: string, { limit, duration, reason }: TemporaryLimitChange) {
    const key = this.#keys.user('user-temporary-limit', username)
    const args = [this.#executor.deadline(), limit, duration * 1000, reason ?? '']
    return (await this.#executor.write(
      this.#executor.scripts.setTemporaryLimit([key], args)
    )) as number
  }

  async removeTemporaryLimit (username: string) {
    const key = this.#keys.user('user-temporary-limit', username)
    const { removed } = await this.#write([[key, null]])
    return removed === 1
  }

  async #write (entries: KeyValue[]): Promise<{ set: number; removed: number }> {
    const [set, removed] = (await this.#executor.write(
      this.#executor.scripts.writeLimits(
        entries.map(([key]) => key),
        [this.#executor.deadline(), ...entries.map(([, value]) => value ?? '')]
      )
    )) as [number, number]
    return { set, removed }
  }

  async setBar (username: string, bar: Bar) {
    const key = this.#keys.user('user-bar', username)
    const args = [this.#executor.deadline(), encodeBar(bar), bar.expiresMs ?? 0]
    const code = (await this.#executor.write(this.#executor.scripts.setBar([key], args))) as number
    return outcomeOf(code) === 'noted'
  }

  async removeBar (username: string) {
    const { removed } = await this.#write([[this.#keys.user('user-bar', username), null]])
    return removed === 1
  }

  /** The text at a key. A key of another type, which somebody else wrote, is read as none. */
  async #text (key: string, onWrongType: () => void): Promise<string | null> {
    return await this.#executor.or(null, this.#executor.get(key), onWrongType)
  }
}
