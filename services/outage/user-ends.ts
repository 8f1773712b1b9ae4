/** When all sessions of users were ended, for as long as one that began before can be live. */
import { LONGEST_TTL_MS } from '../sessions/timing.ts'
import { BoundedMap } from '../util/bounded-map.ts'

/** The most users that are remembered; past that the one ended longest ago is forgotten. */
const MOST_USERS = 100_000

/** An end of all sessions of a user that had begun by then. */
export interface NotedEnd {
  /**
   * By the clock of the store as it was then, or earlier: calls may have begun since by a clock
   * that was set back.
   */
  atMs: number
  /** By the clock of this replica. */
  readonly notedMs: number
}

/** The last ends of a user. */
export interface UserEnd {
  ordinary: NotedEnd
  /** Of emergency sessions, too; undefined for none. */
  all: NotedEnd | undefined
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
   */
  note (username: string, atMs: number, includesEmergency: boolean, notedMs: number): void {
    const ordinary = { atMs, notedMs }
    const all = includesEmergency ? ordinary : this.#ends.get(username)?.all
    if (this.#ends.put(username, { ordinary, all }) !== undefined) this.forgotten++
  }

  /** What was noted since then and can matter yet. */
  * since (sinceMs: number, now: number): Generator<[username: string, end: UserEnd]> {
    for (const [username, end] of this.#ends) {
      const { notedMs } = end.ordinary
      const isOver = now - notedMs > LONGEST_TTL_MS
      if (isOver) this.#ends.delete(username)
      if (!isOver && notedMs >= sinceMs) yield [username, end]
    }
  }
}
