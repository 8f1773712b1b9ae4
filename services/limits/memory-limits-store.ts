/**
 * Limits that live as long as the process: for a first try, for development, and as the twin of the
 * Redis store in tests.
 */
import type { Clock } from '../clock.ts'
import { ExpiryQueue } from '../util/expiry-queue.ts'
import { sortedPage } from '../util/sorted-page.ts'
import type { Bar } from './bar.ts'
import { limitInForce, type TemporaryLimit } from './limit-value.ts'
import type { DefaultLimit, LimitLists, LimitsStore } from './limits-store.ts'

/** The most temporary limits that one change forgets: more than it adds. */
const MOST_DUE = 10

/** Keeps limits in memory; temporary ones end by the given clock. */
export class MemoryLimitsStore implements LimitsStore, LimitLists {
  #defaultLimit: DefaultLimit
  #clock: Clock
  #own = new Map<string, number>()
  #temporary = new Map<string, TemporaryLimit>()
  /** When to look at whose temporary limit; each user is in it once. */
  #ends = new ExpiryQueue<string>()
  #awaited = new Set<string>()
  #bars = new Map<string, Bar>()

  constructor (defaultLimit: DefaultLimit, clock: Clock) {
    this.#defaultLimit = defaultLimit
    this.#clock = clock
  }

  async getLimit (username: string) {
    return this.limitNow(username)
  }

  /** The limit in force, at once. */
  limitNow (username: string) {
    const limit = limitInForce(
      username,
      this.#own.get(username),
      this.#liveTemporary(username),
      this.#defaultLimit()
    )
    const bar = this.#liveBar(username)
    return bar === undefined ? limit : { ...limit, bar }
  }

  /** How many temporary limits are remembered. */
  get temporaryCount (): number {
    return this.#temporary.size
  }

  /** How many ends of temporary limits are waited for. */
  get endCount (): number {
    return this.#ends.size
  }

  #setTemporary (username: string, temporary: TemporaryLimit): void {
    this.#forgetEnded()
    this.#temporary.set(username, temporary)
    this.#await(username, temporary)
  }

  #await (username: string, { expiresAtMs }: TemporaryLimit): void {
    if (this.#awaited.has(username)) return
    this.#awaited.add(username)
    this.#ends.push(expiresAtMs, username)
  }

  /** Forgets some of the temporary limits that have ended, whether anybody asks for them or not. */
  #forgetEnded (): void {
    const now = this.#clock()
    for (let i = 0; i < MOST_DUE; i++) {
      const username = this.#ends.popDue(now)
      if (username === undefined) return
      this.#awaited.delete(username)
      const later = this.#liveTemporary(username)
      if (later !== undefined) this.#await(username, later)
    }
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
    this.#setTemporary(username, { limit, expiresAtMs, reason: reason ?? '' })
    return expiresAtMs
  }

  async removeTemporaryLimit (username: string) {
    return this.#liveTemporary(username) !== undefined && this.#temporary.delete(username)
  }

  async setBar (username: string, bar: Bar) {
    if (bar.expiresMs !== undefined && bar.expiresMs <= this.#clock()) return false
    this.#bars.set(username, bar)
    return true
  }

  async removeBar (username: string) {
    return this.#liveBar(username) !== undefined && this.#bars.delete(username)
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
    return usernames.map((username) => this.#liveTemporary(username))
  }

  async bars (usernames: string[]) {
    return usernames.map((username) => this.#liveBar(username))
  }

  * #withPrefix (prefix: string) {
    for (const entry of this.#own) if (entry[0].startsWith(prefix)) yield entry
  }

  #liveBar (username: string): Bar | undefined {
    const bar = this.#bars.get(username)
    if (bar === undefined || (bar.expiresMs ?? Infinity) > this.#clock()) return bar
    this.#bars.delete(username)
    return undefined
  }

  #liveTemporary (username: string): TemporaryLimit | undefined {
    const temporary = this.#temporary.get(username)
    if (temporary === undefined || temporary.expiresAtMs > this.#clock()) return temporary
    this.#temporary.delete(username)
    return undefined
  }
}

/** What admission in memory asks of limits. */
export type KnownLimits = Pick<MemoryLimitsStore, 'limitNow'>
