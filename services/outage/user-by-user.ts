/**
 * Renewals and reports while a part of a Cluster may be out: each user is decided where the user
 * lies, by Redis or by the mirror.
 */
import type { Lease } from '../sessions/lease.ts'
import type { PerUser } from '../sessions/redis/per-user.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import type { RenewRequest, RenewResult } from '../sessions/session-store.ts'
import type { LeaseMirror } from './lease-mirror.ts'
import { noteUp } from './local-acquire.ts'
import type { Outbox } from './outbox.ts'
import { redisAway, type RetryOnce } from './retry-once.ts'
import type { Shards } from './shards.ts'
import { isUnavailable } from './unavailable.ts'
import { tellUnnamedEnd } from './unnamed-ends.ts'
import { forEachInTurns } from '../util/in-turns.ts'

interface Parts {
  store: Pick<RedisSessionStore, 'release'>
  mirror: LeaseMirror
  outbox: Outbox
  retry: RetryOnce
  shards: Shards
}

/** Asks each user's part, or the only one; does without those that are out. */
export class UserByUser implements PerUser {
  /** Whether something was decided without Redis. */
  degraded = false
  /** Users whose sessions were decided by the mirror, which knows of them all there is to know. */
  readonly locally = new Set<string>()
  #parts: Parts
  #isMuch: boolean
  #ttlMs: number
  /** When this work began: what has ended here since then stays ended. */
  #sinceMs: number

  /** @param isMuch - whether it is work that may take too long though Redis is well */
  constructor (parts: Parts, isMuch: boolean, ttlMs = 0) {
    this.#parts = parts
    this.#isMuch = isMuch
    this.#ttlMs = ttlMs
    this.#sinceMs = parts.mirror.now()
  }

  async renew (
    requests: RenewRequest[],
    question: () => Promise<RenewResult[]>
  ): Promise<RenewResult[]> {
    const { mirror, retry } = this.#parts
    const { username = '' } = requests[0] ?? {}
    const sinceMs = mirror.now()
    const ask = async () => {
      for (const request of requests) {
        const told = tellUnnamedEnd(this.#parts, request)
        if (told !== undefined) await told
      }
      return await question()
    }
    try {
      const results = this.#isMuch
        ? await retry.askMuch(username, ask)
        : await retry.ask(username, ask)
      await forEachInTurns(requests, (request, i) => {
        if (results[i] !== undefined) this.#note(request, results[i], sinceMs)
      })
      return results
    } catch (error) {
      if (!this.#isOut(username, error)) throw error
      this.degraded = true
      this.locally.add(username)
      const results = await mirror.renew(requests, this.#ttlMs)
      results.forEach((result, i) => {
        result.degraded = true
        if ('lease' in result) noteUp(this.#parts, requests[i]?.sessionId ?? '')
      })
      return results
    }
  }

  /** A session that lies where it is out keeps its slot. The next report frees it. */
  async lapse ({ username }: { username: string }, question: () => Promise<boolean>) {
    try {
      return await this.#parts.retry.askMuch(username, question)
    } catch (error) {
      if (!this.#isOut(username, error)) throw error
      this.degraded = true
      return false
    }
  }

  knows (request: RenewRequest): boolean {
    return this.#parts.mirror.knows(request)
  }

  learn (lease: Lease): void {
    const { mirror } = this.#parts
    if (!mirror.hasEndedSince(lease, this.#sinceMs)) mirror.take(lease, this.#ttlMs)
  }

  /**
   * Asks about a node, whose sessions may lie in all parts of a Cluster. The answer says whether
   * something was decided without Redis.
   */
  async askNode<T extends { degraded?: boolean }>(question: () => Promise<T>): Promise<T> {
    const { retry, shards } = this.#parts
    if (shards.areOne) return await retry.askMuch('', question)
    if (shards.allOpen) throw redisAway()
    const result = await question()
    return this.degraded ? { ...result, degraded: true } : result
  }

  #isOut (username: string, error: unknown): boolean {
    return isUnavailable(error) && this.#parts.shards.of(username).breaker.open
  }

  /** @param sinceMs - when Redis was asked: what has ended here since then stays ended */
  #note (request: RenewRequest, result: RenewResult, sinceMs: number): void {
    const { mirror } = this.#parts
    const { sessionId, username, attempt, boundTo } = request
    if (result.outcome === 'ended') mirror.forget(sessionId, { username, attempt }, boundTo)
    if (result.outcome !== 'renewed' && result.outcome !== 'reregistered') return
    if (mirror.prolong(request, this.#ttlMs)) return
    const lease = result.lease()
    if (!mirror.hasEndedSince(lease, sinceMs)) mirror.take(lease, this.#ttlMs)
  }
}
