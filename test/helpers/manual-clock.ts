import { setImmediate as turn } from 'node:timers/promises'
import type { Timer } from '../../services/util/repeat.ts'

/** A clock with timers that stands still until it is told to go on. */
export class ManualClock {
  #nowMs = Date.parse('2026-11-22T10:00:00Z')
  #timers = new Set<{ dueMs: number; callback: () => void }>()

  /** Milliseconds since the epoch. */
  readonly now = (): number => this.#nowMs

  /** Calls back when so much time has been let go by. */
  readonly timer: Timer = (callback, afterMs) => {
    const entry = { dueMs: this.#nowMs + afterMs, callback }
    this.#timers.add(entry)
    return () => this.#timers.delete(entry)
  }

  /** How many timers are running. */
  get timers (): number {
    return this.#timers.size
  }

  /** Lets so many milliseconds go by: whatever is due happens at its time, and is done with. */
  async pass (ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    await settled(5)
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.dueMs - b.dueMs)
      if (next === undefined || next.dueMs > untilMs) break
      this.#timers.delete(next)
      this.#nowMs = next.dueMs
      next.callback()
      await settled(5)
    }
    this.#nowMs = untilMs
  }
}

/** Lets go on whatever waits for nothing but its turn. */
export async function settled (turns = 20): Promise<void> {
  for (let i = 0; i < turns; i++) await turn()
}
