/** The limits that were last seen, for the time when Redis cannot be asked. */
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import type { Bar } from '../limits/bar.ts'
import { limitInForce, type LimitInForce, type TemporaryLimit } from '../limits/limit-value.ts'
import type { DefaultLimit, LimitLists } from '../limits/limits-store.ts'
import { BoundedMap } from '../util/bounded-map.ts'
import { repeat, repeatLater, systemTimer, type Repeated, type Timer } from '../util/repeat.ts'
import { throttled } from '../util/throttled.ts'
import { CompactLimits } from './compact-limits.ts'

/** The most users of whom it is remembered what an answer said of their limits. */
const MOST_SEEN = 200_000
/** The most temporary limits that are remembered, and the most bars. */
const MOST_TEMPORARY = 100_000
/** The most own limits that are read in advance; they take up to 50 MB. */
const MOST_OWN = 2_000_000
/** For how long what an admission showed need not be noted again, in milliseconds. */
const FRESH_MS = 5_000
/** How often all limits are read anew, in milliseconds. */
const REREAD_INTERVAL_MS = 300_000
/** How often the known temporary limits and bars are read anew, in milliseconds. */
const TEMPORARY_INTERVAL_MS = 2_000
/** The same after a reading that failed. */
const RETRY_INTERVAL_MS = 2_000
/** How much of the time that reading may take. */
const REREAD_SHARE = 0.5
/** How many are noted before others have their turn. */
const NOTED_AT_ONCE = 1_000
/** How many temporary limits one look reads. */
const LOOK = 500

/** What an answer said of a user's own limit: null for none, undefined where it did not say. */
interface Seen {
  own: number | null | undefined
  atMs: number
}

/** A limit that was in force, as an answer of the store tells. */
type Noted = Pick<LimitInForce, 'limit' | 'source' | 'reason'> & {
  expiresAtMs?: number | undefined
}

type SeenTemporary = TemporaryLimit & { atMs: number }
type SeenBar = Bar & { atMs: number }

/** How the cache reads in advance. */
export interface Reading {
  lists: Pick<LimitLists, 'allStored' | 'temporaryLimits' | 'bars'>
  onError: (error: unknown) => void
  /** Told after each reading whether there were more own limits than are remembered. */
  onFull?: (isFull: boolean) => void
  timer?: Timer
}

/** Remembers what is known of users' limits, and when it was seen. */
export class LimitCache {
  #defaultLimit: DefaultLimit
  #clock: Clock
  #mostOwn: number
  #seen = new BoundedMap<string, Seen>(MOST_SEEN)
  #temporary = new BoundedMap<string, SeenTemporary>(MOST_TEMPORARY)
  #bars = new BoundedMap<string, SeenBar>(MOST_TEMPORARY)
  #own = new CompactLimits()
  #isFull = false
  #allSeenMs: number | undefined
  #loops: Repeated[] = []
  #stopped = false

  /** @param mostOwn - how many own limits are read in advance */
  constructor (defaultLimit: DefaultLimit, clock: Clock, mostOwn = MOST_OWN) {
    this.#defaultLimit = defaultLimit
    this.#clock = clock
    this.#mostOwn = mostOwn
  }

