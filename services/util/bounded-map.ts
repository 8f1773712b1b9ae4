/** A map that holds so many entries at the most: the one that was put longest ago goes first. */

/** A map with `put` beside `set`, which keeps to no bound. */
export class BoundedMap<K, V> extends Map<K, V> {
  #most: number
  /**
   * Goes on where it was: one that begins anew has to pass all the places of entries that are gone,
   * and there may be as many as there are entries (with 200,000 of them 16 to 120 µs each time).
   */
  #oldest = this.keys()

  /** @param most - at least 1 */
  constructor (most: number) {
    super()
    this.#most = most
  }

  /** Puts an entry behind all others. @returns the key of the one that had to go for it */
  put (key: K, value: V): K | undefined {
    this.delete(key)
    this.set(key, value)
    if (this.size <= this.#most) return undefined
    const { value: oldest } = this.#oldest.next()
    if (oldest !== undefined) this.delete(oldest)
    return oldest
  }
}
