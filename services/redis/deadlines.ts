/** One deadline for every question under way, and one timer for all of them. */

interface Question {
  dueMs: number
  onLate: () => void
}

/**
 * Tells whoever waits too long. As all wait equally long, the first that began is the first that is
 * late.
 */
export class Deadlines {
  #afterMs: number
  #waiting = new Set<Question>()
  #timer: NodeJS.Timeout | undefined

  /** @param afterMs - how long one may wait, in milliseconds */
  constructor (afterMs: number) {
    this.#afterMs = afterMs
  }

  /** From now on the time runs. @returns what to give to `end` */
  begin (onLate: () => void): Question {
    const question = { dueMs: performance.now() + this.#afterMs, onLate }
    this.#waiting.add(question)
    this.#timer ??= setTimeout(() => {
      this.#look()
    }, this.#afterMs).unref()
    return question
  }

  /** The wait is over. */
  end (question: Question): void {
    this.#waiting.delete(question)
  }

  #look (): void {
    // A process that was held up itself reads what has arrived meanwhile before it calls anybody
    // late.
    setImmediate(() => {
      this.#timer = undefined
      const nowMs = performance.now()
      for (const question of this.#waiting) {
        if (question.dueMs > nowMs) {
          this.#timer = setTimeout(() => {
            this.#look()
          }, question.dueMs - nowMs).unref()
          return
        }
        this.#waiting.delete(question)
        question.onLate()
      }
    })
  }
}
