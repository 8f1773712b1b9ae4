/**
 * Admission that outlives Redis. Every lease that passes through here is mirrored in the process;
 * while Redis is away the mirror decides, as the outage mode says, and when Redis is back it is
 * told.
 */
import type { Count } from '../../schemas/counts.ts'
import { partly } from '../errors.ts'
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
import { holderOf, releaseIn, sessionIn } from './holders.ts'
import {
  acquireLate,
  acquireLocally,
  isFresh,
  noteAcquired,
  type LocalParts
} from './local-acquire.ts'
import { forgetNode, reconcileNode } from './reported-nodes.ts'
import { redisAway, type RetryOnce } from './retry-once.ts'
import type { Shards } from './shards.ts'
import { endMissed } from './tell-end.ts'
import { tellUnnamedEnd } from './unnamed-ends.ts'
import { UserByUser } from './user-by-user.ts'
import { isUnavailable } from './unavailable.ts'
import { forEachInTurns } from '../util/in-turns.ts'

/** What the resilient store is made of. */
export interface Parts extends LocalParts {
  store: RedisSessionStore
  shards: Shards
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

  async acquire (asked: AcquireRequest): Promise<AcquireResult> {
    const { store, shards, mirror } = this.#parts
    const { breaker } = shards.of(asked.username)
    const askedMs = mirror.now()
    const deciding = breaker.decided()
    if (deciding !== undefined) await deciding
    const heldBy = mirror.holderOf(asked.sessionId)
    const isOthers = heldBy !== undefined && heldBy !== asked.username
    const request = isOthers ? { ...asked, heldBy } : asked
    if (breaker.open) return await acquireLocally(this.#parts, request, false, redisAway())
    let result: AcquireResult
    // Not by `ask`: every admission comes this way, and is spared promises that wait for nothing.
    try {
      const told = request.dryRun ? undefined : tellUnnamedEnd(this.#parts, request)
      if (told !== undefined) await told
      result = await store.acquire(request)
    } catch (error) {
      result = await this.#acquireAgain(request, error)
    }
    if (request.dryRun || result.degraded === true) return result
    return this.#taken(request, result, askedMs)
  }

  /** The second try, and what is decided without Redis where that fails, too. */
  async #acquireAgain (request: AcquireRequest, cause: unknown): Promise<AcquireResult> {
    const { store, retry, outbox, shards } = this.#parts
    const { sessionId, username, dryRun } = request
    try {
      return await retry.again(username, cause, () => store.acquire({ ...request, again: true }))
    } catch (error) {
      if (!isUnavailable(error)) throw error
      const result = await acquireLocally(this.#parts, request, true, error)
      const isAsked = !shards.of(username).breaker.open
      if (isAsked && 'lease' in result && !dryRun) outbox.refused.put(sessionId, true)
      return result
    }
  }

  /**
   * What Redis has decided. An answer from before an outage may come when the mirror has decided
   * without it already, and then the mirror has to have room for it.
   */
  #taken (
    request: AcquireRequest,
    result: AcquireResult,
    askedMs: number
  ): AcquireResult | Promise<AcquireResult> {
    const { shards, mode } = this.#parts
    const { breaker } = shards.of(request.username)
    if (breaker.open && mode === 'local' && isFresh(result, request.ttlMs)) {
      return acquireLate(this.#parts, request, result)
    }
    const noted = noteAcquired(this.#parts, request, result, askedMs)
    return noted === undefined ? result : noted.then(() => result)
  }

  async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    const perUser = new UserByUser(this.#parts, requests.length > 1, ttlMs)
    const question = async () => await this.#parts.store.renew(requests, ttlMs, perUser)
    return requests.length > 1 ? await partly(question) : await question()
  }

  async release (request: ReleaseRequest): Promise<ReleaseResult> {
    const { mirror, outbox, retry } = this.#parts
    const { sessionId, username } = request
    const { holder, isKnown } = await holderOf(this.#parts, sessionId, username)
    try {
      const known = username === undefined ? holder : undefined
      if (!isKnown) throw redisAway()
      const question = async () => await releaseIn(this.#parts, request, known)
      const result =
        holder === null ? await question() : await retry.ask(holder ?? '', question)
      await mirror.noteReleased(request, result)
      return result
    } catch (error) {
      if (!isUnavailable(error)) throw error
      const result = await mirror.releaseLocally(request)
      if (result.outcome === 'released' || result.outcome === 'unknown') {
        const known = result.outcome === 'released' ? result.username : undefined
        const end = { ...request, username: holder || known, endedMs: mirror.now() }
        outbox.put(sessionId, { kind: 'ended', ...end })
      }
      return { ...result, degraded: true }
    }
  }

  async reconcileNode (report: NodeReconciliation): Promise<ReconcileResult> {
    return await reconcileNode(this.#parts, report)
  }

  async forgetNode (node: string): Promise<ForgetNodeResult> {
    return await forgetNode(this.#parts, node)
  }

  async terminateUser (
    username: string,
    reason: string,
    includeEmergency: boolean
  ): Promise<TerminateResult> {
    const { store, mirror, outbox } = this.#parts
    try {
      const { atMs, leases, spared } = await this.#parts.retry.askMuch(
        username,
        async () => await store.endUser(username, reason, includeEmergency)
      )
      await forEachInTurns(leases, ({ sessionId, attempt, leaseMs }) =>
        mirror.forget(sessionId, { username, attempt, leaseMs }))
      mirror.userEnds.note(username, atMs, includeEmergency, mirror.now())
      const about = { username, reason, includeEmergency, endedMs: atMs }
      const more = await endMissed(this.#parts, about)
      return { terminated: [...leases.map(({ sessionId }) => sessionId), ...more], spared }
    } catch (error) {
      if (!this.#isOut(username, error)) throw error
      const result = await mirror.terminateUser(username, reason, includeEmergency)
      // Other replicas may know of more: they are told by way of Redis.
      const notedMs = mirror.now()
      const atMs = mirror.byOtherClock(notedMs)
      mirror.userEnds.note(username, atMs, includeEmergency, notedMs)
      outbox.putUser({ kind: 'user_ended', username, reason, includeEmergency, atMs, notedMs })
      return { ...result, degraded: true }
    }
  }

  /** @throws ServiceError `store_unavailable` when Redis is away and this user is not known here */
  async getCount (username: string): Promise<Count> {
    const { store, mirror, known, shards } = this.#parts
    try {
      const count = await this.#parts.retry.ask(
        username,
        async () => await store.getCount(username)
      )
      mirror.seeExternal(username, count.external)
      return count
    } catch (error) {
      const ageMs = known.ageMs(username)
      if (!isUnavailable(error) || ageMs === undefined) throw error
      return {
        ...(await mirror.getCount(username)),
        degraded: true,
        stale_ms: Math.max(ageMs, shards.of(username).breaker.openForMs)
      }
    }
  }

  async getSession (sessionId: string) {
    const { mirror, retry, shards } = this.#parts
    try {
      const { holder, isKnown } = await holderOf(this.#parts, sessionId)
      if (!isKnown) throw redisAway()
      const question = async () => await sessionIn(this.#parts, sessionId, holder)
      return holder === null ? await question() : await retry.askMuch(holder ?? '', question)
    } catch (error) {
      const known = isUnavailable(error) ? mirror.mirroredOf(sessionId) : undefined
      if (known === undefined) throw error
      const { openForMs } = shards.of(known.lease.username).breaker
      const staleMs = Math.max(mirror.now() - known.touchedMs, openForMs)
      return { ...known.lease, degraded: true, staleMs }
    }
  }

  /** Whether a failure means that a user's part is out, so that the mirror decides. */
  #isOut (username: string, error: unknown): boolean {
    return isUnavailable(error) && this.#parts.shards.of(username).breaker.open
  }
}
