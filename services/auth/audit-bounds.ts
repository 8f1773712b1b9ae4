/** Keeps audit lines short, whatever a caller sends, and refused callers from filling the log. */
import { BoundedMap } from '../util/bounded-map.ts'
import type { Clock } from '../clock.ts'

/** The longest collection of names that is logged as it is, as JSON; of a longer one, the count. */
const LONGEST_NAMES = 2_048

/** How many addresses are told apart. */
const MOST_ADDRESSES = 1_000

/**
 * A text whose JSON takes at most so many bytes in a log line, every escape included; what does not
 * fit is cut off.
 */
export function clipped (text: string, most: number): string {
  let room = most
  let length = 0
  for (const character of text) {
    room -= bytesOf(character)
    if (room < 0) return `${text.slice(0, length)}…`
    length += character.length
  }
  return text
}

/** A value of a body or an answer: long texts are cut, and of many names only the count is left. */
export function shortened (value: unknown): unknown {
  if (typeof value === 'string') return clipped(value, 512)
  if (Array.isArray(value)) return value.length
  if (typeof value !== 'object' || value === null) return value
  const names = Object.keys(value)
  return names.length > LONGEST_NAMES || JSON.stringify(value).length > LONGEST_NAMES
    ? names.length
    : value
}

/** The most bytes that a character takes in a log line. */
function bytesOf (character: string): number {
  if (/^[ -~]$/.test(character)) return character === '"' || character === '\\' ? 2 : 1
  return 6 * character.length
}

/** Allows so many lines for each address in a window of time, and so many in all. */
export class LineBudget {
  #limits: { perAddress: number; inAll: number; windowMs: number }
  #clock: Clock
  #counts = new BoundedMap<string, number>(MOST_ADDRESSES)
  #total = 0
  #left = 0
  #endMs = 0

  constructor (limits: { perAddress: number; inAll: number; windowMs: number }, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
  }

  /**
   * Asks for a line.
   * @returns undefined if there is none left, otherwise how many were refused before this one
   */
  take (address: string): number | undefined {
    if (this.#clock() >= this.#endMs) {
      this.#endMs = this.#clock() + this.#limits.windowMs
      this.#counts = new BoundedMap(MOST_ADDRESSES)
      this.#total = 0
    }
    const count = (this.#counts.get(address) ?? 0) + 1
    if (count > this.#limits.perAddress || this.#total >= this.#limits.inAll) {
      this.#left++
      return undefined
    }
    this.#counts.put(address, count)
    this.#total++
    const left = this.#left
    this.#left = 0
    return left
  }
}
