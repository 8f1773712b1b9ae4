/** Tells Redis what has ended, and observers what that came to. */
import type { RedisKeys } from '../redis/keys.ts'
import type { Outcome, Outcomes } from '../sessions/outcomes.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import type { EndedLease } from '../sessions/redis/release-script.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import type { LeaseMirror } from './lease-mirror.ts'
import type { Message, SessionMessage } from './outbox.ts'
import { isOutdated, type NodeParts } from './tell-node.ts'
import type { NotedEnd } from './user-ends.ts'

/** How many sessions are ended at once. */
const AT_ONCE = 50
/** Why a slot is given back that may have been taken for a caller who was refused. */
const UNANSWERED = 'acquire without an answer'
/** Why a session is ended that had ended before. */
export const ENDED_BEFORE = 'ended before'
/** Why a session lost its slot. */
const MISSING = 'missing on its node'

/** What can become of a session that Redis is told of. */
export type Replayed = Extract<
  Outcome['what'],
  'restored' | 'conflict' | 'ended' | 'released' | 'terminated'
>

interface Parts extends NodeParts {
  store: RedisSessionStore
  mirror: Pick<LeaseMirror, 'byOtherClock' | 'forget' | 'keepEnd' | 'now'>
  outcomes: Outcomes
}

/** Where a message goes: to its user or node, or else to the index of ids. */
export function keyFor (keys: RedisKeys, sessionId: string, message: Message): string {
  if (message.kind === 'node') return keys.nodeLeases(message.node)
  const { username } = message
  return username === undefined ? keys.holder(sessionId) : keys.user('user-leases', username)
}

/** @throws ServiceError `store_unavailable` */
export async function tellEnd (
  parts: Parts,
  sessionId: string,
  message: SessionMessage
): Promise<void> {
  const { store, mirror } = parts
  if (message.kind === 'ended') return await endOne(parts, sessionId, message)
  if (message.kind === 'user_ended') {
    const { username, reason, includeEmergency, atMs, notedMs } = message
    const ended = { atMs, agoMs: mirror.now() - notedMs }
    const { leases } = await store.endUser(username, reason, includeEmergency, ended)
    noteEnded(mirror, username, leases)
    for (const one of leases) observe(parts, 'terminated', one.sessionId, username, reason)
    return
  }
  if (message.kind === 'lapsed') {
    const { username, node, why } = message
    if (await isOutdated(parts, node, why)) return
    const startedByMs = 'epoch' in why ? undefined : mirror.byOtherClock(why.forgottenMs)
    await store.releaseFrom(username, sessionId, MISSING, { node, lapses: true, startedByMs })
    return
  }
  const { username, ttlMs, boundTo } = message
  const { outcome } = await store.releaseFrom(username, sessionId, UNANSWERED, {
    untouchedTtlMs: ttlMs,
    boundTo,
    lapses: true
  })
  if (outcome === 'released') observe(parts, 'released', sessionId, username, UNANSWERED)
}

async function endOne (
  parts: Parts,
  sessionId: string,
  { kind: _kind, ...end }: Extract<SessionMessage, { kind: 'ended' }>
): Promise<void> {
  const { store, mirror } = parts
  const endedMs = mirror.byOtherClock(end.endedMs)
  const request = { sessionId, attempt: undefined, node: undefined, ...end, endedMs }
  const result = await store.release(request)
  if (result.outcome !== 'released') return
  const { username, leaseMs } = result
  observe(parts, 'released', sessionId, username, end.reason)
  // Whose it was is known now: the part where that user lies is told, should it lose its data.
  if (username !== undefined) mirror.keepEnd({ ...request, username }, leaseMs ?? 0)
}

/** Remembers what Redis has ended with all of a user's, should it lose that. */
function noteEnded (
  mirror: Pick<LeaseMirror, 'forget'>,
  username: string,
  leases: EndedLease[]
): void {
  for (const { sessionId, attempt, leaseMs } of leases) {
    mirror.forget(sessionId, { username, attempt, leaseMs })
  }
}

/**
 * Tells once more that all sessions of a user have ended.
 * @throws ServiceError `store_unavailable`
 */
export async function endUserAgain (
  { store, mirror }: Pick<Parts, 'store' | 'mirror'>,
  username: string,
  end: NotedEnd,
  includeEmergency: boolean
): Promise<void> {
  const ended = { atMs: end.atMs, agoMs: mirror.now() - end.notedMs }
  const { atMs, leases } = await store.endUser(username, ENDED_BEFORE, includeEmergency, ended)
  noteEnded(mirror, username, leases)
  end.atMs = Math.min(end.atMs, atMs)
}

/**
 * Ends, with all of a user's sessions, those that are up as far as the mirror knows, and that Redis
 * did not list: it may have evicted the list.
 * @returns the ids of those that were up
 * @throws ServiceError `store_unavailable`
 */
export async function endMissed (
  { store, mirror }: { store: RedisSessionStore; mirror: LeaseMirror },
  about: { username: string; reason: string; includeEmergency: boolean; endedMs: number }
): Promise<string[]> {
  const { includeEmergency, ...end } = about
  const missed = [...mirror.untoldOf(end.username, -Infinity)].filter(({ lease }) =>
    lease.startedMs <= end.endedMs && (includeEmergency || lease.details.emergency !== true))
  const found: string[] = []
  await forEachLimit(missed, AT_ONCE, async ({ lease: { sessionId, attempt } }) => {
    const request = { sessionId, attempt, node: undefined, ...end }
    const result = await store.release(request)
    await mirror.noteReleased(request, result)
    if (result.outcome === 'released') found.push(sessionId)
  })
  return found
}

/** Tells observers what became of a session. */
export function observe (
  { outcomes }: Pick<Parts, 'outcomes'>,
  what: Replayed,
  sessionId: string,
  username = '',
  reason = ''
): void {
  if (!outcomes.observed) return
  const about = { sessionId, username, node: undefined, by: 'replay' as const, reason }
  outcomes.tell({ what, ...about, degraded: false })
}
