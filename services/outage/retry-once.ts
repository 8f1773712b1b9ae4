/**
 * How Redis is asked: not at all while the breaker is open; once more when the first try was lost;
 * and when that fails, too, the breaker opens, unless Redis refused this one command.
 */
import { storeUnavailable } from '../errors.ts'
import { isRefusal } from '../redis/replies.ts'
import type { Breaker } from './breaker.ts'
import { isUnavailable } from './unavailable.ts'

/** A question that may be asked twice; `again` on the second try. */
export type Question<T> = (again: boolean) => Promise<T>

/** Asks Redis for whatever can be repeated. */
export class RetryOnce {
  #breaker: Breaker
  #reconnected: () => Promise<boolean>

  /**
   * @param reconnected - waits a little for a connection that was cut to come back; false when it
   * did not
   */
  constructor (breaker: Breaker, reconnected: () => Promise<boolean>) {
    this.#breaker = breaker
    this.#reconnected = reconnected
  }

  /** @throws ServiceError `store_unavailable` */
  async ask<T>(question: Question<T>): Promise<T> {
    await this.#breaker.decided()
    if (this.#breaker.open) throw redisAway()
    try {
      return await question(false)
    } catch (error) {
      return await this.again(error, question)
    }
  }

  /**
   * The second try, after a first one that failed with this error.
   * @throws ServiceError `store_unavailable`
   */
  async again<T>(error: unknown, question: Question<T>): Promise<T> {
    if (!isUnavailable(error)) throw error
    let last = error
    try {
      if (!this.#breaker.open && (await this.#reconnected())) return await question(true)
    } catch (second) {
      if (!isUnavailable(second)) throw second
      last = second
    }
    // A command that Redis refuses concerns nobody else. Whether it concerns every admission, the
    // probe finds out, which asks for what they ask for.
    if (!isRefusal(last)) this.#breaker.trip(error)
    throw error
  }
}

/** The failure of a question that Redis was not asked. */
export function redisAway () {
  return storeUnavailable(new Error('Redis is known to be away'))
}
