/**
 * Admission that outlives Redis. Every lease that passes through here is mirrored in the process;
 * while Redis is away the mirror decides, as the outage mode says, and when Redis is back it is
 * told.
 */
import type { Count } from '../../schemas/counts.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import type {
  AcquireRequest,
  AcquireResult,
  ForgetNodeResult,
  NodeReconciliation,
  ReconcileResult,
  ReleaseRequest,
  ReleaseResult,
  RenewRequest,
  RenewResult,
  SessionReader,
  SessionVerbs,
  TerminateResult
} from '../sessions/session-store.ts'
import type { Breaker } from './breaker.ts'
import {
  acquireLate,
  acquireLocally,
  isFresh,
  noteAcquired,
  noteUp,
  type LocalParts
} from './local-acquire.ts'
import { redisAway, type RetryOnce } from './retry-once.ts'
import { isUnavailable } from './unavailable.ts'

/** What the resilient store is made of. */
export interface Parts extends LocalParts {
  store: RedisSessionStore
  breaker: Breaker
  retry: RetryOnce
}

/** Asks Redis, and does without it while it is away. */
export class ResilientSessionStore implements SessionVerbs, SessionReader {
  #parts: Parts

  constructor (parts: Parts) {
    this.#parts = parts
  }

  get learning (): boolean {
    return this.#parts.store.learning
  }

