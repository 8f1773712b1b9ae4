/** Work on long lists in slices, so that nobody waits for all of it. */

/** How many items one slice works on: a millisecond or two at the most. */
export const AT_ONCE = 250

const waiting: Array<() => void> = []

/**
 * Waits for the next slice of long work. In each round of the event loop one is worked on, whosever
 * it is: however much of such work is under way, others wait for one slice at a time.
 */
export function turn (): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(next)
  })
}

function next (): void {
  waiting.shift()?.()
  if (waiting.length > 0) setImmediate(next)
}

/** Works on each item of a list, in their order. */
export async function forEachInTurns<T> (
  items: readonly T[],
  work: (item: T, index: number) => void
): Promise<void> {
  for (const [i, item] of items.entries()) {
    if (i > 0 && i % AT_ONCE === 0) await turn()
    work(item, i)
  }
}

/** Maps a list. */
export async function mapInTurns<T, R> (
  items: readonly T[],
  map: (item: T, index: number) => R
): Promise<R[]> {
  const mapped: R[] = []
  await forEachInTurns(items, (item, i) => mapped.push(map(item, i)))
  return mapped
}
