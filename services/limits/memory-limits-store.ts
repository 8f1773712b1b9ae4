/**
 * Limits that live as long as the process: for a first try, for development, and as the twin of the
 * Redis store in tests.
 */
import type { Clock } from '../clock.ts'
import { EndingMap } from '../util/ending-map.ts'
import { sortedPage } from '../util/sorted-page.ts'
import type { Bar } from './bar.ts'
import { limitInForce, type TemporaryLimit } from './limit-value.ts'
import type { DefaultLimit, LimitLists, LimitsStore } from './limits-store.ts'

/** Keeps limits in memory; temporary ones, and bars, end by the given clock. */
export class MemoryLimitsStore implements LimitsStore, LimitLists {
  #defaultLimit: DefaultLimit
  #clock: Clock
  #own = new Map<string, number>()
  #temporary: EndingMap<TemporaryLimit>
  #bars: EndingMap<Bar>

  constructor (defaultLimit: DefaultLimit, clock: Clock) {
    this.#defaultLimit = defaultLimit
    this.#clock = clock
    this.#temporary = new EndingMap(clock, ({ expiresAtMs }) => expiresAtMs)
    this.#bars = new EndingMap(clock, ({ expiresMs = Infinity }) => expiresMs)
  }

  async getLimit (username: string) {
    return this.limitNow(username)
  }

  /** The limit in force, at once. */
  limitNow (username: string) {
    const limit = limitInForce(
      username,
      this.#own.get(username),
      this.#temporary.get(username),
      this.#defaultLimit()
    )
    const bar = this.#bars.get(username)
    return bar === undefined ? limit : { ...limit, bar }
  }

  /** How many temporary limits and bars are remembered. */
  get endingCount (): number {
    return this.#temporary.size + this.#bars.size
  }

  async setLimit (username: string, limit: number) {
    this.#own.set(username, limit)
  }

  async removeLimit (username: string) {
    return this.#own.delete(username)
  }

  async setLimits (limits: Record<string, number | null>) {
    let [set, removed] = [0, 0]
    for (const [username, limit] of Object.entries(limits)) {
      if (limit === null) {
        if (this.#own.delete(username)) removed++
      } else {
        this.#own.set(username, limit)
        set++
      }
    }
    return { set, removed }
  }

  async setTemporaryLimit (
    username: string,
    { limit, duration, reason }: { limit: number; duration: number; reason?: string }
  ) {
    const expiresAtMs = this.#clock() + duration * 1000
    this.#temporary.set(username, { limit, expiresAtMs, reason: reason ?? '' })
    return expiresAtMs
  }

  async removeTemporaryLimit (username: string) {
    return this.#temporary.delete(username)
  }

  async setBar (username: string, bar: Bar) {
    if (bar.expiresMs !== undefined && bar.expiresMs <= this.#clock()) return false
    this.#bars.set(username, bar)
    return true
  }

  async removeBar (username: string) {
    return this.#bars.delete(username)
  }

  async listLimits (prefix: string, { cursor, count }: { cursor: string; count: number }) {
    return sortedPage(this.#withPrefix(prefix), cursor, count)
  }

  async * allLimits (prefix: string) {
    yield [...this.#withPrefix(prefix)]
  }

  async * allStored () {
    yield [...this.#own].map(([username, limit]) => ({ username, limit }))
    yield [...this.#temporary].map(([username, temporary]) => ({ username, temporary }))
    yield [...this.#bars].map(([username, bar]) => ({ username, bar }))
  }

  async temporaryLimits (usernames: string[]) {
    return usernames.map((username) => this.#temporary.get(username))
  }

  async bars (usernames: string[]) {
    return usernames.map((username) => this.#bars.get(username))
  }

  * #withPrefix (prefix: string) {
    for (const entry of this.#own) if (entry[0].startsWith(prefix)) yield entry
  }
}

/** What admission in memory asks of limits. */
export type KnownLimits = Pick<MemoryLimitsStore, 'limitNow'>
