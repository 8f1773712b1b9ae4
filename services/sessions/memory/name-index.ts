/** Session ids by the name of a user or a node. Most users have one session: they cost no set. */

/** Finds the ids of a user's or a node's sessions by its name. */
export class NameIndex {
  #ids = new Map<string, string | Set<string>>()

  names (): Iterable<string> {
    return this.#ids.keys()
  }

  of (name: string): Iterable<string> {
    const ids = this.#ids.get(name) ?? []
    return typeof ids === 'string' ? [ids] : ids
  }

  add (name: string, id: string): void {
    const ids = this.#ids.get(name)
    if (ids === undefined || ids === id) this.#ids.set(name, id)
    else if (typeof ids === 'string') this.#ids.set(name, new Set([ids, id]))
    else ids.add(id)
  }

  remove (name: string, id: string): void {
    const ids = this.#ids.get(name)
    if (ids === id) this.#ids.delete(name)
    else if (ids instanceof Set && ids.delete(id) && ids.size === 0) this.#ids.delete(name)
  }
}
