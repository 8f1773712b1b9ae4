/**
 * Decides whether Redis is asked at all: lost at the first failure, back only after it has served
 * for a while.
 */

/** How often Redis is probed, in milliseconds. */
const PROBE_INTERVAL_MS = 200
/** For how long it must have served before it is trusted again, in milliseconds. */
const BACK_AFTER_MS = 400
/** How much a return is spread out, so that replicas do not all replay at once, in milliseconds. */
const JITTER_MS = 200

/** What a probe saw: which generation of data Redis holds, and which server processes hold it. */
export interface Seen {
  generation: string
  servers: string
}

export interface BreakerOptions {
  /** Asks Redis for what the service needs of it, a write included. */
  probe: () => Promise<Seen>
  /**
   * Puts things right in a Redis that is back, or that has lost its data. A failure keeps the
   * breaker open.
   */
  recover: (lostItsData: boolean) => Promise<void>
  /**
   * Tells Redis what was decided without it while `recover` ran. It has to be quick: whoever asks
   * meanwhile waits for it.
   */
  settle: () => Promise<void>
  /** Told which generation of data Redis holds from now on. */
  onGeneration: (generation: string) => void
  /** Told of each change. */
  onChange?: (open: boolean, cause?: unknown) => void
}

/** Open while Redis is not to be asked. It closes by itself; nothing latches. */
export class Breaker {
  #options: BreakerOptions
  #openSinceMs: number | undefined
  #servesSinceMs: number | undefined
  #known: Seen | undefined
  #closing: Promise<void> | undefined
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

  /**
   * What to wait for until it is decided whether Redis is asked: nothing, but for the last moments
   * of its return.
   */
  decided (): Promise<void> | undefined {
    return this.#closing?.catch(() => {})
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
    if (!this.#stopped) {
      this.#timer = setTimeout(() => {
        void this.#tick()
      }, PROBE_INTERVAL_MS).unref()
    }
  }

  async #look (): Promise<void> {
    const seen = await this.#options.probe()
    const lostItsData = this.#known !== undefined && this.#known.generation !== seen.generation
    // A restart may be over before anybody misses an answer; what comes back may lack the last that
    // its predecessor was told.
    const restarted = this.#known !== undefined && this.#known.servers !== seen.servers
    if (lostItsData && !this.open) this.trip(new Error('Redis has lost its data'))
    if (restarted && !this.open) {
      this.trip(new Error('Redis was restarted, or another one took over'))
    }
    if (this.open) {
      this.#servesSinceMs ??= performance.now() + Math.random() * JITTER_MS
      if (performance.now() - this.#servesSinceMs < BACK_AFTER_MS) return
      await this.#options.recover(lostItsData)
      this.#closing = this.#options.settle().then(() => this.#close(seen))
      await this.#closing.finally(() => {
        this.#closing = undefined
      })
    } else if (this.#known === undefined) {
      this.#note(seen)
    }
  }

  #note (seen: Seen): void {
    this.#known = seen
    this.#options.onGeneration(seen.generation)
  }

  #close (seen: Seen): void {
    this.#note(seen)
    this.#openSinceMs = undefined
    this.#servesSinceMs = undefined
    this.#options.onChange?.(false)
  }
}
