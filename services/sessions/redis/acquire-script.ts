/** What acquire.lua is given, and what its answer means. */
import type { Policy } from '../../../schemas/policy.ts'
import { storeUnavailable } from '../../errors.ts'
import { parseBar } from '../../limits/bar.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { outcomeOf } from '../../redis/script-outcomes.ts'
import { limitMode } from '../policy-mode.ts'
import type { AcquireRequest, AcquireResult, Seen } from '../session-store.ts'
import { ENDED_MEMORY_MS, RECORD_GRACE_MS } from '../timing.ts'
import { encodeRest, leaseFrom, terminatedFor } from './lease-record.ts'

/** A result, and how many of the sessions that fill the limit the switch recorded itself. */
export type Acquired = AcquireResult & { external?: number }

/** Too many sessions have to end for one call: some have ended, and the slot is not taken yet. */
export interface RoomMade {
  outcome: 'room_made'
  /** How many were ended, ghosts included. */
  ended: number
  terminated: string[]
}

/** An admission that takes several calls, so far. */
export interface Progress {
  /** Ids of the sessions that earlier calls have ended to make room. */
  terminated: string[]
  /** Nothing more can be ended: admit, whatever the limit. */
  exhausted: boolean
}

/** The most ids of ended sessions that a record names for a caller who asks again. */
const MOST_NAMED = 5_000

export function acquireKeys (keys: RedisKeys, request: AcquireRequest): string[] {
  const { username, sessionId, heldBy } = request
  const list = [
    keys.lease(username, sessionId),
    keys.user('user-leases', username),
    keys.user('user-sessions', username),
    keys.user('user-limit', username),
    keys.user('user-temporary-limit', username),
    keys.user('user-bar', username)
  ]
  if (!keys.cluster) {
    list.push(keys.generation)
    if (heldBy !== undefined) list.push(keys.user('user-leases', heldBy))
  }
  return list
}

/** What an admission is decided by, besides the request. */
export interface Circumstances {
  policy: Policy
  /** The generation of data that has to be found; undefined for any. */
  generation: string | undefined
  /** Until when it may be decided, by the clock of Redis in milliseconds; '' for any time. */
  deadline: number | ''
  progress: Progress
}

export function acquireArgs (
  keys: RedisKeys,
  request: AcquireRequest,
  { policy, generation, deadline, progress: { terminated, exhausted } }: Circumstances
): Array<string | number> {
  const { username, sessionId, attempt, ttlMs, node = '', details, dryRun } = request
  const { again = false, boundTo = '' } = request
  return [
    username,
    sessionId,
    ttlMs,
    ttlMs + RECORD_GRACE_MS,
    node,
    encodeRest(details, attempt),
    policy.max_sessions_per_user,
    exhausted ? 'admit' : limitMode(policy, details.emergency ?? false),
    dryRun ? '1' : '',
    ENDED_MEMORY_MS,
    keys.leasePrefix(username),
    keys.nodeLeasesPrefix,
    keys.sessionPrefix,
    keys.cluster ? '' : (generation ?? ''),
    again ? '1' : '',
    attempt,
    boundTo,
    terminated.length === 0 ? '' : terminated.slice(0, MOST_NAMED).join(' '),
    deadline
  ]
}

/**
 * What an answer means. By index, and with objects written out by name: there is one for each
 * admission, and to spread them takes 3 µs.
 * @throws ServiceError `store_unavailable` when Redis holds another generation of data
 */
export function decodeAcquired (request: AcquireRequest, answer: unknown): Acquired | RoomMade {
  const reply = answer as [number, number, number | string, ...unknown[]]
  const outcome = outcomeOf(reply[0])
  if (outcome === 'lost_data') throw storeUnavailable(new Error('Redis has lost its data'))
  if (outcome === 'conflict' || outcome === 'ended' || outcome === 'forbidden') return { outcome }
  if (outcome === 'room_made') {
    return { outcome, ended: reply[4] as number, terminated: reply.slice(5) as string[] }
  }
  const [count, seen] = [reply[1], seenIn(reply[2])]
  const { limit } = seen
  if (outcome === 'admitted') {
    const { sessionId, username, attempt, ttlMs, node = '', details } = request
    const [startedMs, flags] = [reply[3] as number, reply[4] as number]
    const expiresMs = startedMs + ttlMs
    const lease = { sessionId, username, attempt, node, startedMs, expiresMs, details }
    const terminated = reply.slice(5) as string[]
    seen.external = Math.floor(flags / 2)
    return { outcome, lease, count, limit, terminated, observed: flags % 2 === 1, seen }
  }
  if (outcome === 'refreshed') {
    const [, , , expiresMs, record, external] = reply as unknown as Refreshed
    const lease = leaseFrom(request.sessionId, record, expiresMs)
    seen.external = external
    const terminated = terminatedFor(record)
    return { outcome, lease, count, limit, terminated, observed: false, seen }
  }
  if (outcome === 'barred') return { outcome, count, limit, bar: parseBar(String(reply[3])) }
  seen.external = Number(reply[3])
  return { outcome: 'limit_reached', count, limit, external: seen.external, seen }
}

type Refreshed = [number, number, number | string, number, string, number]

/** Asks again and again until enough sessions have ended, and names them all. */
export async function goOn (
  first: RoomMade,
  ask: (progress: Progress) => Promise<Acquired | RoomMade>
): Promise<Acquired> {
  const progress: Progress = { terminated: [], exhausted: false }
  let result: Acquired | RoomMade = first
  while (result.outcome === 'room_made') {
    for (const id of result.terminated) progress.terminated.push(id)
    progress.exhausted = result.ended === 0
    result = await ask(progress)
  }
  if (result.outcome !== 'admitted') return result
  return { ...result, terminated: [...progress.terminated, ...result.terminated] }
}

/** A limit as acquire.lua shows it, which tells where it comes from; the sessions follow. */
function seenIn (shown: number | string): Seen {
  if (typeof shown === 'number') {
    return { limit: shown, source: 'default', expiresAtMs: undefined, external: 0 }
  }
  const [limit, end] = shown.split(' ')
  return {
    limit: Number(limit),
    source: end === undefined ? 'user' : 'temporary',
    expiresAtMs: end === undefined ? undefined : Number(end),
    external: 0
  }
}
