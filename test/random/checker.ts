/**
 * Searches what callers were told for promises that were broken. It finds only what is certain, and
 * excuses only what docs/operations.md does, each excuse by its name.
 */
import { isEnd, isGrant, LATE_MS, type Call, type Operation } from './history.ts'

/** How finely the clocks agree. */
const CLOCK_MS = 250
/** How much later than its time to live a lease may end. */
const LINGERS_MS = 1000

/** A clock that is set back by no more than this leaves leases that last as much longer. */
const SMALL_STEP_MS = 120_000

/** Redis lost what it was told within this time. */
export interface Loss {
  backToMs: number
  untilMs: number
}

/** What was done to the servers and to the service, as far as it excuses anything. */
export interface World {
  losses: Loss[]
  /** Service processes that were killed. */
  killed: Set<string>
  /** Sessions of which a key was removed, and when that was. */
  evicted: Map<string, number>
  /** When the clock of Redis was set, and how far, until it was set back and that was noticed. */
  steps: Array<{ fromMs: number; untilMs: number; byMs: number }>
  /** When all replicas were found to be well: then each has told what it knew. */
  quietMs: number[]
}

/** A world in which nothing was done yet. */
export function calmWorld (): World {
  return { losses: [], killed: new Set(), evicted: new Map(), steps: [], quietMs: [] }
}

/** What a check found: broken promises, with the session, and excuses by their names. */
export class Findings {
  readonly broken: Array<{ what: string; call: Call }> = []
  readonly excused = new Map<string, Set<string>>()

  breaks (what: string, call: Call): void {
    this.broken.push({ what, call })
  }

  excuse (why: string, { id }: Call): void {
    const ids = this.excused.get(why) ?? new Set()
    this.excused.set(why, ids.add(id))
  }
}

export type Standing = 'up' | 'gone' | 'either'

/**
 * How much longer than its time to live a session may be up because the clock of Redis was set
 * back: leases are not shortened for a small step.
 */
export function lingersMs ({ operations }: Call, { steps }: World): number {
  const asked = operations.filter(isGrant).map(({ invokedMs }) => invokedMs)
  const fromMs = Math.min(Infinity, ...asked)
  const small = steps.filter(({ byMs, untilMs }) =>
    untilMs >= fromMs && Math.abs(byMs) <= SMALL_STEP_MS)
  return small.reduce((sum, { byMs }) => sum + Math.abs(byMs), 0)
}

/**
 * Whether a session has to be up, all the while from one time to another, or may not be, or whether
 * nobody can say. An acknowledged end holds for ever.
 * @param lingersMs - how much longer than its time to live it may be up
 */
export function standing (
  { operations }: Call,
  fromMs: number,
  toMs = fromMs,
  lingersMs = 0
): Standing {
  const ends = operations.filter((one) => isEnd(one) && one.invokedMs <= toMs)
  if (ends.some(({ outcome, completedMs }) => outcome === 'ok' && completedMs <= fromMs)) {
    return 'gone'
  }
  const grants = operations.filter((one) => isGrant(one) && one.invokedMs <= toMs)
  const isSaidGone = grants.some(({ outcome }) => outcome === 'ended' || outcome === 'conflict')
  const certain = grants.filter(({ outcome, completedMs }) =>
    outcome === 'ok' && completedMs <= fromMs)
  const possible = grants.filter(({ outcome }) => outcome === 'ok' || outcome === 'unknown')
  const lastMs = Math.max(-Infinity, ...possible.map(({ completedMs, invokedMs, ttlMs, outcome }) =>
    (outcome === 'ok' ? completedMs : invokedMs + LATE_MS) + ttlMs + LINGERS_MS + CLOCK_MS))
  if (fromMs > lastMs + lingersMs) return 'gone'
  const untilMs = Math.max(...certain.map(({ invokedMs, ttlMs }) => invokedMs + ttlMs - CLOCK_MS))
  const mayHaveEnded = ends.some(({ outcome }) => outcome !== 'failed')
  return toMs < untilMs && !mayHaveEnded && !isSaidGone ? 'up' : 'either'
}

/** When the first end of a session was acknowledged; Infinity for never. */
export function endedAtMs ({ operations }: Call): number {
  const ends = operations.filter((one) => isEnd(one) && one.outcome === 'ok')
  return Math.min(Infinity, ...ends.map(({ completedMs }) => completedMs))
}

/** Whether nobody who was told still knows, and Redis was not told or has lost it. */
function isForgotten (told: Operation[], { killed, losses }: World): boolean {
  if (told.some(({ process }) => !killed.has(process))) return false
  return told.every((one) => one.degraded || losses.some((loss) => covers(loss, one)))
}

/**
 * Whether all sessions of a user were ended without Redis, by a replica that did not know of this
 * one, while the clock was set: nobody can tell by which clock it has to have begun.
 */
function isUnnamedDuringStep (end: Operation, { steps }: World): boolean {
  if (end.kind !== 'terminate' || end.isNamed || !end.degraded) return false
  return steps.some(({ fromMs, untilMs }) => end.completedMs >= fromMs && end.invokedMs <= untilMs)
}

