/**
 * Admission on a Redis Cluster. A user's keys share a slot, so every decision is still one script;
 * what spans users, that an id is unique and which sessions a node has, is kept in an index beside
 * it.
 */
import type { Session } from '../../../schemas/sessions.ts'
import type { RedisLimitsStore } from '../../limits/redis-limits-store.ts'
import type { MalformedValues } from '../../util/malformed-values.ts'
import type { PolicyCache } from '../../policy/policy.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { ClusterIndex } from './cluster-index.ts'
import { decodeLease } from './lease-record.ts'
import type { Mirrored } from '../memory/memory-session-store.ts'
import type { NodeRenewals } from './redis-renewals.ts'
import { RedisSessionStore, type ReleaseConditions } from './redis-session-store.ts'
import type {
  AcquireRequest,
  AcquireResult,
  ReleaseResult,
  RenewRequest,
  RenewResult
} from '../session-store.ts'

/** Keeps leases in a Redis Cluster. */
export class RedisClusterSessionStore extends RedisSessionStore {
  #executor: RedisExecutor
  #index: ClusterIndex

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    policy: PolicyCache,
    limits: RedisLimitsStore,
    malformed: MalformedValues
  ) {
    super(executor, keys, policy, limits, malformed)
    this.#executor = executor
    this.#index = new ClusterIndex(executor, keys)
  }

  override async acquire (request: AcquireRequest): Promise<AcquireResult> {
    const { sessionId, username, ttlMs, dryRun } = request
    if (dryRun) {
      return (await this.#othersClaim(sessionId, username)) ?? (await super.acquire(request))
    }
    const claim = await this.#index.claim(sessionId, username, ttlMs)
    if (claim.outcome !== 'claimed') return { outcome: claim.outcome }
    const result = await super.acquire(request)
    if ('session' in result) {
      await Promise.all([
        this.#arrive(result.session),
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
        async ({ sessionId, username }) => await this.#index.claim(sessionId, username, ttlMs)
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
            if ('session' in result) await this.#arrive(result.session)
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

  override async release (
    sessionId: string,
    username: string | undefined,
    reason: string
  ): Promise<ReleaseResult> {
    const { outcome } = await super.release(sessionId, username, reason)
    if (outcome !== 'unknown' || username === undefined) return { outcome }
    return (await this.#othersClaim(sessionId, username))?.outcome === 'conflict'
      ? { outcome: 'conflict' }
      : { outcome }
  }

  override async releaseFrom (
    username: string,
    sessionId: string,
    reason: string,
    when: ReleaseConditions = {}
  ) {
    const result = await super.releaseFrom(username, sessionId, reason, when)
    if (result.outcome === 'released') {
      await Promise.all([
        this.#index.leave(sessionId, username, decodeLease(result.record ?? '')?.node ?? ''),
        this.#index.remember(sessionId)
      ])
    }
    return result
  }

  override async getSession (sessionId: string) {
    return await super.getSession(sessionId, await this.#index.holderOf(sessionId))
  }

  override async noteRestored (leases: Mirrored[]): Promise<void> {
    const nowMs = await this.#executor.nowMs()
    await Promise.all(
      leases.map(async ({ sessionId, lease: { username, node }, remainingMs }) => {
        const leftMs = Math.ceil(remainingMs)
        await this.#index.claim(sessionId, username, leftMs)
        await this.#index.arrive(sessionId, username, node === '' ? null : node, nowMs + leftMs)
      })
    )
  }

  /** What an id is to everybody but its holder; undefined where it is this user's or nobody's. */
  async #othersClaim (
    sessionId: string,
    username: string
  ): Promise<{ outcome: 'conflict' | 'ended' } | undefined> {
    const holder = await this.#index.holderOf(sessionId)
    if (holder === undefined || holder === username) return undefined
    const state = await this.#index.stateOf(sessionId, holder)
    if (state === 'expired') return undefined
    return { outcome: state === 'ended' ? 'ended' : 'conflict' }
  }

  async #arrive ({
    session_id: sessionId,
    username,
    node,
    expires_at: expiresAt
  }: Session): Promise<void> {
    await this.#index.arrive(sessionId, username, node, Date.parse(expiresAt ?? ''))
  }
}
