/**
 * Admission that outlives Redis. Every lease that passes through here is mirrored in the process;
 * while Redis is away the mirror decides, as the outage mode says, and when Redis is back it is
 * told.
 */
import type { Count } from '../../schemas/counts.ts'
import type { PageRequest } from '../../schemas/paging.ts'
import { storeUnavailable } from '../errors.ts'
import type { MemorySessionStore } from '../sessions/memory/memory-session-store.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import type {
  AcquireRequest,
  AcquireResult,
  Admitted,
  NodeReconciliation,
  ReconcileResult,
  ReleaseResult,
  RenewRequest,
  RenewResult,
  SessionStore,
  TerminateResult
} from '../sessions/session-store.ts'
import type { Breaker } from './breaker.ts'
import type { LimitCache } from './limit-cache.ts'
import type { Outbox } from './outbox.ts'
import { isUnavailable } from './unavailable.ts'

/**
 * What an admission does while Redis is away: decide by the mirror, refuse, or let everybody in.
 */
export type OutageMode = 'local' | 'deny' | 'allow'

/** What the resilient store is made of. */
export interface Parts {
  store: RedisSessionStore
  mirror: MemorySessionStore
  known: LimitCache
  outbox: Outbox
  breaker: Breaker
  mode: OutageMode
  /** Waits a little for a connection that was cut to come back; false when it did not. */
  reconnected: () => Promise<boolean>
}

/** Asks Redis, and does without it while it is away. */
export class ResilientSessionStore implements SessionStore {
  #parts: Parts

  constructor (parts: Parts) {
    this.#parts = parts
  }

  get learning (): boolean {
    return this.#parts.store.learning
  }

