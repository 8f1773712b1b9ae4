/** The epoch of a switch node's last report. */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import type { Reach } from '../../redis/reach.ts'
import { NODE_MEMORY_MS } from '../timing.ts'

interface Parts {
  executor: RedisExecutor
  keys: RedisKeys
  reach: Reach
}

/** `<epoch> <last seen in ms> <ttl in ms>`, as report-node.lua writes it. */
const STORED = /^(\d+) (\d+) (\d+)$/

/**
 * Notes that a node has reported.
 * @returns what report-node.lua answers; undefined where the key is out
 * @throws ServiceError `store_unavailable`
 */
export async function noteEpoch (
  { executor, keys, reach }: Parts,
  node: string,
  { epoch, ttlMs }: { epoch: number; ttlMs: number }
): Promise<[code: number, value: number] | undefined> {
  const key = keys.nodeEpoch(node)
  const reply = await reach.ask(key, async () => {
    const args = [epoch, ttlMs, NODE_MEMORY_MS, executor.deadline()]
    return await executor.run(executor.scripts.reportNode([key], args))
  })
  return reply as [number, number] | undefined
}

/**
 * What is known of a node's last report, and how long ago it came.
 * @returns undefined where none is known, or the key is out
 * @throws ServiceError `store_unavailable`
 */
export async function epochOf (
  { executor, keys, reach }: Parts,
  node: string
): Promise<{ epoch: number; sinceMs: number; ttlMs: number } | undefined> {
  const key = keys.nodeEpoch(node)
  const found = await reach.ask(key, async () => {
    const stored = executor.run(executor.or(null, executor.get(key)))
    return await Promise.all([stored, executor.nowMs(key)])
  })
  const [stored, nowMs] = found ?? [null, 0]
  const [, epoch, seenMs, ttlMs] = STORED.exec(stored ?? '') ?? []
  if (epoch === undefined) return undefined
  return { epoch: Number(epoch), sinceMs: nowMs - Number(seenMs), ttlMs: Number(ttlMs) }
}
