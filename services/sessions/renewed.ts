/**
 * A renewal that went well. The session is made when it is asked for: most who renew are not
 * interested in it.
 */
import type { Session } from '../../schemas/sessions.ts'

export class Renewed {
  readonly outcome: 'renewed' | 'reregistered'
  /** The end of the lease, in milliseconds since the epoch. */
  readonly expiresMs: number
  degraded?: boolean
  #toSession: () => Session

  constructor (outcome: Renewed['outcome'], expiresMs: number, toSession: () => Session) {
    this.outcome = outcome
    this.expiresMs = expiresMs
    this.#toSession = toSession
  }

  get session (): Session {
    return this.#toSession()
  }
}
