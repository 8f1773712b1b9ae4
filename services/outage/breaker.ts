/**
 * Decides whether a part of Redis is asked at all: it is lost at the first failure, and back only
 * after it has served for a while.
 */

/** For how long Redis must have served before it is trusted again, in milliseconds. */
const BACK_AFTER_MS = 400
/** How much a return is spread out, so that replicas do not all replay at once, in milliseconds. */
const JITTER_MS = 200

/** What a probe saw. */
export interface Seen {
  /** Which generation of data each probed key tells of. */
  generations: Record<string, string>
  /** Which server processes answered. */
  servers: string[]
  /** How often the server of each key was found to have lost something. */
  losses?: Record<string, number>
}

export interface BreakerOptions {
  /**
   * Puts things right in a Redis that is back, or that has lost its data, as far as is known. A
   * failure keeps the breaker open.
   */
  recover: (lostItsData: boolean) => Promise<void>
  /**
   * Tells Redis what was decided without it while `recover` ran. It has to be quick: whoever asks
   * meanwhile waits for it.
   */
  settle: () => Promise<void>
  /** Told what is asked from now on. */
  onKnown?: (seen: Seen) => void
  /** Told of each change. */
  onChange?: (open: boolean, cause?: unknown) => void
  /** Whether it has to wait with its return, because another one is returning. */
  waits?: () => boolean
  /** Milliseconds on a clock that only goes forward. */
  now?: () => number
  /** From 0 up to 1: where in the spread a return lies. */
  random?: () => number
}

/** Open while Redis is not to be asked. It closes by itself once probes are answered. */
export class Breaker {
  #options: BreakerOptions
  #now: () => number
  #random: () => number
  #openSinceMs: number | undefined
  #servesSinceMs: number | undefined
  #known: Seen | undefined
  #returning = false
  #closing: Promise<void> | undefined

  /**
   * @param like - one whose state this one begins with: open as long, or else what is known of its
   * data, which may be on another server
   */
  constructor (options: BreakerOptions, like?: Breaker) {
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
    this.#random = options.random ?? Math.random
    this.#openSinceMs = like === undefined ? undefined : like.#openSinceMs
    const known = like?.open === false ? like.#known : undefined
    this.#known = known && { ...known, servers: [] }
  }

  get open (): boolean {
    return this.#openSinceMs !== undefined
  }

  /**
   * Which server processes are asked: undefined while it is open, and none before the first answer,
   * when any may be.
   */
  get asked (): string[] | undefined {
    return this.open ? undefined : (this.#known?.servers ?? [])
  }

  /** For how long Redis has not been asked, in milliseconds; 0 while it is. */
  get openForMs (): number {
    return this.#openSinceMs === undefined ? 0 : Math.round(this.#now() - this.#openSinceMs)
  }

  /** Whether it is open, and Redis is being told what it missed. */
  get returning (): boolean {
    return this.#returning
  }

  /** Whether Redis has answered since the last failure, so that it may be told what it missed. */
  get serves (): boolean {
    return this.#servesSinceMs !== undefined
  }

  /**
   * What to wait for until it is decided whether Redis is asked: nothing, but for the last moments
   * of its return.
   */
  decided (): Promise<void> | undefined {
    return this.#closing?.catch(() => {})
  }

  /** Opens: a question to Redis, or a probe, failed. */
  trip (cause: unknown): void {
    this.#servesSinceMs = undefined
    if (this.open) return
    this.#openSinceMs = this.#now()
    this.#options.onChange?.(true, cause)
  }

  /**
   * Takes what a probe saw. Resolves when nothing is left to do about it; never rejects. What
   * arrives while Redis is being told what it missed changes nothing.
   */
  async served (seen: Seen): Promise<void> {
    if (this.#returning) return
    const known = this.#known
    const lostItsData = known === undefined || isOther(known, seen)
    if (!this.open) {
      if (known === undefined) return this.#note(seen)
      if (lostItsData) this.trip(new Error('Redis has lost its data'))
      // A restart may be over before anybody misses an answer; what comes back may lack the last
      // that its predecessor was told.
      else if (isRestarted(known, seen)) {
        this.trip(new Error('Redis was restarted, or another one took over'))
      } else {
        this.#known = seen
        return
      }
    }
    this.#servesSinceMs ??= this.#now() + this.#random() * JITTER_MS
    if (this.#now() - this.#servesSinceMs < BACK_AFTER_MS) return
    if (this.#options.waits?.()) return
    this.#returning = true
    await this.#return(seen, lostItsData)
    this.#returning = false
  }

  async #return (seen: Seen, lostItsData: boolean): Promise<void> {
    try {
      await this.#options.recover(lostItsData)
      // It was lost again meanwhile.
      if (this.#servesSinceMs === undefined) return
      this.#closing = this.#options.settle().then(() => this.#close(seen))
      await this.#closing
    } catch (error) {
      this.trip(error)
    } finally {
      this.#closing = undefined
    }
  }

  #note (seen: Seen): void {
    this.#known = seen
    this.#options.onKnown?.(seen)
  }

  #close (seen: Seen): void {
    this.#note(seen)
    this.#openSinceMs = undefined
    this.#servesSinceMs = undefined
    this.#options.onChange?.(false)
  }
}

/** Whether a key tells of another generation of data than before. */
function isOther ({ generations: before }: Seen, { generations: now }: Seen): boolean {
  return Object.keys(now).some((key) => before[key] !== undefined && before[key] !== now[key])
}

/** Whether none of the servers is there that were there before, or one has lost something. */
function isRestarted (before: Seen, now: Seen): boolean {
  const { losses = {} } = before
  const hasLost = Object.entries(now.losses ?? {}).some(([key, count]) =>
    losses[key] !== undefined && losses[key] !== count)
  const isOther = before.servers.length > 0 &&
    !now.servers.some((server) => before.servers.includes(server))
  return hasLost || isOther
}
