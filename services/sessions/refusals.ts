/** Refusals by the verbs of admission, as failures for the HTTP layer. */
import { ServiceError } from '../errors.ts'
import type { Degradable, NodeReconciliation } from './session-store.ts'

/** What a switch answers to an INVITE that is refused (RFC 3261, 21.4). */
export interface SipAnswer {
  status: number
  reason: string
}

/**
 * The failure of a call over the limit.
 * @param sip - what the switch answers
 */
export function limitReached (
  username: string,
  { count, limit, degraded = false }: Degradable & { count: number; limit: number },
  sip: SipAnswer
): ServiceError {
  return new ServiceError(
    'session_limit_reached',
    `The limit is reached: ${username} has ${count} of ${limit} sessions.`,
    { members: { username, count, limit, sip, degraded } }
  )
}

/** What a switch answers to the INVITE of a barred user (RFC 3261, 21.4.4). */
const BARRED: SipAnswer = { status: 403, reason: 'Forbidden' }

/** The failure of a call of a barred user. */
export function barred (username: string, { degraded = false }: Degradable): ServiceError {
  return new ServiceError('user_barred', `${username} is barred from making calls.`, {
    members: { username, sip: BARRED, degraded }
  })
}

/** The failure of a report that is older than one that was taken. */
export function staleEpoch (node: string, epoch: number, known: number): ServiceError {
  return new ServiceError(
    'stale_epoch',
    `Node ${node} has reported epoch ${known}, which is later than ${epoch}.`,
    { members: { node, epoch: known } }
  )
}

/** The failure of a report that lacks sessions. */
export function incomplete ({ node, total, part, given }: NodeReconciliation): ServiceError {
  const detail =
    part === undefined
      ? `The report of ${node} says ${total} sessions and gives ${given}.`
      : `A part of the report of ${node} is missing, or its total is another one.`
  return new ServiceError('incomplete_report', detail, {
    members: { node, total: total ?? null, given }
  })
}

/** The failure of a verb for an id that another user holds. */
export function idConflict ({ degraded = false }: Degradable): ServiceError {
  return new ServiceError('session_id_conflict', 'This session id belongs to another user.', {
    members: { degraded }
  })
}

/** The failure of a verb for an id that has ended. */
export function ended ({ degraded = false }: Degradable = {}): ServiceError {
  return new ServiceError(
    'session_ended',
    'This session was released or terminated; its id does not come back.',
    { members: { degraded } }
  )
}
