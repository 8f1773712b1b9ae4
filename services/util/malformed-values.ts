/** Malformed values of other programs in Redis: they are counted, logged sparingly and skipped. */

/** How long no further value of a kind is logged, in milliseconds. */
const QUIET_MS = 10_000

/** Counts malformed values by kind, and logs one of each kind in ten seconds at the most. */
export class MalformedValues {
  /** How many were found, by kind. */
  readonly counts = new Map<string, number>()
  #lastLogged = new Map<string, number>()
  #log: (kind: string, key: string, count: number) => void

  constructor (log: (kind: string, key: string, count: number) => void = () => {}) {
    this.#log = log
  }

  /**
   * Notes one malformed value.
   * @param kind - what is malformed, one word of a small, fixed set
   * @param key - the key that holds it
   */
  note (kind: string, key: string): void {
    const count = (this.counts.get(kind) ?? 0) + 1
    this.counts.set(kind, count)
    const now = Date.now()
    if (now - (this.#lastLogged.get(kind) ?? -Infinity) < QUIET_MS) return
    this.#lastLogged.set(kind, now)
    this.#log(kind, key, count)
  }
}
