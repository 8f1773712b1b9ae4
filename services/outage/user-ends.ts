/** When all sessions of users were ended, for as long as one that began before can be live. */
import { LONGEST_TTL_MS } from '../sessions/timing.ts'
import { BoundedMap } from '../util/bounded-map.ts'

/** The most users that are remembered; past that the one ended longest ago is forgotten. */
const MOST_USERS = 100_000
/** How far the store's clock may be off from what is known of it, in milliseconds. */
const CLOCK_ERROR_MS = 2000

/** Until when the sessions of a user have to have begun that were ended. */
export interface UserEnd {
  /** Ordinary sessions; 0 for none. */
  ordinaryMs: number
  /** Emergency sessions, too; 0 for none. */
  allMs: number
  /** When the last of this was noted, by the clock of this replica. */
  notedMs: number
  /** By how much the clock of the store had been set by then. */
  steppedByMs: number
}

/**
 * An instant after the clock of the store may have been set. It is not moved to a later time: what
 * the store has from before would seem to have begun by then.
 * @param thenMs - by how much the clock had been set when the instant was noted
 * @param nowMs - by how much it has been set by now
 */
export function afterSteps (atMs: number, thenMs: number, nowMs: number): number {
  return atMs + Math.min(0, nowMs - thenMs)
}

/** Holds the last end of each user. */
export class UserEnds {
  /** How many were forgotten before their time. */
  forgotten = 0
  #ends = new BoundedMap<string, UserEnd>(MOST_USERS)

  /**
   * Notes that a user's sessions were ended that had begun by then.
   * @param atMs - by the clock of the store, a moment ago
   * @param notedMs - when that is by the clock of this replica
   * @param steppedByMs - by how much the clock of the store had been set, as far as is known
   */
  note (
    username: string,
    atMs: number,
    includesEmergency: boolean,
    notedMs: number,
    steppedByMs = 0
  ): void {
    const known = this.#ends.get(username)
    const aheadMs = atMs - notedMs
    // It may have been set a moment ago, and nobody knows it yet.
    const byMs = Math.abs(aheadMs - steppedByMs) > CLOCK_ERROR_MS ? aheadMs : steppedByMs
    const before = (ms = 0) => afterSteps(ms, known?.steppedByMs ?? byMs, byMs)
    const forgotten = this.#ends.put(username, {
      ordinaryMs: Math.max(atMs, before(known?.ordinaryMs)),
      allMs: Math.max(includesEmergency ? atMs : 0, before(known?.allMs)),
      notedMs,
      steppedByMs: byMs
    })
    if (forgotten !== undefined) this.forgotten++
  }

  /** What was noted since then and can matter yet, by the clock of the store as it is now. */
  * since (
    sinceMs: number,
    now: number,
    steppedByMs = 0
  ): Generator<[username: string, end: Pick<UserEnd, 'ordinaryMs' | 'allMs'>]> {
    for (const [username, end] of this.#ends) {
      if (now - end.notedMs > LONGEST_TTL_MS) this.#ends.delete(username)
      if (now - end.notedMs > LONGEST_TTL_MS || end.notedMs < sinceMs) continue
      // Once moved back it stays there: calls may have begun by the clock of that time.
      end.ordinaryMs = afterSteps(end.ordinaryMs, end.steppedByMs, steppedByMs)
      end.allMs = afterSteps(end.allMs, end.steppedByMs, steppedByMs)
      end.steppedByMs = steppedByMs
      yield [username, end]
    }
  }
}
