/** The end of all sessions of a user on Redis. */
import { partly } from '../../errors.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { forEachLimit } from '../../util/for-each-limit.ts'
import { LONGEST_TTL_MS } from '../timing.ts'
import type { RedisSessionReads } from './redis-session-reads.ts'
import {
  releaseResult,
  type EndedLease,
  type EndedUser,
  type ReleasesFrom
} from './release-script.ts'

/** How many sessions of a user are terminated at once: others' commands go between them. */
const ENDS_AT_ONCE = 50

/** When all sessions of a user were ended. */
export interface UserEnded {
  /** By the clock of the store, as it was then, in milliseconds since the epoch. */
  atMs: number
  /** How long ago that was, in milliseconds. */
  agoMs: number
}

interface Parts {
  executor: RedisExecutor
  keys: RedisKeys
  reads: RedisSessionReads
  verbs: ReleasesFrom
}

/**
 * Notes that a user's sessions have ended, and ends them.
 * @param request - `ended`: when that was, if not now; only leases are ended then
 */
export async function endUser (
  { executor, keys, reads, verbs }: Parts,
  request: {
    username: string
    reason: string
    includeEmergency: boolean
    ended: UserEnded | undefined
  }
): Promise<EndedUser> {
  const { username, reason, includeEmergency, ended } = request
  const startedByMs = (await executor.run(
    executor.scripts.endUser(
      [keys.user('user-ended', username)],
      [
        ended?.atMs ?? '',
        ended?.agoMs ?? 0,
        includeEmergency ? '1' : '',
        LONGEST_TTL_MS,
        executor.deadline()
      ]
    )
  )) as number
  // A lease whose record is gone may have begun since then.
  const onlyLive = ended === undefined ? ('any' as const) : ('recorded' as const)
  const options = { sparesEmergency: !includeEmergency, onlyLive, startedByMs }
  const [leases, spared]: [EndedLease[], string[]] = [[], []]
  if (!keys.sharesSlot(username)) return { atMs: startedByMs, leases, spared }
  const end = async (sessionId: string) => {
    const released = await verbs.releaseFrom(username, sessionId, reason, options)
    const result = releaseResult(username, released)
    if (result.outcome === 'released') {
      leases.push({ sessionId, attempt: result.attempt, leaseMs: result.leaseMs })
    } else if (released.outcome === 'spared') spared.push(sessionId)
  }
  await partly(async () => {
    const batches = reads.sessionIds(username, ended !== undefined)
    for await (const batch of batches) await forEachLimit(batch, ENDS_AT_ONCE, end)
  })
  return { atMs: startedByMs, leases, spared }
}
