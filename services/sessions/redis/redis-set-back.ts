/** What is done in Redis after its clock was set back. */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { keyspaces, scanSteps } from '../../redis/scan.ts'
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
  const sources = keyspaces(executor, keys.pattern('user-leases'), (key) => key)
  const steps = scanSteps({ sources, load: shorten }, STEP_KEYS)
  const walk = throttled(steps, SHARE)
  while ((await walk.next()).done !== true);
}
