/** Many questions, a few under way at a time: whoever else asks has to wait for those few only. */

/**
 * Does the work for each item; they begin in their order, `atOnce` of them without waiting for one
 * another.
 */
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
