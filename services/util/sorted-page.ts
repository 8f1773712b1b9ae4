/** Pages of entries that are held in memory, in the order of their names. */
import type { Page } from '../../schemas/paging.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'

/**
 * Up to `count` entries, beginning after the cursor.
 * @throws ServiceError `invalid_input` for a cursor of another list
 */
export function sortedPage<T> (
  entries: Iterable<[string, T]>,
  cursor: string,
  count: number
): Page<[string, T]> {
  const after = cursor === '' ? '' : decodeCursor(cursor, (value) => typeof value === 'string')
  const rest = [...entries].filter(([name]) => name > after).sort(([a], [b]) => (a < b ? -1 : 1))
  const page = rest.slice(0, count)
  const last = page.at(-1)
  return {
    entries: page,
    next_cursor: rest.length > count && last !== undefined ? encodeCursor(last[0]) : null
  }
}
