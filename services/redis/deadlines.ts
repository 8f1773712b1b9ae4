/** A deadline for every command under way, with one timer for all of them. */

/** A wait for a reply. */
interface Wait {
  dueMs: number
  onLate: () => void
}

/**
 * Ends waits that take too long. All of them may take equally long, so the first to begin is the
 * first to be late.
 */
export class Deadlines {
  #afterMs: number
  #waiting = new Set<Wait>()
  #timer: NodeJS.Timeout | undefined

  /** @param afterMs - how long a wait may take, in milliseconds */
  constructor (afterMs: number) {
    this.#afterMs = afterMs
  }

  /** Begins a wait. @returns the wait, for `end` */
  begin (onLate: () => void): Wait {
    const wait = { dueMs: performance.now() + this.#afterMs, onLate }
    this.#waiting.add(wait)
    this.#timer ??= setTimeout(() => {
      this.#check()
    }, this.#afterMs).unref()
    return wait
  }

  /** Ends a wait: the reply has come. */
  end (wait: Wait): void {
    this.#waiting.delete(wait)
  }

  #check (): void {
    // After this process itself was held up, it first reads the replies that have arrived in the
    // meantime.
    setImmediate(() => {
      this.#timer = undefined
      const nowMs = performance.now()
      for (const wait of this.#waiting) {
        if (wait.dueMs > nowMs) {
          this.#timer = setTimeout(() => {
            this.#check()
          }, wait.dueMs - nowMs).unref()
          return
        }
        this.#waiting.delete(wait)
        wait.onLate()
      }
    })
  }
}