/** Whether Redis may have lost what was acknowledged. */
function covers ({ backToMs, untilMs }: Loss, { completedMs }: Operation): boolean {
  return backToMs <= completedMs && completedMs <= untilMs
}

/** Why a session that has to be up need not be, if there is a reason. */
export function excuseMissing (call: Call, world: World, nowMs: number): string | undefined {
  const grants = call.operations.filter((one) => isGrant(one) && one.outcome === 'ok')
  const evictedMs = world.evicted.get(call.id)
  if (evictedMs !== undefined && !grants.some(({ invokedMs }) => invokedMs > evictedMs)) {
    return 'promise 2: a key of it was removed, and it was not renewed since'
  }
  const running = grants.filter(({ invokedMs, ttlMs }) => invokedMs + ttlMs > nowMs)
  if (isForgotten(running, world)) {
    return 'promise 16: Redis lost it, the replicas that knew of it were killed, not renewed since'
  }
}

/** Why a session that has ended may be up again, if there is a reason. */
export function excuseBack (call: Call, world: World): string | undefined {
  const told = call.operations.filter((one) =>
    (isEnd(one) && one.outcome === 'ok') || (isGrant(one) && one.outcome === 'ended'))
  if (isForgotten(told, world)) {
    return 'promises 4 and 16: Redis lost the end, and the replicas that knew of it were killed'
  }
  const ends = call.operations.filter((one) => isEnd(one) && one.outcome === 'ok')
  if (ends.length > 0 && ends.every((one) => isUnnamedDuringStep(one, world))) {
    return 'promise 6: it ended, unnamed, with all of a user\'s while the clock was set'
  }
}

/** Why one that had ended may be taken until the next quiet point, if there is a reason. */
function excuseTaken (one: Operation, before: Operation[], world: World): string | undefined {
  const { quietMs, losses } = world
  if (before.some(({ process, isNamed }) => isNamed && process === one.process)) return undefined
  if (one.degraded) return 'promise 13: taken by a replica that was cut off'
  const isToldSince = (ms: number) => quietMs.some((quiet) => ms < quiet && quiet < one.invokedMs)
  const isNew = ({ degraded, completedMs }: Operation) => degraded && !isToldSince(completedMs)
  if (before.every(isNew)) return 'promise 13: ended at a replica that was cut off'
  const isLost = losses.some((loss) =>
    before.every((end) => covers(loss, end)) && !isToldSince(loss.untilMs))
  return isLost ? 'promise 16: taken before an end that Redis lost was told again' : undefined
}

/** Checks what was answered about one session since then. */
export function checkCall (call: Call, world: World, sinceMs: number, found: Findings): void {
  const ended = call.operations.filter((one) => isEnd(one) && one.outcome === 'ok')
  for (const one of call.operations) {
    if (one.completedMs < sinceMs || one.completedMs === Infinity || !isGrant(one)) continue
    if (one.outcome === 'ended' || one.outcome === 'conflict') {
      const isDue = call.operations.some((other) =>
        isEnd(other) && other.outcome !== 'failed' && other.invokedMs <= one.completedMs)
      if (!isDue) found.breaks(`a live session was lost: ${one.kind} says ${one.outcome}`, call)
    }
    const before = ended.filter(({ completedMs }) => completedMs < one.invokedMs)
    if (one.outcome !== 'ok' || before.length === 0) continue
    const excuse = excuseBack(call, world) ?? excuseTaken(one, before, world)
    if (excuse !== undefined) found.excuse(excuse, call)
    else found.breaks(`an ended session came back: ${one.kind} says ok`, call)
  }
}

/**
 * Checks admissions that were asked for and answered within one time of calm: none passes the
 * limit, and none is refused while there is room.
 * @param calls - all of one user
 * @param world - where the clock of Redis may have been set
 */
export function checkLimit (
  calls: Call[],
  limit: number,
  calm: { fromMs: number; toMs: number },
  found: Findings,
  world: World = calmWorld()
): void {
  for (const call of calls) {
    for (const one of call.operations) {
      const { kind, outcome, invokedMs, completedMs, degraded } = one
      if (kind !== 'acquire' || degraded || one !== call.operations[0]) continue
      if (invokedMs < calm.fromMs || completedMs > calm.toMs) continue
      const others = calls.filter((other) => other !== call).map((other) => {
        const is = standing(other, invokedMs, completedMs, lingersMs(other, world))
        const isLost = is === 'up' && excuseMissing(other, world, invokedMs) !== undefined
        return isLost ? 'either' : is
      })
      const certain = others.filter((each) => each === 'up').length
      const possible = others.filter((each) => each !== 'gone').length
      if (outcome === 'ok' && certain >= limit) {
        found.breaks(`admitted beside ${certain}, of a limit of ${limit}`, call)
      }
      if (outcome === 'refused' && possible < limit) {
        found.breaks(`refused beside ${possible}, of a limit of ${limit}: ${one.note}`, call)
      }
    }
  }
}
