/**
 * Admission on a Redis Cluster. A user's keys share a slot, so every decision is still one script;
 * what spans users, that an id is unique and which sessions a node has, is kept in an index beside
 * it.
 */
import { storeUnavailable } from '../../errors.ts'
import type { PolicyCache } from '../../policy/policy.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import type { Reach } from '../../redis/reach.ts'
import { forEachLimit } from '../../util/for-each-limit.ts'
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
import { PLAINLY } from './per-user.ts'
import type { NodeRenewals } from './redis-renewals.ts'
import type { RedisSessionReads } from './redis-session-reads.ts'
import { RedisSessionStore } from './redis-session-store.ts'
import type { ReleaseOptions } from './release-script.ts'

/** How many ids are claimed at once, so that admissions do not wait for a long list. */
const CLAIMS_AT_ONCE = 64
/** How many users' sessions are renewed at once. */
const USERS_AT_ONCE = 32

/** Keeps leases in a Redis Cluster. */
export class RedisClusterSessionStore extends RedisSessionStore {
  #index: ClusterIndex

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    policy: PolicyCache,
    reads: RedisSessionReads,
    reach?: Reach
  ) {
    super(executor, keys, policy, reads, reach)
    this.#index = new ClusterIndex(executor, keys, reach)
  }

  override async acquire (request: AcquireRequest): Promise<AcquireResult> {
    const { sessionId, username, attempt, ttlMs, dryRun, node, heldBy } = request
    // The index may have lost whose the id is.
    const isHeld = async () =>
      heldBy !== undefined && (await this.#index.holds(sessionId, heldBy)) !== false
    if (dryRun) {
      const others = await this.#othersClaim(sessionId, username, attempt)
      if (others === undefined && await isHeld()) return { outcome: 'conflict' }
      return others ?? (await super.acquire(request))
    }
    const claim = await this.#index.claim(sessionId, username, ttlMs, attempt, node)
    if (claim.outcome === 'ended') await this.#endOwn(request)
    if (claim.outcome !== 'claimed') return { outcome: claim.outcome }
    if (claim.fresh && await isHeld()) {
      await this.#index.giveUp(sessionId, claim)
      return { outcome: 'conflict' }
    }
    const result = await super.acquire(request)
    if (result.outcome === 'admitted' || result.outcome === 'refreshed') {
      await Promise.all([
        this.#index.arrive(result.lease),
        ...result.terminated.map(async (id) => await this.#index.remember(id))
      ])
    } else if (result.outcome === 'ended') {
      await this.#index.rememberEnded(sessionId, username)
    } else {
      await this.#index.giveUp(sessionId, claim)
    }
    return result
  }

  override async renew (
    requests: RenewRequest[],
    ttlMs: number,
    perUser = PLAINLY
  ): Promise<RenewResult[]> {
    const results: RenewResult[] = []
    const byUser = new Map<string, number[]>()
    await forEachLimit(requests.entries(), CLAIMS_AT_ONCE, async ([i, request]) => {
      const { sessionId, username, attempt = 0, node } = request
      const { outcome } = await this.#index.claim(sessionId, username, ttlMs, attempt, node)
      if (outcome === 'ended') await this.#endOwn(request)
      if (outcome !== 'claimed') results[i] = { outcome }
      else if (byUser.get(username)?.push(i) === undefined) byUser.set(username, [i])
    })
    await forEachLimit(byUser.values(), USERS_AT_ONCE, async (places) => {
      const itsOwn = places.sort((a, b) => a - b).flatMap((i) => requests[i] ?? [])
      const renewed = await super.renew(itsOwn, ttlMs, perUser)
      places.forEach((i, at) => {
        if (renewed[at] !== undefined) results[i] = renewed[at]
      })
    })
    await this.#noteRenewed(requests, results)
    return results
  }

  /** Ends a user's session whose id has ended: nobody may have known then whose it was. */
  async #endOwn ({ sessionId, username, attempt, boundTo }: RenewRequest): Promise<void> {
    if ((await this.#index.holds(sessionId, username)) !== true) return
    const options = { attempt, boundTo, onlyLive: 'any' as const }
    await this.releaseFrom(username, sessionId, 'ended before', options)
  }

  /** Notes in the index what became of renewals. */
  async #noteRenewed (requests: RenewRequest[], results: RenewResult[]): Promise<void> {
    const up = results.flatMap((result) =>
      'lease' in result && result.degraded !== true ? result.lease() : []
    )
    await this.#index.arrive(...up)
    await forEachLimit(requests.entries(), CLAIMS_AT_ONCE, async ([i, { sessionId, username }]) => {
      if (results[i]?.outcome === 'ended') await this.#index.rememberEnded(sessionId, username)
    })
  }

  override async renewOnNode (
    node: string,
    sessions: RenewRequest[],
    ttlMs: number,
    perUser = PLAINLY
  ): Promise<NodeRenewals> {
    const results = await this.renew(
      sessions.map((session) => ({ ...session, node })),
      ttlMs,
      perUser
    )
    let [earliestEndMs, latestEndMs] = [Infinity, -Infinity]
    for (const result of results) {
      if (!('expiresMs' in result) || result.degraded) continue
      earliestEndMs = Math.min(earliestEndMs, result.expiresMs)
      latestEndMs = Math.max(latestEndMs, result.expiresMs)
    }
    return { outcomes: results.map(({ outcome }) => outcome), earliestEndMs, latestEndMs }
  }

  override async holderOf (sessionId: string): Promise<string | null | undefined> {
    return await this.#index.holderOf(sessionId)
  }

  override async release (request: ReleaseRequest, known?: string | null): Promise<ReleaseResult> {
    const { sessionId, username, attempt = 0, boundTo } = request
    let holder = (known === undefined ? await this.#index.holderOf(sessionId) : known) ?? undefined
    if (username === undefined && holder === undefined) {
      // Nobody knows whose it is: the end is remembered where every user's claim passes.
      const isNoted = await this.#index.end(sessionId, attempt, boundTo)
      if (isNoted === undefined) throw storeUnavailable(new Error('the index of this id is out'))
      if (isNoted) return { outcome: 'unknown' }
      holder = (await this.#index.holderOf(sessionId)) ?? undefined
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

  override async getSession (sessionId: string, known?: string | null) {
    const holder = known === undefined ? await this.#index.holderOf(sessionId) : known
    return await this.findSession(sessionId, holder ?? undefined)
  }

  override async claimForRestore (leases: HeldLease[]) {
    const refused: Array<'ended' | 'conflict' | undefined> = []
    await forEachLimit(leases.entries(), CLAIMS_AT_ONCE, async ([i, { lease, remainingMs }]) => {
      const { sessionId, username, attempt, node } = lease
      const about = [sessionId, username, remainingMs, attempt, node] as const
      const { outcome } = await this.#index.claim(...about)
      refused[i] = outcome === 'claimed' ? undefined : outcome
    })
    return refused
  }

  override async noteRestored (leases: HeldLease[]): Promise<void> {
    await this.#index.arriveAgain(leases)
  }

  /** What an id is to everybody but its holder; undefined where it is this user's or nobody's. */
  async #othersClaim (
    sessionId: string,
    username: string,
    attempt: number
  ): Promise<{ outcome: 'conflict' | 'ended' } | undefined> {
    const holder = (await this.#index.holderOf(sessionId)) ?? username
    if (holder === username) return undefined
    const state = await this.#index.stateOf(sessionId, holder, attempt)
    if (state === 'free') return undefined
    return { outcome: state === 'ended' ? 'ended' : 'conflict' }
  }
}
