/** Whole lists of limits. */
import type { LimitEntry, LimitLists } from '../../services/limits/limits-store.ts'

export async function all (limits: LimitLists, prefix = ''): Promise<LimitEntry[]> {
  const entries: LimitEntry[] = []
  for await (const batch of limits.allLimits(prefix)) entries.push(...batch)
  return entries.sort(byName)
}

/** Every page of a list, one after the other. */
export async function pages (
  limits: LimitLists,
  prefix: string,
  count: number
): Promise<LimitEntry[][]> {
  const got: LimitEntry[][] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { entries, next_cursor: next } = await limits.listLimits(prefix, { cursor, count })
    got.push(entries)
    cursor = next
  }
  return got
}

export function byName ([a]: LimitEntry, [b]: LimitEntry): number {
  return a < b ? -1 : a > b ? 1 : 0
}
