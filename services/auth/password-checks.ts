/**
 * Passwords are verified one after the other: each takes half a second of a thread and 128 MiB, and
 * the threads are those of DNS look-ups and files, too.
 */
import { ServiceError } from '../errors.ts'
import { verifyPassword } from './password.ts'

/** The most logins that wait for their turn. */
const MOST_WAITING = 8

/** Verifies one password at a time, and lets a few wait. */
export class PasswordChecks {
  #verify: typeof verifyPassword
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()

  /** @param verify - what verifies a password; tests replace it */
  constructor (verify = verifyPassword) {
    this.#verify = verify
  }

  /**
   * Whether a password matches a hash.
   * @param isGone - whether nobody waits for the answer any more
   * @throws ServiceError `too_many_requests` when too many wait already
   */
  async verify (password: string, hash: string, isGone = () => false): Promise<boolean> {
    if (this.#waiting >= MOST_WAITING) {
      throw new ServiceError('too_many_requests', 'Too many logins at once; try again shortly.', {
        retryAfterSeconds: 5
      })
    }
    this.#waiting++
    const before = this.#last
    const turn = before.then(async () => {
      this.#waiting--
      return !isGone() && (await this.#verify(password, hash))
    })
    this.#last = turn.catch(() => {})
    return await turn
  }
}
