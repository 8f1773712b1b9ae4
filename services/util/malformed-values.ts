/** Values that someone else wrote wrongly: counted, logged sparingly, and otherwise passed over. */

/** How long the log stays quiet about a kind of kind after a line, in milliseconds. */
const QUIET_MS = 10_000

/** Counts malformed by kind, and hands on one of each kind every ten seconds at the most. */
export class MalformedValues {
  /** How many were met, by kind. */
  readonly counts = new Map<string, number>()
  #lastLogged = new Map<string, number>()
  #log: (kind: string, key: string, count: number) => void

  constructor (log: (kind: string, key: string, count: number) => void = () => {}) {
    this.#log = log
  }

  /**
   * Notes one kind.
   * @param kind - what is odd; a small, fixed set of words
   * @param key - where it was met
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
