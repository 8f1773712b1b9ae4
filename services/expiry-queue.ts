/** Who expires next, without a timer for each: a binary heap by time, looked at when something is asked. */

interface Entry<T> { atMs: number, item: T }

/** Holds items by the time at which they are due. */
export class ExpiryQueue<T> {
  #heap: Array<Entry<T>> = []

  get size (): number {
    return this.#heap.length
  }

  push (atMs: number, item: T): void {
    const heap = this.#heap
    let at = heap.length
    heap.push({ atMs, item })
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#at(parent) <= this.#at(at)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  /** Takes out the item that is due first, if it is due by now. */
  popDue (nowMs: number): T | undefined {
    const first = this.#heap[0]
    if (first === undefined || first.atMs > nowMs) return undefined
    const last = this.#heap.pop()
    if (last !== undefined && last !== first) {
      this.#heap[0] = last
      this.#sink()
    }
    return first.item
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
    return this.#heap[i]?.atMs ?? Infinity
  }

  #swap (i: number, j: number): void {
    const [a, b] = [this.#heap[i], this.#heap[j]]
    if (a === undefined || b === undefined) return
    this.#heap[i] = b
    this.#heap[j] = a
  }
}
