/** Reads the index of a node's leases in steps, so that Redis serves others between them. */
import type { RedisExecutor } from '../../redis/executor.ts'

/** How many members one step looks at, removes or looks up. */
export const STEP = 500

/** The members, some at a time. One may come twice where the index changes meanwhile. */
export async function * membersOf (
  executor: RedisExecutor,
  index: string
): AsyncGenerator<string[]> {
  let cursor = '0'
  do {
    const scan = executor.client.zscan(index, cursor, 'COUNT', STEP)
    const [next, pairs] = await executor.run(executor.or<[string, string[]]>(['0', []], scan))
    yield pairs.filter((_text, i) => i % 2 === 0)
    cursor = next
  } while (cursor !== '0')
}

/** Removes what the index names beyond its end: that is no lease any more. */
export async function removeExpired (executor: RedisExecutor, index: string): Promise<void> {
  for (let removed = STEP; removed === STEP;) {
    removed = (await purge(executor, [index], STEP)).flat().length
  }
}

/**
 * Removes up to so many members that have expired.
 * @param keys - sorted sets of leases by their end; in a cluster a single one
 * @returns what was removed, for each key
 * @throws ServiceError `store_unavailable`
 */
export async function purge (
  executor: RedisExecutor,
  keys: string[],
  most: number
): Promise<string[][]> {
  const reply = executor.scripts.purge(keys, [most, executor.deadline()])
  return (await executor.run(reply)) as string[][]
}

/** Removes a set that may be large. */
export async function removeSet (executor: RedisExecutor, key: string): Promise<void> {
  const { client } = executor
  let cursor = '0'
  do {
    const [next, members] = await executor.run(client.sscan(key, cursor, 'COUNT', STEP))
    if (members.length > 0) await executor.run(client.srem(key, ...members))
    cursor = next
  } while (cursor !== '0')
  await executor.run(client.del(key))
}
