/** The limits that were last seen, for the time when Redis cannot be asked. */
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import type { LimitInForce } from '../limits/limit-value.ts'
import type { LimitLists } from '../limits/limits-store.ts'
import type { MemoryLimitsStore } from '../limits/memory-limits-store.ts'
import { BoundedMap } from '../util/bounded-map.ts'
import { repeat, type Repeated } from '../util/repeat.ts'
import { throttled } from '../util/throttled.ts'

/** The most users whose limits are remembered. */
const MOST_USERS = 200_000
/** For how long what an admission showed need not be noted again, in milliseconds. */
const FRESH_MS = 5_000
/** How often all own limits are read anew, in milliseconds. */
const REREAD_INTERVAL_MS = 300_000
/** The same after a reading that failed. */
const RETRY_INTERVAL_MS = 2_000
/** How much of the time that reading may take. */
const REREAD_SHARE = 0.5
/** How many are noted before others have their turn. */
const NOTED_AT_ONCE = 1_000

/** Remembers what is known of users' limits, and when it was seen. */
export class LimitCache {
  /** The limits as last seen. */
  readonly mirror: MemoryLimitsStore
  #clock: Clock
  #seenMs = new BoundedMap<string, number>(MOST_USERS)
  #allSeenMs: number | undefined
  #rereading: Repeated | undefined
  #stopped = false

  constructor (mirror: MemoryLimitsStore, clock: Clock) {
    this.mirror = mirror
    this.#clock = clock
  }

  /**
   * How old the knowledge of a user's limit is, in milliseconds; undefined when nothing is known.
   */
  ageMs (username: string): number | undefined {
    const seenMs = this.#seenMs.get(username) ?? this.#allSeenMs
    return seenMs === undefined ? undefined : Math.max(0, this.#clock() - seenMs)
  }

  /** Notes a limit in force, as it was read. */
  see ({ username, limit, source, expiresAtMs, reason = '' }: LimitInForce): void {
    if (source === 'temporary' && expiresAtMs !== undefined) {
      this.mirror.rememberTemporary(username, { limit, expiresAtMs, reason })
    } else {
      this.mirror.remember(username, source === 'user' ? limit : undefined)
    }
    this.#touch(username)
  }

  /** Notes a user's own limit, as it was written; undefined when it was removed. */
  seeOwn (username: string, limit: number | undefined): void {
    this.mirror.remember(username, limit)
    this.#touch(username)
  }

  /** Notes the limit that an admission was decided by, wherever it came from. */
  seeInForce (username: string, limit: number): void {
    const known = this.mirror.limitNow(username).limit === limit
    if (known && this.#clock() - (this.#seenMs.get(username) ?? -Infinity) < FRESH_MS) return
    if (!known) this.mirror.remember(username, limit)
    this.#touch(username)
  }

  /**
   * Reads all own limits now and from time to time, so that a user who has not called yet is known
   * too.
   */
  start (lists: LimitLists, onError: (error: unknown) => void): void {
    this.#rereading = repeat({
      work: async () => await this.#reread(lists),
      onError,
      everyMs: REREAD_INTERVAL_MS,
      retryMs: RETRY_INTERVAL_MS
    })
  }

  stop (): void {
    this.#stopped = true
    this.#rereading?.stop()
  }

  async #reread (lists: LimitLists): Promise<void> {
    const startedMs = this.#clock()
    const found = new Map<string, number>()
    for await (const batch of throttled(lists.allLimits(''), REREAD_SHARE)) {
      if (this.#stopped || found.size > MOST_USERS) return
      for (const [username, limit] of batch) found.set(username, limit)
    }
    const isOlder = (username: string) => (this.#seenMs.get(username) ?? 0) < startedMs
    let noted = 0
    // Noting 200,000 in one go would hold up everybody for a tenth of a second.
    const rest = async () => {
      if (++noted % NOTED_AT_ONCE === 0) await setImmediate()
    }
    for (const username of [...this.#seenMs.keys()]) {
      await rest()
      if (!found.has(username) && isOlder(username)) {
        this.mirror.remember(username, undefined)
        this.#seenMs.delete(username)
      }
    }
    for (const [username, limit] of found) {
      await rest()
      if (isOlder(username)) this.seeOwn(username, limit)
    }
    this.#allSeenMs = startedMs
  }

  #touch (username: string): void {
    const forgotten = this.#seenMs.put(username, this.#clock())
    if (forgotten !== undefined) this.mirror.remember(forgotten, undefined)
  }
}
