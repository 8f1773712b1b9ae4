/** What the texts in Redis mean that stand for a user's limits. */
import type { RedisKeys } from '../redis/keys.ts'
import type { MalformedValues } from '../util/malformed-values.ts'
import { limitInForce, parseLimit, parseTemporaryLimit } from './limit-value.ts'
import type { DefaultLimit } from './limits-store.ts'

/** Reads texts; one that others wrote without meaning is noted and read as "no own limit". */
export class StoredLimits {
  #keys: RedisKeys
  #malformed: MalformedValues
  #defaultLimit: DefaultLimit

  constructor (keys: RedisKeys, malformed: MalformedValues, defaultLimit: DefaultLimit) {
    this.#keys = keys
    this.#malformed = malformed
    this.#defaultLimit = defaultLimit
  }

  /** The limit in force, given what is stored for the user; null where nothing is. */
  inForce (username: string, own: string | null | undefined, temporary: string | null | undefined) {
    return limitInForce(
      username,
      typeof own === 'string' ? this.own(username, own) : undefined,
      typeof temporary === 'string' ? this.#temporary(username, temporary) : undefined,
      this.#defaultLimit()
    )
  }

  /** A user's own limit. A listed key without a text is of another type, or went meanwhile. */
  own (username: string, text: string | null | undefined): number | undefined {
    const limit = typeof text === 'string' ? parseLimit(text) : undefined
    if (limit === undefined) this.noteOwn(username)
    return limit
  }

  /** Notes that what stands for a user's own limit has no meaning. */
  noteOwn (username: string): void {
    this.#malformed.note('limit_without_meaning', this.#keys.user('user-limit', username))
  }

  /** Notes that what stands for a user's temporary limit has no meaning. */
  noteTemporary (username: string): void {
    const key = this.#keys.user('user-temporary-limit', username)
    this.#malformed.note('temporary_limit_without_meaning', key)
  }

  /** Notes that what stands for a user's bar has no meaning. */
  noteBar (username: string): void {
    this.#malformed.note('bar_without_meaning', this.#keys.user('user-bar', username))
  }

  #temporary (username: string, text: string) {
    const temporary = parseTemporaryLimit(text)
    if (temporary === undefined) this.noteTemporary(username)
    return temporary
  }
}
