import { randomNumbers } from '../helpers/random-numbers.ts'

/** What is left to chance; a seed repeats it. */
export class Dice {
  #next: () => number

  constructor (seed: number) {
    this.#next = randomNumbers(seed)
  }

  /** Whether something happens that is so likely, from 0 to 1. */
  happens (share: number): boolean {
    return this.#next() < share
  }

  /** A whole number from `least` up to `most`. */
  between (least: number, most: number): number {
    return least + Math.floor(this.#next() * (most - least + 1))
  }

  /** One of a list that is not empty. */
  of<T>(list: readonly T[]): T {
    return list[Math.floor(this.#next() * list.length)] as T
  }

  /** Up to so many of a list, none twice. */
  some<T>(list: readonly T[], most: number): T[] {
    const rest = [...list]
    const chosen: T[] = []
    while (rest.length > 0 && chosen.length < most) {
      chosen.push(...rest.splice(this.between(0, rest.length - 1), 1))
    }
    return chosen
  }
}
