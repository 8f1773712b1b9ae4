/**
 * Who expires next, without a timer for each: a binary heap by time, looked at when something is
 * asked.
 */

/**
 * Holds items by the time at which they are due. Times and items lie side by side: no object for
 * each of many.
 */
export class ExpiryQueue<T> {
  #times: number[] = []
  #items: T[] = []

  get size (): number {
    return this.#items.length
  }

  push (atMs: number, item: T): void {
    let at = this.#times.push(atMs) - 1
    this.#items.push(item)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#at(parent) <= atMs) return
      this.#swap(at, parent)
      at = parent
    }
  }

  /** Takes out the item that is due first, if it is due by now. */
  popDue (nowMs: number): T | undefined {
    if (this.#at(0) > nowMs) return undefined
    const first = this.#items[0]
    const [lastMs, last] = [this.#times.pop(), this.#items.pop()]
    if (lastMs !== undefined && last !== undefined && this.#items.length > 0) {
      this.#times[0] = lastMs
      this.#items[0] = last
      this.#sink()
    }
    return first
  }

  #sink (): void {
    let at = 0
    while (true) {
      const [left, right] = [2 * at + 1, 2 * at + 2]
      const least = this.#at(right) < this.#at(left) ? right : left
      if (this.#at(at) <= this.#at(least)) return
      this.#swap(at, least)
      at = least
    }
  }

  #at (i: number): number {
    return this.#times[i] ?? Infinity
  }

  #swap (i: number, j: number): void {
    const [timeI, timeJ, itemI, itemJ] = [
      this.#times[i],
      this.#times[j],
      this.#items[i],
      this.#items[j]
    ]
    if (timeI === undefined || timeJ === undefined || itemI === undefined || itemJ === undefined) {
      return
    }
    this.#times[i] = timeJ
    this.#times[j] = timeI
    this.#items[i] = itemJ
    this.#items[j] = itemI
  }
}
