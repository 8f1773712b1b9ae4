/** A map whose values end by themselves, and go then, whether anybody asks for them or not. */
import type { Clock } from '../clock.ts'
import { ExpiryQueue } from './expiry-queue.ts'

/** The most values that one change forgets: more than it adds. */
const MOST_DUE = 10
/**
 * How long a key is waited for before it is looked at again, in milliseconds: one that was deleted
 * long before its end leaves nothing behind for longer than that.
 */
const LOOK_AGAIN_MS = 300_000

/** Holds values until they end; what has ended is never seen. */
export class EndingMap<T> {
  #clock: Clock
  #endOf: (value: T) => number
  #values = new Map<string, T>()
  /** When to look at which value; each key is in it once. */
  #ends = new ExpiryQueue<string>()
  #awaited = new Set<string>()

  /** @param endOf - when a value ends, in milliseconds on the clock; Infinity for never */
  constructor (clock: Clock, endOf: (value: T) => number) {
    this.#clock = clock
    this.#endOf = endOf
  }

  /** How many values are remembered, those that have ended a while ago left out. */
  get size (): number {
    return this.#values.size
  }

  /** How many ends are waited for. */
  get endCount (): number {
    return this.#ends.size
  }

  get (key: string): T | undefined {
    const value = this.#values.get(key)
    if (value === undefined || this.#endOf(value) > this.#clock()) return value
    this.#values.delete(key)
    return undefined
  }

  set (key: string, value: T): void {
    this.#forgetEnded()
    this.#values.set(key, value)
    this.#await(key, value)
  }

  /** @returns whether there was a value that had not ended */
  delete (key: string): boolean {
    return this.get(key) !== undefined && this.#values.delete(key)
  }

  * [Symbol.iterator] (): Generator<[key: string, value: T]> {
    const now = this.#clock()
    for (const [key, value] of this.#values) if (this.#endOf(value) > now) yield [key, value]
  }

  #await (key: string, value: T): void {
    const endMs = this.#endOf(value)
    if (endMs === Infinity || this.#awaited.has(key)) return
    this.#awaited.add(key)
    this.#ends.push(Math.min(endMs, this.#clock() + LOOK_AGAIN_MS), key)
  }

  #forgetEnded (): void {
    const now = this.#clock()
    for (let i = 0; i < MOST_DUE; i++) {
      const key = this.#ends.popDue(now)
      if (key === undefined) return
      this.#awaited.delete(key)
      const later = this.get(key)
      if (later !== undefined) this.#await(key, later)
    }
  }
}
