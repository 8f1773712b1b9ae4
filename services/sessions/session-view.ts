/** Sessions as the API shows them: the one place that knows the core's names and the wire's. */
import type { NodeSummary } from '../../schemas/nodes.ts'
import type { Session, SessionDetails } from '../../schemas/sessions.ts'
import { toTimestamp } from '../clock.ts'
import { isLease, type Details, type Lease } from './lease.ts'
import type {
  Allowed,
  ReadSession,
  ReleaseRequest,
  ReleaseResult,
  RenewRequest,
  RenewResult
} from './session-store.ts'
import type { NodeState } from './session-lists.ts'

/** A lease as the API shows it. */
export function leaseView (lease: Lease): Session {
  const { details } = lease
  return {
    session_id: lease.sessionId,
    attempt: lease.attempt,
    username: lease.username,
    node: lease.node === '' ? null : lease.node,
    call_id: details.callId ?? null,
    from: details.from ?? null,
    to: details.to ?? null,
    direction: details.direction ?? null,
    emergency: details.emergency ?? false,
    started_at: toTimestamp(lease.startedMs),
    expires_at: toTimestamp(lease.expiresMs),
    metadata: details.metadata ?? {},
    source: 'lease'
  }
}

/** A session as the API shows it; `degraded` and `stale_ms` are there only in an outage. */
export function sessionView (session: ReadSession): Session {
  const view = isLease(session)
    ? leaseView(session)
    : {
        session_id: session.sessionId,
        attempt: 0,
        username: session.username,
        node: null,
        call_id: session.callId ?? null,
        from: session.from ?? null,
        to: session.to ?? null,
        direction: null,
        emergency: false,
        started_at: session.startedMs === undefined ? null : toTimestamp(session.startedMs),
        expires_at: null,
        metadata: {},
        source: 'external' as const
      }
  if (session.degraded === true) view.degraded = true
  if (session.staleMs !== undefined) view.stale_ms = session.staleMs
  return view
}

/** A switch node as the API shows it. */
export function nodeView ({ node, epoch, lastSeenMs, sessions }: NodeState): NodeSummary {
  return { node, epoch, last_seen: toTimestamp(lastSeenMs), sessions }
}

/** What became of one renewal of a batch. */
export function renewalView (
  { sessionId, username }: RenewRequest,
  result: Allowed<RenewResult> | undefined
) {
  const isUp = result?.outcome === 'renewed' || result?.outcome === 'reregistered'
  const refusal = result?.outcome === 'conflict' ? 'session_id_conflict' : 'session_ended'
  const outcome = isUp ? result.outcome : refusal
  const expires_at = isUp ? toTimestamp(result.expiresMs) : null
  return { session_id: sessionId, username, outcome, result: outcome, expires_at }
}

/** What became of one release of a batch. */
export function releaseView (request: ReleaseRequest | undefined, result: Allowed<ReleaseResult>) {
  const { outcome: what } = result
  const outcome = what === 'conflict' ? ('session_id_conflict' as const) : what
  return {
    session_id: request?.sessionId ?? null,
    username: result.username ?? request?.username ?? null,
    outcome,
    released: outcome === 'released'
  }
}

const NO_DETAILS: Details = {}

/** What a request says of a session, in the core's names; a shared object where it is nothing. */
export function detailsOf (wire: SessionDetails): Details {
  const { call_id: callId, from, to, direction, emergency, metadata } = wire
  if ((callId ?? from ?? to ?? direction ?? emergency ?? metadata) === undefined) return NO_DETAILS
  return { callId, from, to, direction, emergency, metadata }
}
