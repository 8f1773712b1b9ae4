/**
 * The one door to every verb: asks the store, answers in the API's terms, and tells observers what
 * happened to which session.
 */
import type { Session } from '../../schemas/sessions.ts'
import { boundTo } from '../auth/node-binding.ts'
import type { Log } from '../log.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import {
  tellAcquired,
  tellLapsed,
  tellReleased,
  tellRenewed,
  tellReported,
  tellTerminated
} from './admission-outcomes.ts'
import type { Actor, Outcomes } from './outcomes.ts'
import {
  barred,
  ended,
  idConflict,
  incomplete,
  limitReached,
  staleEpoch,
  type SipAnswer
} from './refusals.ts'
import type {
  AcquireRequest,
  Allowed,
  BoundTo,
  Degradable,
  NodeReconciliation,
  ReleaseRequest,
  ReleaseResult,
  RenewRequest,
  RenewResult,
  SessionVerbs
} from './session-store.ts'
import { leaseView } from './session-view.ts'

/** How many sessions of a batch are released at once. */
const RELEASES_AT_ONCE = 50

/** Takes, renews and ends sessions for the API. */
export class AdmissionService {
  /** Where to observe what happens to sessions. */
  readonly outcomes: Outcomes
  #store: SessionVerbs
  #sip: SipAnswer

  /** @param sip - the answer that a switch is told to give when the limit is reached */
  constructor (store: SessionVerbs, outcomes: Outcomes, sip: SipAnswer) {
    this.#store = store
    this.outcomes = outcomes
    this.#sip = sip
  }

  /**
   * Takes a slot, or refreshes one.
   * @throws ServiceError `session_limit_reached`, `user_barred`, `session_id_conflict`,
   * `session_ended`, `forbidden`, `store_unavailable`
   */
  async acquire (request: AcquireRequest, by: Actor, log: Log) {
    const result = allowed(await this.#store.acquire(request), request)
    const { dryRun } = request
    const telling = dryRun ? undefined : tellAcquired(this.outcomes, request, result, by, log)
    if (telling !== undefined) await telling
    if (result.outcome === 'conflict') throw idConflict(result)
    if (result.outcome === 'ended') throw ended(result)
    const { count, limit, degraded = false } = result
    if (result.outcome === 'limit_reached' || result.outcome === 'barred') {
      if (!dryRun && result.outcome === 'barred') throw barred(request.username, result)
      if (!dryRun) throw limitReached(request.username, result, this.#sip)
      return {
        created: false,
        answer: { allowed: false, session: null, count, limit, terminated: [], degraded }
      }
    }
    const session = dryRun ? null : leaseView(result.lease)
    return {
      created: result.outcome === 'admitted' && !dryRun,
      answer: { allowed: true, session, count, limit, terminated: result.terminated, degraded }
    }
  }

  /**
   * Renews one lease.
   * @throws ServiceError `session_id_conflict`, `session_ended`, `forbidden`, `store_unavailable`
   */
  async renew (
    request: RenewRequest,
    ttlMs: number,
    by: Actor,
    log: Log
  ): Promise<{ session: Session; reregistered: boolean; degraded: boolean }> {
    const [found] = await this.#store.renew([request], ttlMs)
    if (found === undefined) throw ended()
    const result = allowed(found, request)
    await tellRenewed(this.outcomes, [request], [result], by, log)
    if (result.outcome === 'conflict') throw idConflict(result)
    if (result.outcome === 'ended') throw ended(result)
    return {
      session: leaseView(result.lease()),
      reregistered: result.outcome === 'reregistered',
      degraded: result.degraded ?? false
    }
  }

  /**
   * Renews many leases; none of them can make the others fail, but that of another node than the
   * caller's: it makes the whole batch `forbidden`.
   * @throws ServiceError `forbidden`, `store_unavailable`
   */
  async renewMany (
    requests: RenewRequest[],
    ttlMs: number,
    by: Actor,
    log: Log
  ): Promise<Array<Allowed<RenewResult>>> {
    const found = await this.#store.renew(requests, ttlMs)
    const results = found.map((result) => allowed(result, requests[0]))
    await tellRenewed(this.outcomes, requests, results, by, log)
    return results
  }

  /**
   * Gives a slot back.
   * @throws ServiceError `session_id_conflict`, `forbidden`, `store_unavailable`
   */
  async release (request: ReleaseRequest, by: Actor, log: Log) {
    const result = allowed(await this.#store.release(request), request)
    tellReleased(this.outcomes, request, result, by, log)
    const { outcome, degraded = false } = result
    if (outcome === 'conflict') throw idConflict(result)
    const { sessionId } = request
    return { success: true, session_id: sessionId, released: outcome === 'released', degraded }
  }

  /**
   * Gives many slots back; none of them can make the others fail, but that of another node than
   * the caller's: it makes the whole batch `forbidden`, and those before it have been released.
   * @throws ServiceError `forbidden`, `store_unavailable`
   */
  async releaseMany (
    requests: ReleaseRequest[],
    by: Actor,
    log: Log
  ): Promise<Array<Allowed<ReleaseResult>>> {
    const results: Array<Allowed<ReleaseResult>> = []
    await forEachLimit(requests.entries(), RELEASES_AT_ONCE, async ([i, request]) => {
      const result = allowed(await this.#store.release(request), request)
      tellReleased(this.outcomes, request, result, by, log)
      results[i] = result
    })
    return results
  }

  /**
   * Ends all sessions of a user.
   * @throws ServiceError `store_unavailable`
   */
  async terminateUser (
    request: { username: string; reason: string; includeEmergency: boolean },
    by: Actor,
    log: Log
  ) {
    const { username, reason, includeEmergency } = request
    const result = await this.#store.terminateUser(username, reason, includeEmergency)
    const { terminated, spared, degraded = false } = result
    await tellTerminated(this.outcomes, terminated, { username, reason, degraded }, by, log)
    return { success: true, terminated, spared, degraded }
  }

  /**
   * Takes a switch node's report of all its calls.
   * @throws ServiceError `stale_epoch`, `incomplete_report`, `forbidden`, `store_unavailable`
   */
  async reconcileNode (report: NodeReconciliation, by: Actor, log: Log) {
    const { node, epoch, part, total, given } = report
    if (part === undefined && total !== undefined && total !== given) throw incomplete(report)
    const result = allowed(await this.#store.reconcileNode(report), { boundTo: report.node })
    if (result.outcome === 'stale_epoch') throw staleEpoch(node, epoch, result.epoch)
    if (result.outcome === 'incomplete') throw incomplete(report)
    await tellReported(this.outcomes, report, result, by, log)
    const { renewed, registered, released, ended, conflicts, degraded = false } = result
    return { renewed, registered, released, ended, conflicts, degraded }
  }

  /**
   * Forgets a switch node: its epoch, and the slots of its sessions.
   * @throws ServiceError `store_unavailable`
   */
  async forgetNode (node: string, by: Actor, log: Log) {
    const { missing, degraded = false } = await this.#store.forgetNode(node)
    const about = { node, reason: 'its node was forgotten', degraded }
    await tellLapsed(this.outcomes, missing, about, by, log)
    return { success: true, node, released: missing.length, degraded }
  }
}

/** @throws ServiceError `forbidden` where the session is of another node than the caller's */
function allowed<R extends Degradable> (result: R, asked: { boundTo?: BoundTo } = {}): Allowed<R> {
  if (!('outcome' in result) || result.outcome !== 'forbidden') return result as Allowed<R>
  throw boundTo(asked.boundTo ?? '', result.degraded)
}