  async acquire (request: AcquireRequest): Promise<AcquireResult> {
    const { store, breaker } = this.#parts
    await breaker.decided()
    if (breaker.open) return await acquireLocally(this.#parts, request, false, redisAway())
    let result: AcquireResult
    // Not by `ask`: every admission comes this way, and is spared two promises.
    try {
      result = await store.acquire(request)
    } catch (error) {
      result = await this.#acquireAgain(request, error)
    }
    if (request.dryRun || result.degraded === true) return result
    return this.#taken(request, result)
  }

  /** The second try, and what is decided without Redis where that fails, too. */
  async #acquireAgain (request: AcquireRequest, cause: unknown): Promise<AcquireResult> {
    const { store, retry } = this.#parts
    try {
      return await retry.again(cause, () => store.acquire({ ...request, again: true }))
    } catch (error) {
      if (!isUnavailable(error)) throw error
      return await acquireLocally(this.#parts, request, true, error)
    }
  }

  /**
   * What Redis has decided. An answer from before an outage may come when the mirror has decided
   * without it already, and then the mirror has to have room for it.
   */
  #taken (request: AcquireRequest, result: AcquireResult): AcquireResult | Promise<AcquireResult> {
    const { breaker, mode } = this.#parts
    if (breaker.open && mode === 'local' && isFresh(result, request.ttlMs)) {
      return acquireLate(this.#parts, request, result)
    }
    noteAcquired(this.#parts, request, result)
    return result
  }

  async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    const { store, mirror } = this.#parts
    try {
      const results = await this.#parts.retry.ask(() => store.renew(requests, ttlMs))
      requests.forEach((request, i) => {
        if (results[i] !== undefined) this.#noteRenewed(request, results[i], ttlMs)
      })
      return results
    } catch (error) {
      if (!isUnavailable(error)) throw error
      const results = await mirror.renew(requests, ttlMs)
      results.forEach((result, i) => {
        result.degraded = true
        if ('lease' in result) noteUp(this.#parts, requests[i]?.sessionId ?? '')
      })
      return results
    }
  }

  async release (request: ReleaseRequest): Promise<ReleaseResult> {
    const { store, mirror, outbox, retry } = this.#parts
    try {
      const result = await retry.ask(async () => await store.release(request))
      await mirror.noteReleased(request, result)
      return result
    } catch (error) {
      if (!isUnavailable(error)) throw error
      const result = await mirror.releaseLocally(request)
      if (result.outcome === 'released' || result.outcome === 'unknown') {
        outbox.put(request.sessionId, { kind: 'ended', ...request, endedMs: mirror.now() })
      }
      return { ...result, degraded: true }
    }
  }

  async reconcileNode (report: NodeReconciliation): Promise<ReconcileResult> {
    const { store, mirror, retry } = this.#parts
    try {
      const result = await retry.ask(async () => await store.reconcileNode(report))
      if (result.outcome === 'reconciled') await mirror.noteReport(report, result)
      return result
    } catch (error) {
      if (!isUnavailable(error)) throw error
      const result = await mirror.reconcileNode(report)
      if (result.outcome !== 'reconciled') return result
      for (const { sessionId } of report.sessions) noteUp(this.#parts, sessionId)
      this.#putLapsed(report.node, result.missing)
      return { ...result, degraded: true }
    }
  }

  async forgetNode (node: string): Promise<ForgetNodeResult> {
    const { store, mirror, retry } = this.#parts
    try {
      const result = await retry.ask(async () => await store.forgetNode(node))
      for (const { sessionId } of result.missing) mirror.lapse(sessionId)
      return result
    } catch (error) {
      if (!isUnavailable(error)) throw error
      const result = await mirror.forgetNode(node)
      this.#putLapsed(node, result.missing)
      return { ...result, degraded: true }
    }
  }

  #putLapsed (node: string, missing: ForgetNodeResult['missing']): void {
    for (const { sessionId, username } of missing) {
      this.#parts.outbox.put(sessionId, { kind: 'lapsed', username, node })
    }
  }

  async terminateUser (
    username: string,
    reason: string,
    includeEmergency: boolean
  ): Promise<TerminateResult> {
    const { store, mirror, outbox } = this.#parts
    try {
      const { atMs, leases, spared } = await this.#parts.retry.ask(
        async () => await store.endUser(username, reason, includeEmergency)
      )
      for (const { sessionId, ...end } of leases) mirror.forget(sessionId, { username, ...end })
      mirror.userEnds.note(username, atMs, includeEmergency, mirror.now())
      return { terminated: leases.map(({ sessionId }) => sessionId), spared }
    } catch (error) {
      if (!isUnavailable(error)) throw error
      const result = await mirror.terminateUser(username, reason, includeEmergency)
      // Other replicas may know of more: they are told by way of Redis.
      const atMs = mirror.now()
      mirror.userEnds.note(username, atMs, includeEmergency, atMs)
      outbox.putUser({ kind: 'user_ended', username, reason, includeEmergency, atMs })
      return { ...result, degraded: true }
    }
  }

  /** @throws ServiceError `store_unavailable` when Redis is away and this user is not known here */
  async getCount (username: string): Promise<Count> {
    const { store, mirror, known, breaker } = this.#parts
    try {
      const count = await this.#parts.retry.ask(async () => await store.getCount(username))
      mirror.seeExternal(username, count.external)
      return count
    } catch (error) {
      const ageMs = known.ageMs(username)
      if (!isUnavailable(error) || ageMs === undefined) throw error
      return {
        ...(await mirror.getCount(username)),
        degraded: true,
        stale_ms: Math.max(ageMs, breaker.openForMs)
      }
    }
  }

  async getSession (sessionId: string) {
    try {
      return await this.#parts.retry.ask(async () => await this.#parts.store.getSession(sessionId))
    } catch (error) {
      const known = isUnavailable(error) ? await this.#parts.mirror.getSession(sessionId) : null
      if (known === null) throw error
      return { ...known, degraded: true }
    }
  }

  #noteRenewed (request: RenewRequest, result: RenewResult, ttlMs: number): void {
    const { mirror } = this.#parts
    const { sessionId, username, attempt } = request
    if (result.outcome === 'ended') mirror.forget(sessionId, { username, attempt })
    if (result.outcome !== 'renewed' && result.outcome !== 'reregistered') return
    if (!mirror.prolong(sessionId, username, ttlMs, attempt)) mirror.take(result.lease(), ttlMs)
  }
}
