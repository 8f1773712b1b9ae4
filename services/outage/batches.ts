/** The leases that are told to Redis when it is back, in batches, and what a script is given. */
import { setImmediate } from 'node:timers/promises'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { outcomeOf } from '../redis/script-outcomes.ts'
import type { Script } from '../redis/scripts.ts'
import type { HeldLease } from '../sessions/lease.ts'
import { encodeRest } from '../sessions/redis/lease-record.ts'
import { ENDED_MEMORY_MS, RECORD_GRACE_MS } from '../sessions/timing.ts'
import type { Replayed } from './tell-end.ts'

/** How many sessions one batch holds. */
export const BATCH = 200
/** How many users or ids are looked at until others have their turn. */
const LOOKS_AT_ONCE = 500

/**
 * Puts leases back.
 * @returns what became of each
 * @throws ServiceError `store_unavailable`
 */
export async function askRestore (
  executor: RedisExecutor,
  keys: RedisKeys,
  batch: HeldLease[]
): Promise<Replayed[]> {
  if (batch.length === 0) return []
  const codes = (await executor.run(
    executor.scripts.restore(...restoreArguments(keys, batch, executor.deadline()))
  )) as number[]
  return codes.map((code) => outcomeOf(code) as Replayed)
}

/** Keys and arguments of restore.lua. */
function restoreArguments (
  keys: RedisKeys,
  batch: HeldLease[],
  deadline: number | ''
): Parameters<Script> {
  const list: string[] = []
  const args: Array<string | number> = [
    RECORD_GRACE_MS,
    keys.nodeLeasesPrefix,
    ENDED_MEMORY_MS,
    deadline
  ]
  for (const { lease, remainingMs, terminated, boundTo, moved } of batch) {
    const { sessionId, username, attempt, startedMs, node, details } = lease
    list.push(
      keys.lease(username, sessionId),
      keys.user('user-leases', username),
      keys.user('user-ended', username)
    )
    const named = terminated.length > 0 ? `\n${terminated.join(' ')}` : ''
    const rest = encodeRest(details, attempt) + named
    args.push(username, sessionId, remainingMs, startedMs, node, rest, boundTo, moved ? '1' : '')
  }
  return [list, args]
}

/** The users of the mirror that are wanted; others have their turn meanwhile. */
export async function usersIn (
  mirror: { usernames(): Iterable<string> },
  isWanted: (username: string) => boolean
): Promise<string[]> {
  const found: string[] = []
  let looked = 0
  for (const username of mirror.usernames()) {
    if (isWanted(username)) found.push(username)
    if (++looked % LOOKS_AT_ONCE === 0) await setImmediate()
  }
  return found
}

/** Batches of any sessions. */
export function * inBatches (sessions: Iterable<HeldLease>): Generator<HeldLease[]> {
  let batch: HeldLease[] = []
  for (const session of sessions) {
    if (batch.push(session) < BATCH) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Batches of the leases of these users, each of one user. */
export function * batchesOf (
  users: string[],
  leasesOf: (username: string) => Iterable<HeldLease>
): Generator<HeldLease[]> {
  for (const username of users) yield * inBatches(leasesOf(username))
}

/** Batches of one user each. */
export function * batchesByUser (sessions: Iterable<HeldLease>): Generator<HeldLease[]> {
  const byUser = new Map<string, HeldLease[]>()
  for (const session of sessions) {
    const { username } = session.lease
    const others = byUser.get(username)
    if (others === undefined) byUser.set(username, [session])
    else others.push(session)
  }
  for (const one of byUser.values()) yield * inBatches(one)
}
