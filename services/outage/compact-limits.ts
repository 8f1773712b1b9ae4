/**
 * Limits of very many users in little memory: 12 bytes for each place, and no name is kept. A user
 * is found by a hash of 64 bits, which is seeded anew in each process: the chance that two of two
 * million users share one is 1 in 10 million.
 */
import { randomInt } from 'node:crypto'

/** How many parts there are: growing one holds nobody up. */
const PARTS = 64
/** How many places a part has at first; a power of two. */
const FIRST_PLACES = 64
/** Which share of a part's places is used at the most. */
const FULL = 0.6
/** The largest limit that a place holds; nobody has as many calls up. */
const MOST_LIMIT = 2_147_483_647

/** One part: open addressing, and a place is free where both halves of the hash are 0. */
class Part {
  size = 0
  #high = new Uint32Array(FIRST_PLACES)
  #low = new Uint32Array(FIRST_PLACES)
  #limits = new Int32Array(FIRST_PLACES)

  get (high: number, low: number): number | undefined {
    const at = this.#find(high, low)
    return this.#high[at] === 0 && this.#low[at] === 0 ? undefined : this.#limits[at]
  }

  set (high: number, low: number, limit: number): void {
    if (this.size >= FULL * this.#high.length) this.#grow()
    const at = this.#find(high, low)
    if (this.#high[at] === 0 && this.#low[at] === 0) this.size++
    this.#high[at] = high
    this.#low[at] = low
    this.#limits[at] = limit
  }

  #find (high: number, low: number): number {
    const mask = this.#high.length - 1
    let at = low & mask
    for (;;) {
      const [itsHigh, itsLow] = [this.#high[at], this.#low[at]]
      if ((itsHigh === high && itsLow === low) || (itsHigh === 0 && itsLow === 0)) return at
      at = (at + 1) & mask
    }
  }

  #grow (): void {
    const [high, low, limits] = [this.#high, this.#low, this.#limits]
    this.#high = new Uint32Array(2 * high.length)
    this.#low = new Uint32Array(2 * high.length)
    this.#limits = new Int32Array(2 * high.length)
    this.size = 0
    high.forEach((one, i) => {
      const other = low[i] ?? 0
      if (one !== 0 || other !== 0) this.set(one, other, limits[i] ?? 0)
    })
  }
}

/** Holds one limit for each user; nothing is removed, only all of it is given up. */
export class CompactLimits {
  /** How many users' limits are held. */
  size = 0
  #seed = [randomInt(2 ** 32), randomInt(2 ** 32)] as const
  #parts = Array.from({ length: PARTS }, () => new Part())

  get (username: string): number | undefined {
    if (this.size === 0) return undefined
    const [high, low] = this.#hash(username)
    return this.#parts[high % PARTS]?.get(high, low)
  }

  /** @param limit - a negative one is unlimited, like 0 */
  set (username: string, limit: number): void {
    const [high, low] = this.#hash(username)
    const part = this.#parts[high % PARTS] as Part
    const before = part.size
    part.set(high, low, Math.min(Math.max(limit, 0), MOST_LIMIT))
    this.size += part.size - before
  }

  /** Both halves of a hash after cyrb53; never both 0. */
  #hash (text: string): [high: number, low: number] {
    let [one, other]: [number, number] = [...this.#seed]
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      one = Math.imul(one ^ code, 2654435761)
      other = Math.imul(other ^ code, 1597334677)
    }
    const mixed = (a: number, b: number) =>
      Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
    one = mixed(one, other)
    other = mixed(other, one)
    return [one >>> 0, other >>> 0 || 1]
  }
}
