/**
 * Admission as the API answers it: what the store decided, said in the API's terms, and noted where
 * it matters.
 */
import type { NodeReport } from '../../schemas/nodes.ts'
import type { Session } from '../../schemas/sessions.ts'
import { toTimestamp } from '../clock.ts'
import { ServiceError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { AcquireRequest, RenewRequest, RenewResult, SessionStore } from './session-store.ts'

/** What a switch answers to an INVITE that is refused (RFC 3261, 21.4.24). */
export interface SipAnswer {
  status: number
  reason: string
}

/** Takes and renews leases for the API. */
export class AdmissionService {
  #store: SessionStore
  #sip: SipAnswer

  /** @param sip - the answer that a switch is told to give when the limit is reached */
  constructor (store: SessionStore, sip: SipAnswer) {
    this.#store = store
    this.#sip = sip
  }

  /**
   * Takes a slot, or refreshes one.
   * @throws ServiceError `session_limit_reached`, `session_id_conflict`, `session_ended`,
   * `store_unavailable`
   */
  async acquire (request: AcquireRequest, log: Log) {
    const result = await this.#store.acquire(request)
    const { degraded = false } = result
    const { username, sessionId, dryRun } = request
    if (result.outcome === 'conflict') throw idConflict()
    if (result.outcome === 'ended') throw ended()
    if (result.outcome === 'limit_reached') {
      const { count, limit } = result
      if (dryRun) {
        return {
          created: false,
          answer: { allowed: false, session: null, count, limit, terminated: [], degraded }
        }
      }
      log.info(
        { violation: { username, session_id: sessionId, count, limit, observed: false } },
        'session limit reached'
      )
      throw new ServiceError(
        'session_limit_reached',
        `${username} has ${count} sessions up, of ${limit}.`,
        {
          members: { username, count, limit, sip: this.#sip, degraded }
        }
      )
    }
    const { outcome, session, count, limit, terminated, observed } = result
    const particulars = { username, session_id: sessionId, count, limit }
    if (observed && !dryRun) {
      log.warn({ violation: { ...particulars, observed } }, 'session limit passed, only observed')
    }
    if (session.emergency && !dryRun) {
      log.warn({ emergency: particulars }, 'emergency session admitted')
    }
    return {
      created: outcome === 'admitted' && !dryRun,
      answer: {
        allowed: true,
        session: dryRun ? null : session,
        count,
        limit,
        terminated,
        degraded
      }
    }
  }

  /**
   * Renews one lease.
   * @throws ServiceError `session_id_conflict`, `session_ended`, `store_unavailable`
   */
  async renew (
    request: RenewRequest,
    ttlMs: number
  ): Promise<{ session: Session; reregistered: boolean; degraded: boolean }> {
    const [result] = await this.#store.renew([request], ttlMs)
    if (result?.outcome === 'conflict') throw idConflict()
    if (result === undefined || result.outcome === 'ended') throw ended()
    return {
      session: result.session,
      reregistered: result.outcome === 'reregistered',
      degraded: result.degraded ?? false
    }
  }

  /**
   * Renews many leases; none of them can make the others fail.
   * @param node - where all of them are, if that is known
   * @throws ServiceError `store_unavailable`
   */
  async renewMany (
    sessions: Array<{ session_id: string; username: string }>,
    ttlMs: number,
    node?: string
  ) {
    const results = await this.#store.renew(
      sessions.map(({ session_id: sessionId, username }) => ({ sessionId, username, node })),
      ttlMs
    )
    return {
      results: sessions.map((session, i) => ({ ...session, ...renewalOutcome(results[i]) })),
      degraded: results[0]?.degraded ?? false
    }
  }

  /**
   * Takes a switch node's report of all its calls.
   * @throws ServiceError `stale_epoch`, `store_unavailable`
   */
  async reconcileNode (
    node: string,
    { epoch, sessions, as_of: asOf }: Omit<NodeReport, 'ttl'>,
    ttlMs: number
  ) {
    const result = await this.#store.reconcileNode({
      node,
      epoch,
      ttlMs,
      asOfMs: asOf === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(asOf),
      // The item stands for its details, whose names it has: taking them out would copy each of
      // thousands.
      sessions: sessions.map((item) => ({
        sessionId: item.session_id,
        username: item.username,
        details: item
      }))
    })
    if (result.outcome === 'stale_epoch') {
      throw new ServiceError(
        'stale_epoch',
        `Node ${node} has reported epoch ${result.epoch}, which is later than ${epoch}.`,
        {
          members: { node, epoch: result.epoch }
        }
      )
    }
    const { renewed, registered, released, ended, conflicts, degraded = false } = result
    return { renewed, registered, released, ended, conflicts, degraded }
  }
}

function renewalOutcome (result: RenewResult | undefined) {
  if (result?.outcome === 'renewed' || result?.outcome === 'reregistered') {
    return { result: result.outcome, expires_at: toTimestamp(result.expiresMs) }
  }
  return {
    result:
      result?.outcome === 'conflict'
        ? ('session_id_conflict' as const)
        : ('session_ended' as const),
    expires_at: null
  }
}

function idConflict (): ServiceError {
  return new ServiceError('session_id_conflict', 'Another user holds this session id.')
}

function ended (): ServiceError {
  return new ServiceError(
    'session_ended',
    'This session was released or terminated; its id does not come back.'
  )
}
