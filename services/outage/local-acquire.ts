/** Admission by the mirror, and what the mirror has to know of admission by Redis. */
import type { RedisClock } from '../redis/redis-clock.ts'
import type { AcquireRequest, AcquireResult, Admitted, Seen } from '../sessions/session-store.ts'
import { LONGEST_TTL_MS } from '../sessions/timing.ts'
import { AT_ONCE, forEachInTurns } from '../util/in-turns.ts'
import type { LeaseMirror } from './lease-mirror.ts'
import type { LimitCache } from './limit-cache.ts'
import type { Outbox } from './outbox.ts'

/**
 * What an admission does while Redis is away: decide by the mirror, refuse, or let everybody in.
 */
export type OutageMode = 'local' | 'deny' | 'allow'

/** What decides without Redis. */
export interface LocalParts {
  /** Told what time Redis says it is. */
  clock: Pick<RedisClock, 'heardTime'>
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
  const { sessionId, username, ttlMs, dryRun, boundTo, details } = request
  const undo = () => {
    if (asked && !dryRun) outbox.put(sessionId, { kind: 'undo', username, ttlMs, boundTo })
  }
  // An emergency call is admitted in every mode.
  if (mode === 'deny' && details.emergency !== true) {
    undo()
    throw cause
  }
  const result = await mirror.acquire(request, mode === 'allow')
  if (result.outcome === 'limit_reached' || result.outcome === 'barred') undo()
  if ('lease' in result && !dryRun) {
    noteUp({ mirror, outbox }, sessionId)
    const [endedMs, reason] = [mirror.now(), 'terminated']
    const ended = result.outcome === 'admitted' ? result.terminated : []
    for (const id of ended) outbox.put(id, { kind: 'ended', username, reason, endedMs })
  }
  return { ...result, degraded: true }
}

/** Notes that a session is up as Redis does not know it yet. */
export function noteUp ({ mirror, outbox }: Pick<LocalParts, 'mirror' | 'outbox'>, id: string) {
  const live = mirror.markUntold(id)
  if (live !== undefined) outbox.up(id, live.attempt, live.node)
}

/**
 * Decides anew what Redis has admitted, but answered only when the outage had begun. Whom Redis has
 * ended is named, and named again to who asks again.
 */
export async function acquireLate (
  parts: LocalParts,
  request: AcquireRequest,
  result: Admitted
): Promise<AcquireResult> {
  const { sessionId, username } = request
  for (const id of result.terminated) {
    parts.mirror.forget(id, { username, leaseMs: LONGEST_TTL_MS })
  }
  noteSeen(parts, username, result)
  const again = await acquireLocally(parts, request, true, undefined)
  if (!('lease' in again)) return again
  const terminated = [...new Set([...result.terminated, ...again.terminated])]
  parts.mirror.nameTerminated(sessionId, terminated)
  return { ...again, terminated }
}

/** Takes over what Redis saw of the user. */
function noteSeen (
  { mirror, known }: LocalParts,
  username: string,
  { seen }: { seen?: Seen }
): void {
  if (seen === undefined) return
  mirror.seeExternal(username, seen.external)
  known.seeInForce(username, seen)
}

/**
 * Takes over what Redis has decided; in slices where very many sessions had to end for it.
 * @param askedMs - when it was asked, by the clock of the mirror
 */
export function noteAcquired (
  parts: LocalParts,
  request: AcquireRequest,
  result: AcquireResult,
  askedMs: number
): void | Promise<void> {
  const { username, sessionId, attempt, boundTo } = request
  const { mirror } = parts
  if (result.outcome === 'ended') mirror.forget(sessionId, { username, attempt }, boundTo)
  if (result.outcome === 'limit_reached') {
    noteSeen(parts, username, result)
    parts.known.seeBar(username, undefined)
  }
  if (result.outcome === 'barred') parts.known.seeBar(username, result.bar)
  if (result.outcome !== 'admitted' && result.outcome !== 'refreshed') return
  const saidMs = result.lease.expiresMs - request.ttlMs
  parts.clock.heardTime(saidMs, mirror.now() - askedMs)
  noteSeen(parts, username, result)
  // A barred user is let in only where limits are off, or for an emergency call.
  const isFree = result.outcome === 'admitted' && !result.observed && mirror.refuses(request)
  if (isFree) parts.known.seeBar(username, undefined)
  const { terminated } = result
  const forget = (id: string) => mirror.forget(id, { username, leaseMs: LONGEST_TTL_MS })
  if (terminated.length > AT_ONCE) {
    return forEachInTurns(terminated, forget).then(() => noteTaken(parts, request, result))
  }
  terminated.forEach(forget)
  noteTaken(parts, request, result)
}

function noteTaken (
  { mirror }: LocalParts,
  request: AcquireRequest,
  result: Admitted
): void {
  const { ttlMs } = request
  if (result.outcome === 'admitted' || !mirror.prolong(request, ttlMs)) {
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
