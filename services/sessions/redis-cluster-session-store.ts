/**
 * Admission on a Redis Cluster. A user's keys share a slot, so every decision is still one script; what spans users, that
 * an id is unique and which sessions a node has, is kept in an index beside it.
 */
import type { RedisLimitsStore } from '../limits/redis-limits-store.ts'
import type { Oddities } from '../oddities.ts'
import type { PolicyCache } from '../policy/policy.ts'
import type { RedisGate } from '../redis/redis-gate.ts'
import type { RedisKeys } from '../redis/redis-keys.ts'
import { ClusterIndex } from './cluster-index.ts'
import { decodeLease } from './lease-record.ts'
import { RedisSessionStore, type ReleaseConditions } from './redis-session-store.ts'
import type { AcquireRequest, AcquireResult, RenewRequest, RenewResult } from './session-store.ts'

/** Keeps leases in a Redis Cluster. */
export class RedisClusterSessionStore extends RedisSessionStore {
  #gate: RedisGate
  #keys: RedisKeys
  #index: ClusterIndex

  constructor (gate: RedisGate, keys: RedisKeys, policy: PolicyCache, limits: RedisLimitsStore, oddities: Oddities) {
    super(gate, keys, policy, limits, oddities)
    this.#gate = gate
    this.#keys = keys
    this.#index = new ClusterIndex(gate, keys)
  }

  override async acquire (request: AcquireRequest): Promise<AcquireResult> {
    const { sessionId, username, ttlMs, node = '', dryRun } = request
    if (dryRun) return await super.acquire(request)
    const [result, holder] = await Promise.all([super.acquire(request), this.#index.claim(sessionId, username, ttlMs)])
    if (result.outcome !== 'admitted' && result.outcome !== 'refreshed') return result
    if (await this.#isAnothers(sessionId, username, holder)) {
      await this.#giveBack(sessionId, username)
      return { outcome: 'conflict' }
    }
    if (holder !== undefined || node !== '') await this.#index.note(sessionId, username, result.session.node ?? '', ttlMs)
    return result
  }

  override async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    const byUser = new Map<string, number[]>()
    requests.forEach(({ username }, i) => byUser.set(username, [...byUser.get(username) ?? [], i]))
    const results: RenewResult[] = []
    await Promise.all([...byUser.values()].map(async (places) => {
      const renewed = await super.renew(places.flatMap((i) => requests[i] ?? []), ttlMs)
      await Promise.all(places.map(async (i, at) => {
        const [request, result] = [requests[i], renewed[at]]
        if (request !== undefined && result !== undefined) results[i] = await this.#settle(request, result, ttlMs)
      }))
    }))
    return results
  }

  override async releaseFrom (username: string, sessionId: string, reason: string, when: ReleaseConditions = {}) {
    const result = await super.releaseFrom(username, sessionId, reason, when)
    if (result.outcome === 'released') await this.#index.leave(sessionId, username, decodeLease(result.record ?? '')?.node ?? '')
    return result
  }

  override async getSession (sessionId: string) {
    return await super.getSession(sessionId, await this.#index.holderOf(sessionId))
  }

  async #settle (request: RenewRequest, result: RenewResult, ttlMs: number): Promise<RenewResult> {
    if (!('session' in result)) return result
    const { sessionId, username } = request
    if (result.outcome === 'reregistered' && await this.#isAnothers(sessionId, username, await this.#index.holderOf(sessionId))) {
      await this.#giveBack(sessionId, username)
      return { outcome: 'conflict' }
    }
    await this.#index.note(sessionId, username, result.session.node ?? '', ttlMs)
    return result
  }

  async #isAnothers (sessionId: string, username: string, holder: string | undefined): Promise<boolean> {
    if (holder === undefined || holder === username) return false
    return (await super.getSession(sessionId, holder))?.source === 'lease'
  }

  /** Undoes a lease of an id that is another user's; it leaves no memory of an end, for it never was. */
  async #giveBack (sessionId: string, username: string): Promise<void> {
    await super.releaseFrom(username, sessionId, 'id held by another user')
    await this.#gate.ask(this.#gate.client.del(this.#keys.lease(username, sessionId)))
  }
}
