/**
 * Work on many items with a limit, so that other callers of the store do not wait for all of it.
 */

/** Works on each item, in their order, and on no more than `atOnce` of them at the same time. */
export async function forEachLimit<T> (
  items: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>
): Promise<void> {
  const rest = items[Symbol.iterator]()
  const worker = async () => {
    for (let next = rest.next(); next.done !== true; next = rest.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
