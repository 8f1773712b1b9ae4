/**
 * Leases of sessions that were ended by their id alone when nobody could tell whose they were,
 * because Redis had lost the key that says so. Nobody renews such a lease; without this it would
 * hold its slot until its time to live ends.
 */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { endedAttempt, endedOnNode } from './lease-record.ts'
import type { ReleasesFrom } from './release-script.ts'

/** How many leases of each user are looked at: those that end first, for nobody renews them. */
const LOOKED_AT = 20

/** A lease of a session that has ended. */
interface EndedLease {
  username: string
  sessionId: string
  attempt: number
}

/**
 * Ends such leases.
 * @returns the ids of those that were ended, for each user
 * @throws ServiceError `store_unavailable`
 */
export async function dropEnded (
  { executor, keys, store }: { executor: RedisExecutor; keys: RedisKeys; store: ReleasesFrom },
  usernames: string[]
): Promise<Map<string, string[]>> {
  const dropped = new Map<string, string[]>()
  for (const { username, sessionId, attempt } of await endedLeases(executor, keys, usernames)) {
    const options = { attempt, onlyLive: 'any' as const }
    const { outcome } = await store.releaseFrom(username, sessionId, 'ended before', options)
    if (outcome !== 'released') continue
    dropped.set(username, [...(dropped.get(username) ?? []), sessionId])
  }
  return dropped
}

/** Those whose record, or in a cluster whose place in the index of ids, says that they ended. */
async function endedLeases (
  executor: RedisExecutor,
  keys: RedisKeys,
  usernames: string[]
): Promise<EndedLease[]> {
  const { client } = executor
  const first = async (username: string) => {
    const leases = keys.user('user-leases', username)
    const reply = client.zrangebyscore(leases, '-inf', '+inf', 'LIMIT', 0, LOOKED_AT)
    const ids = await executor.run(executor.or<string[]>([], reply))
    return ids.map((sessionId) => ({ username, sessionId }))
  }
  const found = (await Promise.all(usernames.map(first))).flat()
  const records = await executor.getMany(found.map(({ username, sessionId }) =>
    keys.cluster ? keys.holder(sessionId) : keys.lease(username, sessionId)))
  return found.flatMap((one, i) => {
    const record = records[i] ?? ''
    const attempt = endedAttempt(record)
    return attempt === undefined || endedOnNode(record) !== '' ? [] : [{ ...one, attempt }]
  })
}