  async acquire (request: AcquireRequest): Promise<AcquireResult> {
    const { store, breaker, mode } = this.#parts
    await breaker.decided()
    const asked = !breaker.open
    try {
      const result = await this.#ask((again) =>
        store.acquire(again ? { ...request, again } : request)
      )
      // An answer from before the outage: the mirror has decided without it meanwhile, and has to
      // have room for it.
      if (breaker.open && mode === 'local' && isFresh(result, request.ttlMs)) {
        return await this.#acquireLate(request, result)
      }
      if (!request.dryRun) this.#noteAcquired(request, result)
      return result
    } catch (error) {
      if (!isUnavailable(error)) throw error
      return await this.#acquireLocally(request, asked, error)
    }
  }

  async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    const { store, mirror, outbox } = this.#parts
    try {
      const results = await this.#ask(() => store.renew(requests, ttlMs))
      requests.forEach((request, i) => {
        if (results[i] !== undefined) this.#noteRenewed(request, results[i], ttlMs)
      })
      return results
    } catch (error) {
      if (!isUnavailable(error)) throw error
      const results = await mirror.renew(requests, ttlMs)
      results.forEach((result, i) => {
        result.degraded = true
        if ('session' in result) outbox.up(requests[i]?.sessionId ?? '')
      })
      return results
    }
  }

  async release (
    sessionId: string,
    username: string | undefined,
    reason: string
  ): Promise<ReleaseResult> {
    const { store, mirror, outbox } = this.#parts
    try {
      const result = await this.#ask(() => store.release(sessionId, username, reason))
      if (result.outcome !== 'conflict') mirror.forget(sessionId, username)
      return result
    } catch (error) {
      if (!isUnavailable(error)) throw error
      const result = await mirror.release(sessionId, username)
      if (result.outcome !== 'conflict') outbox.put(sessionId, { kind: 'ended', username, reason })
      return { ...result, degraded: true }
    }
  }

  async reconcileNode (report: NodeReconciliation): Promise<ReconcileResult> {
    const { store, mirror, outbox } = this.#parts
    try {
      const result = await this.#ask(async () => await store.reconcileNode(report))
      if (result.outcome === 'reconciled') {
        await mirror.reconcileNode(report)
        for (const id of result.ended) mirror.forget(id)
      }
      return result
    } catch (error) {
      if (!isUnavailable(error)) throw error
      const result = await mirror.reconcileNode(report)
      if (result.outcome !== 'reconciled') return result
      for (const { sessionId } of report.sessions) outbox.up(sessionId)
      for (const id of result.releasedIds ?? []) {
        outbox.put(id, { kind: 'ended', username: undefined, reason: 'missing on its node' })
      }
      return { ...result, degraded: true }
    }
  }

  async terminateUser (username: string, reason: string): Promise<TerminateResult> {
    const { store, mirror, outbox } = this.#parts
    try {
      const result = await this.#ask(async () => await store.terminateUser(username, reason))
      for (const id of result.terminated) mirror.forget(id, username)
      return result
    } catch (error) {
      if (!isUnavailable(error)) throw error
      const { terminated } = await mirror.terminateUser(username)
      for (const id of terminated) outbox.put(id, { kind: 'ended', username, reason })
      return { terminated, degraded: true }
    }
  }

  /** @throws ServiceError `store_unavailable` when Redis is away and this user is not known here */
  async getCount (username: string): Promise<Count> {
    const { store, mirror, known, breaker } = this.#parts
    try {
      return await this.#ask(async () => await store.getCount(username))
    } catch (error) {
      const ageMs = known.ageMs(username)
      if (!isUnavailable(error) || ageMs === undefined) throw error
      return {
        ...(await mirror.getCount(username)),
        degraded: true,
        stale_ms: Math.max(ageMs, Math.round(breaker.openForMs))
      }
    }
  }

  async getSession (sessionId: string) {
    try {
      return await this.#ask(async () => await this.#parts.store.getSession(sessionId))
    } catch (error) {
      const known = isUnavailable(error) ? await this.#parts.mirror.getSession(sessionId) : null
      if (known === null) throw error
      return { ...known, degraded: true }
    }
  }

  async listSessions (
    filter: { username?: string | undefined; node?: string | undefined },
    page: PageRequest
  ) {
    return await this.#ask(async () => await this.#parts.store.listSessions(filter, page))
  }

  async listUsers (query: Parameters<SessionStore['listUsers']>[0]) {
    return await this.#ask(async () => await this.#parts.store.listUsers(query))
  }

  async listNodes (page: PageRequest) {
    return await this.#ask(async () => await this.#parts.store.listNodes(page))
  }

  async listCounts (page: PageRequest) {
    return await this.#ask(async () => await this.#parts.store.listCounts(page))
  }

  allCounts () {
    return this.#parts.store.allCounts()
  }

  async sweep (share: number) {
    return await this.#ask(async () => await this.#parts.store.sweep(share))
  }

  async claimSweep (forMs: number) {
    return await this.#ask(async () => await this.#parts.store.claimSweep(forMs))
  }

  async keepSweep (forMs: number) {
    await this.#ask(async () => await this.#parts.store.keepSweep(forMs))
  }

  /**
   * Asks Redis; once more if the first try was lost, for every verb can be repeated by its session
   * id.
   */
  async #ask<T>(question: (again: boolean) => Promise<T>): Promise<T> {
    const { breaker, reconnected } = this.#parts
    await breaker.decided()
    if (breaker.open) throw storeUnavailable(new Error('Redis is known to be away'))
    try {
      return await question(false)
    } catch (error) {
      if (!isUnavailable(error)) throw error
      try {
        if (!breaker.open && (await reconnected())) return await question(true)
      } catch (again) {
        if (!isUnavailable(again)) throw again
      }
      breaker.trip(error)
      throw error
    }
  }

  /**
   * @param asked - whether Redis was asked, so that it may have taken the slot though no answer
   * came
   */
  async #acquireLocally (
    request: AcquireRequest,
    asked: boolean,
    cause: unknown
  ): Promise<AcquireResult> {
    const { mirror, outbox, mode } = this.#parts
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
    if (result.outcome === 'admitted' || result.outcome === 'refreshed') {
      if (!dryRun) {
        outbox.up(sessionId)
        for (const id of result.terminated) {
          outbox.put(id, { kind: 'ended', username, reason: 'terminated' })
        }
      }
    }
    return { ...result, degraded: true }
  }

  async #acquireLate (request: AcquireRequest, result: Admitted): Promise<AcquireResult> {
    for (const id of result.terminated) this.#parts.mirror.forget(id, request.username)
    this.#parts.known.seeInForce(request.username, result.limit)
    const again = await this.#acquireLocally(request, true, undefined)
    return again.outcome === 'admitted'
      ? { ...again, terminated: [...result.terminated, ...again.terminated] }
      : again
  }

  #noteAcquired (
    { username, sessionId, ttlMs, node = '', details }: AcquireRequest,
    result: AcquireResult
  ): void {
    const { mirror, known } = this.#parts
    if (result.outcome === 'ended') mirror.forget(sessionId, username)
    if (result.outcome === 'limit_reached') known.seeInForce(username, result.limit)
    if (result.outcome !== 'admitted' && result.outcome !== 'refreshed') return
    known.seeInForce(username, result.limit)
    for (const id of result.terminated) mirror.forget(id, username)
    if (result.outcome === 'admitted') {
      mirror.take(
        sessionId,
        { username, node, details, startedMs: Date.parse(result.session.started_at ?? '') },
        ttlMs
      )
    } else if (!mirror.prolong(sessionId, username, ttlMs)) {
      mirror.remember(result.session, ttlMs)
    }
  }

  #noteRenewed ({ sessionId, username }: RenewRequest, result: RenewResult, ttlMs: number): void {
    const { mirror } = this.#parts
    if (result.outcome === 'ended') mirror.forget(sessionId, username)
    if (result.outcome !== 'renewed' && result.outcome !== 'reregistered') return
    if (!mirror.prolong(sessionId, username, ttlMs)) mirror.remember(result.session, ttlMs)
  }
}

/** Whether the slot was taken by this very request, be it by its first try. */
function isFresh (result: AcquireResult, ttlMs: number): result is AcquireResult & Admitted {
  if (result.outcome === 'admitted') return true
  if (result.outcome !== 'refreshed') return false
  const { started_at: startedAt, expires_at: expiresAt } = result.session
  return Date.parse(expiresAt ?? '') - Date.parse(startedAt ?? '') === ttlMs
}
