/**
 * What happens to sessions, told to whoever wants to know: logs, metrics, events. An observer is
 * one function, and adding one is one call of `observe`.
 */
import type { Log } from '../log.ts'

/** Who caused something: the bearer of a token, as far as it names one. */
export interface Actor {
  username?: string | undefined
  node?: string | undefined
}

/** What every outcome says. */
interface About {
  sessionId: string
  username: string
  /** The switch node that has the call; undefined when it is not known. */
  node: string | undefined
  /** The caller, or the part of the service that did it. */
  by: Actor | 'sweep' | 'replay'
  reason: string
  /** Whether it was decided without the store, because it is away. */
  degraded: boolean
}

/** A user's sessions beside its limit. */
interface Measured {
  count: number
  limit: number
}

/** One thing that happened to one session. A plain renewal changes nothing and is not told. */
export type Outcome = About &
  (
    | ({ what: 'started'; emergency: boolean; observed: boolean } & Measured)
    | ({ what: 'refreshed'; emergency: boolean } & Measured)
    | ({ what: 'rejected'; barred: boolean } & Measured)
    | {
      /**
       * `reregistered`: a call that is up was not known, and is now. `restored`: put back into a
       * store that had lost it, or had been away. `ended`: somebody asked for an id that has ended.
       * `lapsed`: its node no longer lists it; its slot is free, and nothing has ended.
       * `conflict`: somebody asked for an id that another user holds.
       */
      what:
        | 'reregistered'
        | 'restored'
        | 'released'
        | 'lapsed'
        | 'terminated'
        | 'expired'
        | 'conflict'
        | 'ended'
    }
  )

/**
 * Looks at an outcome. It is called while the caller waits and so must be quick.
 * @param log - the log of the request that caused it, or the service's own
 */
export type Observer = (outcome: Outcome, log: Log) => void

/** Hands outcomes to observers. One that throws is logged, and changes nothing for anybody else. */
export class Outcomes {
  #observers: Observer[] = []
  #log: Log

  /** @param log - the service's own, for what no request caused */
  constructor (log: Log) {
    this.#log = log
  }

  /** Whether anybody listens: without, an outcome need not be made. */
  get observed (): boolean {
    return this.#observers.length > 0
  }

  observe (observer: Observer): void {
    this.#observers.push(observer)
  }

  tell (outcome: Outcome, log: Log = this.#log): void {
    for (const observer of this.#observers) {
      try {
        observer(outcome, log)
      } catch (error) {
        this.#log.warn({ err: error, outcome: outcome.what }, 'an observer of sessions failed')
      }
    }
  }
}
