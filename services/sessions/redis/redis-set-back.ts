/** What is done in Redis after its clock was set back. */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { keyspaces, scanSteps } from '../../redis/scan.ts'
import { slotOf, slotOwners } from '../../redis/slots.ts'
import { throttled } from '../../util/throttled.ts'
import { RECORD_GRACE_MS } from '../timing.ts'

/** A clock that was set back by less leaves nothing that lasts much too long, in milliseconds. */
export const WORTH_MENDING_MS = 120_000
/** The most keys that one step looks at. */
const STEP_KEYS = 100
/** How much of the time it may take. */
const SHARE = 0.5

/**
 * Shortens every lease that was taken before the clock was set back, in small steps.
 * @param backMs - by how much it was set back
 * @throws ServiceError `store_unavailable`
 */
export async function shortenLeases (
  executor: RedisExecutor,
  keys: RedisKeys,
  backMs: number
): Promise<void> {
  const shorten = async (leases: string[]) => {
    const names = leases.map((key) => keys.usernameOf('user-leases', key) ?? '')
    const batches = keys.cluster ? leases.map((key) => [key]) : [leases]
    await Promise.all(
      batches.map(async (batch, i) => {
        const args = [backMs, keys.leasePrefix(names[i] ?? ''), RECORD_GRACE_MS]
        await executor.run(executor.scripts.shiftLeases(batch, args))
      })
    )
    return leases
  }
  await walk(executor, keys.pattern('user-leases'), shorten)
}

/**
 * Forgets when all sessions of users were ended: by the clock that was set back, calls that are up
 * seem to have begun before that. Every replica tells what it knows again, by the clock as it is.
 * @param at - a key of the server whose clock was set
 * @throws ServiceError `store_unavailable`
 */
export async function forgetUserEnds (
  executor: RedisExecutor,
  keys: RedisKeys,
  at: string
): Promise<void> {
  const { client } = executor
  const owners = slotOwners(client)
  const ownerOf = (key: string) => owners?.ownerOf(slotOf(key))
  const forget = async (ends: string[]) => {
    const there = ends.filter((key) => ownerOf(key) === ownerOf(at))
    await Promise.all(there.map(async (key) => await executor.run(client.del(key))))
    return ends
  }
  await walk(executor, keys.pattern('user-ended'), forget)
}

/** Does something with all keys that match a pattern, in small steps. */
async function walk (
  executor: RedisExecutor,
  pattern: string,
  load: (found: string[]) => Promise<string[]>
): Promise<void> {
  const sources = keyspaces(executor, pattern, (key) => key)
  const steps = throttled(scanSteps({ sources, load }, STEP_KEYS), SHARE)
  while ((await steps.next()).done !== true);
}
