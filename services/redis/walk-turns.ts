/**
 * Turns for walks over the keyspace: all lists of this replica together take one step at a time,
 * and after each Redis has a rest as long as the step took. So lists take half of its time at the
 * most, however many are asked for, and whoever is admitted meanwhile does not feel it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { ServiceError } from '../errors.ts'

/** The most steps that wait for their turn. */
const MOST_WAITING = 50
/** The longest rest after a step, in milliseconds. */
const LONGEST_REST_MS = 1_000

/** Whether nobody waits for an answer any more, because the caller has hung up. */
export type IsGone = () => boolean

/** Lets one step at a time be taken. */
export class WalkTurns {
  #waiting = 0
  #last: Promise<unknown> = Promise.resolve()

  /**
   * Takes a step when its turn comes.
   * @throws ServiceError `too_many_requests` when too many wait, or when the caller has gone
   */
  async step<T> (work: () => Promise<T>, isGone: IsGone = () => false): Promise<T> {
    if (this.#waiting >= MOST_WAITING) throw tooMany('Too many lists at once; try again shortly.')
    this.#waiting++
    let tookMs = 0
    const turn = this.#last.then(async () => {
      this.#waiting--
      if (isGone()) throw tooMany('The caller has hung up.')
      const startedMs = performance.now()
      try {
        return await work()
      } finally {
        tookMs = performance.now() - startedMs
      }
    })
    this.#last = turn.catch(() => {}).then(async () => await rest(tookMs))
    return await turn
  }
}

async function rest (ms: number): Promise<void> {
  if (ms > 0) await sleep(Math.min(ms, LONGEST_REST_MS), undefined, { ref: false })
}

function tooMany (message: string): ServiceError {
  return new ServiceError('too_many_requests', message, { retryAfterSeconds: 1 })
}
