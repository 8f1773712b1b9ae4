/** Decides whether Redis is asked at all: lost at the first failure, back only after it has served for a while. */

/** How often Redis is probed, in milliseconds. */
const PROBE_INTERVAL_MS = 200
/** For how long it must have served before it is trusted again, in milliseconds. */
const BACK_AFTER_MS = 400
/** How much a return is spread out, so that replicas do not all replay at once, in milliseconds. */
const JITTER_MS = 200

export interface BreakerOptions {
  /** Asks Redis for what the service needs of it, a write included. Resolves to which generation of data it holds. */
  probe: () => Promise<string>
  /** Puts things right in a Redis that is back, or that has lost its data. A failure keeps the breaker open. */
  recover: () => Promise<void>
  /** Told of each change. */
  onChange?: (open: boolean, cause?: unknown) => void
}

/** Open while Redis is not to be asked. It closes by itself; nothing latches. */
export class Breaker {
  #options: BreakerOptions
  #openSinceMs: number | undefined
  #servesSinceMs: number | undefined
  #generation: string | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor (options: BreakerOptions) {
    this.#options = options
  }

  get open (): boolean {
    return this.#openSinceMs !== undefined
  }

  /** For how long Redis has not been asked, in milliseconds; 0 while it is. */
  get openForMs (): number {
    return this.#openSinceMs === undefined ? 0 : performance.now() - this.#openSinceMs
  }

  /** Opens: a question to Redis failed. */
  trip (cause: unknown): void {
    this.#servesSinceMs = undefined
    if (this.open) return
    this.#openSinceMs = performance.now()
    this.#options.onChange?.(true, cause)
  }

  /** Probes now and from then on. Resolves after the first probe, whatever came of it. */
  async start (): Promise<void> {
    await this.#tick()
  }

  stop (): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  async #tick (): Promise<void> {
    try {
      await this.#look()
    } catch (error) {
      this.trip(error)
    }
    if (!this.#stopped) this.#timer = setTimeout(() => { void this.#tick() }, PROBE_INTERVAL_MS).unref()
  }

  async #look (): Promise<void> {
    const generation = await this.#options.probe()
    const lostItsData = this.#generation !== undefined && this.#generation !== generation
    if (this.open) {
      this.#servesSinceMs ??= performance.now() + Math.random() * JITTER_MS
      if (performance.now() - this.#servesSinceMs < BACK_AFTER_MS) return
      await this.#options.recover()
      this.#close()
      // What was decided without Redis while the first pass ran.
      await this.#options.recover()
    } else if (lostItsData) {
      await this.#options.recover()
    }
    this.#generation = generation
  }

  #close (): void {
    this.#openSinceMs = undefined
    this.#servesSinceMs = undefined
    this.#options.onChange?.(false)
  }
}
