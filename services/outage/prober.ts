/** Probes Redis, for the breaker and for health: both go by the same answers. */
import { repeat, type Repeated, type Timer } from '../util/repeat.ts'

/** How long it rests between two probes, in milliseconds. */
export const PROBE_INTERVAL_MS = 200
/** A probe that has not been answered for so long counts as failed for health, in milliseconds. */
const LATE_MS = 500

export interface ProberOptions<T> {
  /** Asks Redis for what the service needs of it, a write included. */
  probe: () => Promise<T>
  onServed: (seen: T) => void
  onFailed: (error: unknown) => void
  /** Milliseconds on a clock that only goes forward. */
  now?: () => number
  timer?: Timer
}

/** Probes again and again, and knows how the last probe went. */
export class Prober<T> {
  #options: ProberOptions<T>
  #now: () => number
  #probing: Repeated | undefined
  #startedMs: number | undefined
  #last: { latencyMs: number } | { error: unknown } = { error: new Error('not probed yet') }

  constructor (options: ProberOptions<T>) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  /** Probes now and from then on. Resolves after the first probe, whatever came of it. */
  async start (): Promise<void> {
    this.#probing = repeat({
      work: async () => await this.#probe(),
      onError: (error) => this.#options.onFailed(error),
      everyMs: PROBE_INTERVAL_MS,
      ...(this.#options.timer && { timer: this.#options.timer })
    })
    await this.#probing.first
  }

  stop (): void {
    this.#probing?.stop()
  }

  /**
   * How the last probe went; asks nothing.
   * @returns how long it took, in milliseconds
   * @throws what it failed with, or Error when one is late
   */
  latencyMs (): number {
    if ('error' in this.#last) throw this.#last.error
    if (this.#underWayMs() > LATE_MS) throw new Error('Redis does not answer')
    return this.#last.latencyMs
  }

  #underWayMs (): number {
    return this.#startedMs === undefined ? 0 : this.#now() - this.#startedMs
  }

  async #probe (): Promise<void> {
    this.#startedMs = this.#now()
    try {
      const seen = await this.#options.probe()
      this.#last = { latencyMs: this.#underWayMs() }
      this.#options.onServed(seen)
    } catch (error) {
      this.#last = { error }
      throw error
    } finally {
      this.#startedMs = undefined
    }
  }
}
