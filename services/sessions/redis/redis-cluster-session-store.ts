/**
 * Admission on a Redis Cluster. A user's keys share a slot, so every decision is still one script;
 * what spans users, that an id is unique and which sessions a node has, is kept in an index beside
 * it.
 */
import type { PolicyCache } from '../../policy/policy.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import type { HeldLease } from '../lease.ts'
import type {
  AcquireRequest,
  AcquireResult,
  ReleaseRequest,
  ReleaseResult,
  RenewRequest,
  RenewResult
} from '../session-store.ts'
import { ClusterIndex } from './cluster-index.ts'
import { decodeRecord } from './lease-record.ts'
import type { NodeRenewals } from './redis-renewals.ts'
import type { RedisSessionReads } from './redis-session-reads.ts'
import { RedisSessionStore } from './redis-session-store.ts'
import type { ReleaseOptions } from './release-script.ts'

/** Keeps leases in a Redis Cluster. */
export class RedisClusterSessionStore extends RedisSessionStore {
  #index: ClusterIndex

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    policy: PolicyCache,
    reads: RedisSessionReads
  ) {
    super(executor, keys, policy, reads)
    this.#index = new ClusterIndex(executor, keys)
  }

  override async acquire (request: AcquireRequest): Promise<AcquireResult> {
    const { sessionId, username, attempt, ttlMs, dryRun } = request
    if (dryRun) {
      const others = await this.#othersClaim(sessionId, username, attempt)
      return others ?? (await super.acquire(request))
    }
    const { node } = request
    const claim = await this.#index.claim(sessionId, username, ttlMs, attempt, node)
    if (claim.outcome !== 'claimed') return { outcome: claim.outcome }
    const result = await super.acquire(request)
    if (result.outcome === 'admitted' || result.outcome === 'refreshed') {
      await Promise.all([
        this.#index.arrive(result.lease),
        ...result.terminated.map(async (id) => await this.#index.remember(id))
      ])
    } else if (result.outcome === 'ended') {
      await this.#index.remember(sessionId)
    } else if (claim.fresh) {
      await this.#index.unclaim(sessionId)
    }
    return result
  }

  override async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    const claims = await Promise.all(
      requests.map(
        async ({ sessionId, username, attempt = 0, node }) =>
          await this.#index.claim(sessionId, username, ttlMs, attempt, node)
      )
    )
    const results: RenewResult[] = claims.map(({ outcome }) => ({
      outcome: outcome === 'ended' ? outcome : 'conflict'
    }))
    const byUser = new Map<string, number[]>()
    requests.forEach(({ username }, i) => {
      if (claims[i]?.outcome === 'claimed') {
        byUser.set(username, [...(byUser.get(username) ?? []), i])
      }
    })
    await Promise.all(
      [...byUser].map(async ([username, places]) => {
        const renewed = await super.renew(
          places.flatMap((i) => requests[i] ?? []),
          ttlMs
        )
        await Promise.all(
          renewed.map(async (result, at) => {
            const [i = 0, sessionId = ''] = [places[at], requests[places[at] ?? 0]?.sessionId]
            results[i] = result
            if ('lease' in result) await this.#index.arrive(result.lease())
            else if (result.outcome === 'ended') await this.#index.remember(sessionId)
          })
        )
      })
    )
    return results
  }

  override async renewOnNode (
    node: string,
    sessions: RenewRequest[],
    ttlMs: number
  ): Promise<NodeRenewals> {
    const results = await this.renew(
      sessions.map((session) => ({ ...session, node })),
      ttlMs
    )
    const ends = results.flatMap((result) => ('expiresMs' in result ? result.expiresMs : []))
    return {
      outcomes: results.map(({ outcome }) => outcome),
      earliestEndMs: ends.reduce((least, end) => Math.min(least, end), Infinity),
      latestEndMs: ends.reduce((most, end) => Math.max(most, end), -Infinity)
    }
  }

  override async release (request: ReleaseRequest): Promise<ReleaseResult> {
    const { sessionId, username, attempt = 0, boundTo } = request
    let holder = await this.#index.holderOf(sessionId)
    if (username === undefined && holder === undefined) {
      // Nobody knows whose it is: the end is remembered where every user's claim passes.
      if (await this.#index.end(sessionId, attempt, boundTo)) return { outcome: 'unknown' }
      holder = await this.#index.holderOf(sessionId)
      if (holder === undefined) return { outcome: 'unknown', unmet: true }
    }
    const result = await super.release({ ...request, username: username ?? holder })
    if (result.outcome !== 'unknown' || username === undefined) return result
    if (result.unmet === true) return result
    const others = await this.#othersClaim(sessionId, username, Infinity)
    if (others?.outcome === 'conflict') return { outcome: others.outcome }
    if (holder === undefined) await this.#index.end(sessionId, attempt, boundTo)
    return result
  }

  override async releaseFrom (
    username: string,
    sessionId: string,
    reason: string,
    options: ReleaseOptions = {}
  ) {
    const result = await super.releaseFrom(username, sessionId, reason, options)
    if (result.outcome === 'released') {
      const node = decodeRecord(result.record ?? '')?.node ?? ''
      await this.#index.leave(sessionId, username, node)
      if (options.lapses !== true) await this.#index.remember(sessionId)
    }
    return result
  }

  override async getSession (sessionId: string) {
    return await super.getSession(sessionId, await this.#index.holderOf(sessionId))
  }

  override async claimForRestore (leases: HeldLease[]) {
    return await Promise.all(
      leases.map(async ({ lease: { sessionId, username, attempt, node }, remainingMs }) => {
        const about = [sessionId, username, remainingMs, attempt, node] as const
        const { outcome } = await this.#index.claim(...about)
        return outcome === 'claimed' ? undefined : outcome
      })
    )
  }

  override async noteRestored (leases: HeldLease[]): Promise<void> {
    const nowMs = await this.executor.nowMs()
    await Promise.all(
      leases.map(async ({ lease, remainingMs }) => {
        await this.#index.arrive({ ...lease, expiresMs: nowMs + remainingMs })
      })
    )
  }

  /** What an id is to everybody but its holder; undefined where it is this user's or nobody's. */
  async #othersClaim (
    sessionId: string,
    username: string,
    attempt: number
  ): Promise<{ outcome: 'conflict' | 'ended' } | undefined> {
    const holder = await this.#index.holderOf(sessionId)
    if (holder === undefined || holder === username) return undefined
    const state = await this.#index.stateOf(sessionId, holder, attempt)
    if (state === 'free') return undefined
    return { outcome: state === 'ended' ? 'ended' : 'conflict' }
  }
}
