/** Work that is done again and again in the background. */

/** Calls back after so many milliseconds; @returns what calls it off. */
export type Timer = (callback: () => void, afterMs: number) => () => void

/** The process's own timers. They keep no process alive. */
export const systemTimer: Timer = (callback, afterMs) => {
  const timer = setTimeout(callback, afterMs).unref()
  return () => clearTimeout(timer)
}

/** What is repeated, and how. */
export interface Repetition {
  /** One round. */
  work: () => Promise<void>
  /** Told of a round that failed. */
  onError: (error: unknown) => void
  /** How long it rests after a round, in milliseconds. */
  everyMs: number
  /** The same after a round that failed; `everyMs` when left out. */
  retryMs?: number
  timer?: Timer
}

/** A loop that is under way. */
export interface Repeated {
  /** Settles with the first round, whatever came of it; at once where that is yet to begin. */
  first: Promise<void>
  /** No further round begins. */
  stop: () => void
}

/** Begins with a round now, and goes on until it is stopped. Rounds never overlap. */
export function repeat (repetition: Repetition): Repeated {
  const loop = new Loop(repetition)
  return { first: loop.round(), stop: () => loop.stop() }
}

/** The same, its first round after a rest. */
export function repeatLater (repetition: Repetition): Repeated {
  const loop = new Loop(repetition)
  loop.rest(repetition.everyMs)
  return { first: Promise.resolve(), stop: () => loop.stop() }
}

class Loop {
  #repetition: Repetition
  #stopped = false
  #callOff = () => {}

  constructor (repetition: Repetition) {
    this.#repetition = repetition
  }

  async round (): Promise<void> {
    const { work, onError, everyMs, retryMs = everyMs } = this.#repetition
    try {
      await work()
      this.rest(everyMs)
    } catch (error) {
      this.rest(retryMs)
      onError(error)
    }
  }

  rest (ms: number): void {
    if (this.#stopped) return
    const { timer = systemTimer } = this.#repetition
    this.#callOff = timer(() => {
      void this.round()
    }, ms)
  }

  stop (): void {
    this.#stopped = true
    this.#callOff()
  }
}
