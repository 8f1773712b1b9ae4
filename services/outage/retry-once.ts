/**
 * How Redis is asked: not at all while the part is out that a user lies in; once more when the
 * first try was lost; and when that fails, too, the part is out, unless Redis refused this one
 * command.
 */
import { storeUnavailable } from '../errors.ts'
import { isRefusal, steppedByMs } from '../redis/replies.ts'
import type { Shards } from './shards.ts'
import { isOutcomeUnknown, isUnavailable } from './unavailable.ts'

/** A question that may be asked twice; `again` on the second try. */
export type Question<T> = (again: boolean) => Promise<T>

/** Asks Redis for whatever can be repeated. */
export class RetryOnce {
  #shards: Pick<Shards, 'of' | 'failed' | 'check'>
  #reconnected: () => Promise<boolean>

  /**
   * @param reconnected - waits a little for a connection that was cut to come back; false when it
   * did not
   */
  constructor (
    shards: Pick<Shards, 'of' | 'failed' | 'check'>,
    reconnected: () => Promise<boolean>
  ) {
    this.#shards = shards
    this.#reconnected = reconnected
  }

  /**
   * Asks about one user.
   * @throws ServiceError `store_unavailable`
   */
  async ask<T>(username: string, question: Question<T>): Promise<T> {
    await this.#decided(username)
    try {
      return await question(false)
    } catch (error) {
      return await this.again(username, error, question)
    }
  }

  /**
   * The second try, after a first one that failed with this error.
   * @throws ServiceError `store_unavailable`
   */
  async again<T>(username: string, error: unknown, question: Question<T>): Promise<T> {
    try {
      return await this.#askAgain(username, error, question)
    } catch (failure) {
      if (isUnavailable(failure)) this.#shards.failed(username, failure)
      throw failure
    }
  }

  /**
   * Asks for much work, which may take too long though Redis is well: a probe tells whether its
   * failure was an outage. Where it was not, the work is tried once more, and the next failure is
   * the caller's alone.
   * @param username - whom the work is about; in a Cluster, one of those
   * @throws ServiceError `store_unavailable`
   */
  async askMuch<T>(username: string, question: Question<T>): Promise<T> {
    await this.#decided(username)
    try {
      return await question(false)
    } catch (error) {
      if (!isUnavailable(error)) throw error
      await this.#reconnected()
      await this.#shards.check(username)
      return await this.#askAgain(username, error, question)
    }
  }

  /** @throws ServiceError `store_unavailable` when Redis is not to be asked */
  async #decided (username: string): Promise<void> {
    const { breaker } = this.#shards.of(username)
    await breaker.decided()
    if (breaker.open) throw redisAway()
  }

  /** @throws the first failure when the second try is not answered either, or its refusal */
  async #askAgain<T>(username: string, error: unknown, question: Question<T>): Promise<T> {
    // Where the clock of Redis was set, what it holds is not what it was told.
    if (!isUnavailable(error) || steppedByMs(error) > 0) throw error
    let last = error
    try {
      const isAway = this.#shards.of(username).breaker.open || !(await this.#reconnected())
      if (!isAway) return await question(true)
    } catch (second) {
      if (!isUnavailable(second)) throw second
      last = second
    }
    // A command that is refused says more than a connection that was cut before, and so does that
    // a write may have been kept.
    if (isOutcomeUnknown(error)) throw error
    throw isRefusal(last) || isOutcomeUnknown(last) ? last : error
  }
}

/** The failure of a question that Redis was not asked. */
export function redisAway () {
  return storeUnavailable(new Error('Redis is known to be away'))
}
