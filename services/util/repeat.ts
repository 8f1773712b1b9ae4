/** Background work that is repeated until it is stopped. */

/** Calls back after so many milliseconds. @returns a function that cancels the call */
export type Timer = (callback: () => void, afterMs: number) => () => void

/** Timers of the process, which do not keep it alive. */
export const systemTimer: Timer = (callback, afterMs) => {
  const timer = setTimeout(callback, afterMs).unref()
  return () => clearTimeout(timer)
}

/** What is repeated, and how often. */
export interface Repetition {
  /** The work of one round. */
  work: () => Promise<void>
  /** Called after a round that failed. */
  onError: (error: unknown) => void
  /** The rest after a round, in milliseconds. */
  everyMs: number
  /** The rest after a round that failed, in milliseconds; `everyMs` by default. */
  retryMs?: number
  timer?: Timer
}

/** A loop that runs. */
export interface Repeated {
  /** Settles after the first round, failed or not; at once if the loop begins with a rest. */
  first: Promise<void>
  /** No further round begins. */
  stop: () => void
}

/** Repeats the work until it is stopped, the first time now. Rounds never overlap. */
export function repeat (repetition: Repetition): Repeated {
  const loop = new Loop(repetition)
  return { first: loop.round(), stop: () => loop.stop() }
}

/** Repeats the work until it is stopped, the first time after a rest. Rounds never overlap. */
export function repeatLater (repetition: Repetition): Repeated {
  const loop = new Loop(repetition)
  loop.rest(repetition.everyMs)
  return { first: Promise.resolve(), stop: () => loop.stop() }
}

class Loop {
  #repetition: Repetition
  #stopped = false
  #cancel = () => {}

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
    this.#cancel = timer(() => {
      void this.round()
    }, ms)
  }

  stop (): void {
    this.#stopped = true
    this.#cancel()
  }
}