  /** The limit in force as far as it is known, else the default. */
  limitNow (username: string): LimitInForce {
    const temporary = this.#temporary.get(username)
    const isOver = temporary !== undefined && temporary.expiresAtMs <= this.#clock()
    if (isOver) this.#temporary.delete(username)
    const seen = this.#seen.get(username)?.own
    const own = seen === undefined ? this.#own.get(username) : (seen ?? undefined)
    const inForce = isOver ? undefined : temporary
    const limit = limitInForce(username, own, inForce, this.#defaultLimit())
    const bar = this.#bars.get(username)
    if (bar === undefined || (bar.expiresMs ?? Infinity) <= this.#clock()) return limit
    return { ...limit, bar: { reason: bar.reason, expiresMs: bar.expiresMs } }
  }

  /**
   * How old the knowledge of a user's limit is, in milliseconds; undefined when nothing is known.
   */
  ageMs (username: string): number | undefined {
    const isListed = !this.#isFull || this.#own.get(username) !== undefined
    const seenMs = this.#seen.get(username)?.atMs ?? (isListed ? this.#allSeenMs : undefined)
    return seenMs === undefined ? undefined : Math.max(0, this.#clock() - seenMs)
  }

  /** Notes a limit in force and a bar, as they were read. */
  see (limit: LimitInForce): void {
    this.seeBar(limit.username, limit.bar)
    this.#note(limit.username, limit)
  }

  /** Notes a user's bar, as it was written or found; undefined where there is none. */
  seeBar (username: string, bar: Bar | undefined): void {
    if (bar === undefined) this.#bars.delete(username)
    else this.#bars.put(username, { ...bar, atMs: this.#clock() })
  }

  #note (username: string, { limit, source, expiresAtMs, reason = '' }: Noted): void {
    const atMs = this.#clock()
    if (source === 'temporary' && expiresAtMs !== undefined) {
      this.#temporary.put(username, { limit, expiresAtMs, reason, atMs })
      this.#seen.put(username, { own: this.#seen.get(username)?.own, atMs })
    } else {
      this.#temporary.delete(username)
      this.#seen.put(username, { own: source === 'user' ? limit : null, atMs })
    }
  }

  /** Notes a user's own limit, as it was written; undefined when it was removed. */
  seeOwn (username: string, limit: number | undefined): void {
    this.#seen.put(username, { own: limit ?? null, atMs: this.#clock() })
  }

  /** Notes that a temporary limit was removed. */
  seeNoTemporary (username: string): void {
    this.#temporary.delete(username)
  }

  /** Notes the limit that an admission was decided by. */
  seeInForce (username: string, limit: Noted): void {
    const seenMs = this.#seen.get(username)?.atMs
    const isFresh = seenMs !== undefined && this.#clock() - seenMs < FRESH_MS
    if (!isFresh || isOther(this.limitNow(username), limit)) this.#note(username, limit)
  }

  /**
   * Reads all limits now and from time to time, so that a user who has not called yet is known,
   * too; and the known temporary ones and bars more often, for others may remove them.
   */
  start ({ lists, onError, onFull = () => {}, timer = systemTimer }: Reading): void {
    const loop = { timer, retryMs: RETRY_INTERVAL_MS }
    this.#loops = [
      repeat({
        work: async () => {
          await this.#reread(lists)
          onFull(this.#isFull)
        },
        onError,
        everyMs: REREAD_INTERVAL_MS,
        ...loop
      }),
      repeatLater({
        work: async () => await this.#rereadKnown(lists),
        onError: () => {},
        everyMs: TEMPORARY_INTERVAL_MS,
        ...loop
      })
    ]
  }

  stop (): void {
    this.#stopped = true
    for (const loop of this.#loops) loop.stop()
  }

  async #reread (lists: Pick<LimitLists, 'allStored'>): Promise<void> {
    const startedMs = this.#clock()
    const own = new CompactLimits()
    let isFull = false
    for await (const batch of throttled(lists.allStored(), REREAD_SHARE)) {
      if (this.#stopped) return
      for (const { username, limit, temporary, bar } of batch) {
        if (bar !== undefined) this.seeBar(username, bar)
        else if (temporary !== undefined) this.#noteTemporary(username, temporary, startedMs)
        else if (limit === undefined) continue
        else if (own.size < this.#mostOwn) own.set(username, limit)
        else isFull = true
      }
    }
    this.#own = own
    this.#isFull = isFull
    this.#allSeenMs = startedMs
    await this.#forgetBefore(startedMs)
  }

  /** Takes over a temporary limit that was read, unless something newer is known. */
  #noteTemporary (username: string, temporary: TemporaryLimit, readMs: number): void {
    const atMs = this.#clock()
    if ((this.#seen.get(username)?.atMs ?? 0) > readMs) return
    this.#temporary.put(username, { ...temporary, atMs })
  }

  /** Forgets what is older than a reading of all limits: that has said what it says no more. */
  async #forgetBefore (readMs: number): Promise<void> {
    let looked = 0
    for (const known of [this.#seen, this.#temporary, this.#bars]) {
      for (const [username, { atMs }] of known) {
        if (atMs < readMs) known.delete(username)
        // To look at all of them in one go would hold up everybody.
        if (++looked % NOTED_AT_ONCE === 0) await setImmediate()
      }
    }
  }

  async #rereadKnown (lists: Pick<LimitLists, 'temporaryLimits' | 'bars'>): Promise<void> {
    await this.#readAgain(this.#temporary, async (names) => await lists.temporaryLimits(names))
    await this.#readAgain(this.#bars, async (names) => await lists.bars(names))
  }

  async #readAgain<V> (
    known: BoundedMap<string, V & { atMs: number }>,
    read: (usernames: string[]) => Promise<Array<V | undefined>>
  ): Promise<void> {
    const all = [...known.keys()]
    for (let i = 0; i < all.length && !this.#stopped; i += LOOK) {
      const names = all.slice(i, i + LOOK)
      const startedMs = this.#clock()
      const found = await read(names)
      names.forEach((username, at) => {
        const [value, before] = [found[at], known.get(username)]
        if (before === undefined || before.atMs > startedMs) return
        if (value === undefined) known.delete(username)
        else known.set(username, { ...value, atMs: startedMs })
      })
    }
  }
}

function isOther (known: LimitInForce, { limit, source, expiresAtMs }: Noted): boolean {
  return known.limit !== limit || known.source !== source || known.expiresAtMs !== expiresAtMs
}
