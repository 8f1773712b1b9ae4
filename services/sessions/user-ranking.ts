/** Users in the order of their sessions, out of a stream of any length, in bounded memory. */
import type { CountEntry } from './session-lists.ts'

/**
 * The entries from `offset` on, of all in the stream. Holds at most twice `offset + limit` entries
 * at a time: whenever there are more, those that can no longer be among the wanted are dropped.
 */
export async function rankUsers (
  batches: AsyncIterable<CountEntry[]>,
  sort: 'sessions_desc' | 'sessions_asc',
  offset: number,
  limit: number
): Promise<{ entries: CountEntry[]; total: number }> {
  const wanted = offset + limit
  const sign = sort === 'sessions_desc' ? -1 : 1
  const order = ([nameA, a]: CountEntry, [nameB, b]: CountEntry) =>
    a !== b ? sign * (a - b) : nameA < nameB ? -1 : 1
  let [best, total]: [CountEntry[], number] = [[], 0]
  for await (const batch of batches) {
    total += batch.length
    best.push(...batch)
    if (best.length > 2 * wanted + batch.length) best = best.sort(order).slice(0, wanted)
  }
  return { entries: best.sort(order).slice(offset, wanted), total }
}
