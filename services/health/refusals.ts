/** What callers were refused a short time ago because the store did not serve. */

/** For how long health goes by a refusal, in milliseconds. */
const RECENT_MS = 1_000

/** Knows whether somebody was refused lately. */
export class Refusals {
  #lastMs = -Infinity
  #now: () => number

  /** @param now - milliseconds on a clock that only goes forward */
  constructor (now = () => performance.now()) {
    this.#now = now
  }

  note (): void {
    this.#lastMs = this.#now()
  }

  get areRecent (): boolean {
    return this.#now() - this.#lastMs < RECENT_MS
  }
}
