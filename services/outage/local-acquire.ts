/** Admission by the mirror, and what the mirror has to know of admission by Redis. */
import type { AcquireRequest, AcquireResult, Admitted } from '../sessions/session-store.ts'
import type { LeaseMirror } from './lease-mirror.ts'
import type { LimitCache } from './limit-cache.ts'
import type { Outbox } from './outbox.ts'

/**
 * What an admission does while Redis is away: decide by the mirror, refuse, or let everybody in.
 */
export type OutageMode = 'local' | 'deny' | 'allow'

/** What decides without Redis. */
export interface LocalParts {
  mirror: LeaseMirror
  known: LimitCache
  outbox: Outbox
  mode: OutageMode
}

/**
 * Decides without Redis, as the outage mode says.
 * @param asked - whether Redis was asked, so that it may have taken the slot though no answer came
 * @param cause - what a refusal is thrown with where the mode is `deny`
 */
export async function acquireLocally (
  { mirror, outbox, mode }: LocalParts,
  request: AcquireRequest,
  asked: boolean,
  cause: unknown
): Promise<AcquireResult> {
  const { sessionId, username, ttlMs, dryRun } = request
  const undo = () => {
    if (asked && !dryRun) outbox.put(sessionId, { kind: 'undo', username, ttlMs })
  }
  if (mode === 'deny') {
    undo()
    throw cause
  }
  const result = await mirror.acquire(request, mode === 'allow')
  if (result.outcome === 'limit_reached') undo()
  if ('lease' in result && !dryRun) {
    outbox.up(sessionId)
    for (const id of result.terminated) {
      outbox.put(id, { kind: 'ended', username, reason: 'terminated' })
    }
  }
  return { ...result, degraded: true }
}

/** Decides anew what Redis has admitted, but answered only when the outage had begun. */
export async function acquireLate (
  parts: LocalParts,
  request: AcquireRequest,
  result: Admitted
): Promise<AcquireResult> {
  for (const id of result.terminated) parts.mirror.forget(id, request.username)
  parts.known.seeInForce(request.username, result.limit)
  const again = await acquireLocally(parts, request, true, undefined)
  return again.outcome === 'admitted'
    ? { ...again, terminated: [...result.terminated, ...again.terminated] }
    : again
}

/** Takes over what Redis has decided. */
export function noteAcquired (
  { mirror, known }: LocalParts,
  { username, sessionId, attempt, ttlMs }: AcquireRequest,
  result: AcquireResult
): void {
  if (result.outcome === 'ended') mirror.forget(sessionId, username, attempt)
  if (result.outcome === 'limit_reached') known.seeInForce(username, result.limit)
  if (result.outcome !== 'admitted' && result.outcome !== 'refreshed') return
  known.seeInForce(username, result.limit)
  for (const id of result.terminated) mirror.forget(id, username)
  if (result.outcome === 'admitted' || !mirror.prolong(sessionId, username, ttlMs, attempt)) {
    mirror.take(result.lease, ttlMs, result.terminated)
  }
}

/** Whether the slot was taken by this very request, be it by its first try. */
export function isFresh (
  result: AcquireResult,
  ttlMs: number
): result is AcquireResult & Admitted {
  if (result.outcome === 'admitted') return true
  if (result.outcome !== 'refreshed') return false
  return result.lease.expiresMs - result.lease.startedMs === ttlMs
}
