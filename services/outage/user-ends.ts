/** When all sessions of users were ended, for as long as one that began before can be live. */
import { LONGEST_TTL_MS } from '../sessions/timing.ts'
import { BoundedMap } from '../util/bounded-map.ts'

/** The most users that are remembered; past that the one ended longest ago is forgotten. */
const MOST_USERS = 100_000

/** Until when the sessions of a user have to have begun that were ended. */
export interface UserEnd {
  /** Ordinary sessions; 0 for none. */
  ordinaryMs: number
  /** Emergency sessions, too; 0 for none. */
  allMs: number
  /** When the last of this was noted. */
  notedMs: number
}

/** Holds the last end of each user. */
export class UserEnds {
  /** How many were forgotten before their time. */
  forgotten = 0
  #ends = new BoundedMap<string, UserEnd>(MOST_USERS)

  /**
   * Notes that a user's sessions were ended that had begun by then.
   */
  note (username: string, atMs: number, includesEmergency: boolean, now: number): void {
    const { ordinaryMs = 0, allMs = 0 } = this.#ends.get(username) ?? {}
    const forgotten = this.#ends.put(username, {
      ordinaryMs: Math.max(ordinaryMs, atMs),
      allMs: includesEmergency ? Math.max(allMs, atMs) : allMs,
      notedMs: now
    })
    if (forgotten !== undefined) this.forgotten++
  }

  /** What was noted since then and can matter yet. */
  * since (sinceMs: number, now: number): Generator<[username: string, end: UserEnd]> {
    for (const [username, end] of this.#ends) {
      if (now - end.notedMs > LONGEST_TTL_MS) this.#ends.delete(username)
      else if (end.notedMs >= sinceMs) yield [username, end]
    }
  }
}
