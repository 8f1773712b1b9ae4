/** Tells observers what came of a verb. Without an observer nothing is made. */
import type { Log } from '../log.ts'
import { forEachInTurns } from '../util/in-turns.ts'
import type { Actor, Outcomes } from './outcomes.ts'
import type {
  Allowed,
  AcquireRequest,
  AcquireResult,
  Degradable,
  NodeReconciliation,
  Reconciled,
  ReleaseResult,
  RenewRequest,
  RenewResult
} from './session-store.ts'

/** Why a session was ended in favour of a newer one of the same user. */
const MADE_ROOM = 'made room for a newer session'
/** Why a session lost its slot that its node no longer lists. */
const MISSING = 'missing on its node'

/** A request for a slot; in slices where very many sessions had to end for it. */
export function tellAcquired (
  outcomes: Outcomes,
  { username, sessionId, node }: AcquireRequest,
  result: Allowed<AcquireResult>,
  by: Actor,
  log: Log
): void | Promise<void> {
  if (!outcomes.observed) return
  const { outcome, degraded = false } = result
  const about = { sessionId, username, node, by, reason: 'acquire', degraded }
  if (outcome === 'conflict' || outcome === 'ended') {
    return outcomes.tell({ what: outcome, ...about }, log)
  }
  const { count, limit } = result
  if (outcome === 'limit_reached' || outcome === 'barred') {
    const barred = outcome === 'barred'
    return outcomes.tell({ what: 'rejected', ...about, barred, count, limit }, log)
  }
  const { lease, terminated, observed } = result
  if (lease.node !== '') about.node = lease.node
  const emergency = lease.details.emergency ?? false
  const tellUp = () =>
    outcomes.tell(
      outcome === 'admitted'
        ? { what: 'started', ...about, count, limit, emergency, observed }
        : { what: 'refreshed', ...about, count, limit, emergency },
      log
    )
  if (terminated.length === 0) return tellUp()
  const why = { username, reason: MADE_ROOM, degraded }
  return tellTerminated(outcomes, terminated, why, by, log).then(tellUp)
}

/** Renewals: what changed, and what was refused. */
export async function tellRenewed (
  outcomes: Outcomes,
  requests: RenewRequest[],
  results: Array<Allowed<RenewResult>>,
  by: Actor,
  log: Log
): Promise<void> {
  if (!outcomes.observed) return
  await forEachInTurns(results, ({ outcome: what, degraded = false }, i) => {
    if (what === 'renewed') return
    const { sessionId = '', username = '', node } = requests[i] ?? {}
    outcomes.tell({ what, sessionId, username, node, by, reason: 'renewal', degraded }, log)
  })
}

/** A release that ended a session, or met another user's. */
export function tellReleased (
  outcomes: Outcomes,
  asked: { sessionId: string; username: string | undefined; reason: string },
  { outcome, username: holder = '', degraded = false }: Allowed<ReleaseResult>,
  by: Actor,
  log: Log
): void {
  if (!outcomes.observed || outcome === 'unknown') return
  const { sessionId, username = holder, reason } = asked
  outcomes.tell({ what: outcome, sessionId, username, node: undefined, by, reason, degraded }, log)
}

/** Sessions that were ended by somebody other than their switch. */
export async function tellTerminated (
  outcomes: Outcomes,
  sessionIds: string[],
  about: { username: string; reason: string; degraded: boolean },
  by: Actor,
  log: Log
): Promise<void> {
  if (!outcomes.observed) return
  await forEachInTurns(sessionIds, (sessionId) =>
    outcomes.tell({ what: 'terminated', sessionId, node: undefined, by, ...about }, log))
}

/** A node's report: what it brought, what it may not have, and what it no longer has. */
export async function tellReported (
  outcomes: Outcomes,
  { node, sessions }: NodeReconciliation,
  result: Reconciled & Degradable,
  by: Actor,
  log: Log
): Promise<void> {
  if (!outcomes.observed) return
  const { degraded = false } = result
  await forEachInTurns(result.outcomes, (what, i) => {
    if (what === 'renewed' || what === 'forbidden') return
    const { sessionId = '', username = '' } = sessions[i] ?? {}
    outcomes.tell({ what, sessionId, username, node, by, reason: 'node report', degraded }, log)
  })
  await tellLapsed(outcomes, result.missing, { node, reason: MISSING, degraded }, by, log)
}

/** Sessions that lost their slots, and have not ended. */
export async function tellLapsed (
  outcomes: Outcomes,
  sessions: Array<{ sessionId: string; username: string }>,
  about: { node: string; reason: string; degraded: boolean },
  by: Actor,
  log: Log
): Promise<void> {
  if (!outcomes.observed) return
  await forEachInTurns(sessions, ({ sessionId, username }) =>
    outcomes.tell({ what: 'lapsed', sessionId, username, by, ...about }, log))
}
