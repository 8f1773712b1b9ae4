/** Admission on Redis: one script call and one round trip a verb, by the clock of Redis. */
import type { PolicyCache } from '../../policy/policy.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { isRefusal } from '../../redis/replies.ts'
import { outcomeOf } from '../../redis/script-outcomes.ts'
import type { HeldLease, KnownSession } from '../lease.ts'
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
  SessionVerbs
} from '../session-store.ts'
import { acquireArgs, acquireKeys, decodeAcquired } from './acquire-script.ts'
import { RedisGhosts } from './redis-ghosts.ts'
import { forgetNode, reconcileNode } from './redis-node-report.ts'
import { RedisRenewals, type NodeRenewals } from './redis-renewals.ts'
import type { RedisSessionReads } from './redis-session-reads.ts'
import {
  releaseArgs,
  releaseKeys,
  type ReleasedFrom,
  type ReleaseOptions
} from './release-script.ts'

/** Keeps leases in Redis, and knows the sessions that the switch recorded there itself. */
export class RedisSessionStore implements SessionVerbs, SessionReader {
  /**
   * The generation of data that an acquire has to find in Redis, where that is known: another one
   * has lost its leases.
   */
  generation: string | undefined
  learning = false
  protected readonly executor: RedisExecutor
  #keys: RedisKeys
  #policy: PolicyCache
  #reads: RedisSessionReads
  #renewals: RedisRenewals
  #ghosts: RedisGhosts

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    policy: PolicyCache,
    reads: RedisSessionReads
  ) {
    this.executor = executor
    this.#keys = keys
    this.#policy = policy
    this.#reads = reads
    this.#renewals = new RedisRenewals(executor, keys)
    this.#ghosts = new RedisGhosts(executor, keys)
  }

  async acquire (request: AcquireRequest): Promise<AcquireResult> {
    const result = decodeAcquired(request, await this.#acquire(request))
    if (result.outcome !== 'limit_reached' || result.external === 0) return result
    // Before a call is refused for sessions that the switch left behind, see whether they are still
    // there.
    if ((await this.#removeGhosts(request.username)) === 0) return result
    return decodeAcquired(request, await this.#acquire(request))
  }

  /** How many ghosts were removed; none where Redis refuses to look: the decision stands. */
  async #removeGhosts (username: string): Promise<number> {
    try {
      return await this.#ghosts.removeSome(username)
    } catch (error) {
      if (!isRefusal(error)) throw error
      return 0
    }
  }

  #acquire (request: AcquireRequest): Promise<unknown> {
    return this.executor.run(
      this.executor.scripts.acquire(
        acquireKeys(this.#keys, request),
        acquireArgs(this.#keys, request, this.#policy.current, this.generation)
      )
    )
  }

  async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    return await this.#renewals.renew(requests, ttlMs)
  }

  /** Renews sessions as those of a node, where nobody asks for the leases themselves. */
  async renewOnNode (node: string, sessions: RenewRequest[], ttlMs: number): Promise<NodeRenewals> {
    return await this.#renewals.renewOnNode(node, sessions, ttlMs)
  }

  async release (request: ReleaseRequest): Promise<ReleaseResult> {
    const { sessionId, username, reason, attempt, node, boundTo } = request
    const holder = username ?? (await this.getSession(sessionId))?.username
    const options = { attempt, node, boundTo }
    const { outcome } = await this.releaseFrom(holder ?? '', sessionId, reason, options)
    if (outcome === 'released') return { outcome, username: holder }
    if (outcome === 'forbidden') return { outcome }
    // Without a username, a conflict is with somebody who has come meanwhile.
    return { outcome: outcome === 'conflict' && username !== undefined ? outcome : 'unknown' }
  }

  /**
   * Ends a user's session, or lets it lapse, if the conditions hold.
   * @param username - empty where nobody knows whose it is
   */
  async releaseFrom (
    username: string,
    sessionId: string,
    reason: string,
    options: ReleaseOptions = {}
  ): Promise<ReleasedFrom> {
    const { scripts } = this.executor
    const [code, record = ''] = (await this.executor.run(
      scripts.release(
        releaseKeys(this.#keys, username, sessionId),
        releaseArgs(this.#keys, username, sessionId, reason, options)
      )
    )) as [number, string?]
    const outcome = outcomeOf(code)
    if (outcome === 'conflict' || outcome === 'spared' || outcome === 'forbidden') {
      return { outcome }
    }
    return { outcome: outcome === 'released' ? outcome : 'unknown', record }
  }

  /**
   * Notes leases that were put back by other means than these verbs, where an index is kept of
   * them.
   */
  async noteRestored (_leases: HeldLease[]): Promise<void> {}

  async reconcileNode (report: NodeReconciliation): Promise<ReconcileResult> {
    return await reconcileNode(this.executor, this.#keys, this, report)
  }

  async forgetNode (node: string): Promise<ForgetNodeResult> {
    return await forgetNode(this.executor, this.#keys, this, node)
  }

  async terminateUser (username: string, reason: string, includeEmergency: boolean) {
    const options = { sparesEmergency: !includeEmergency, onlyLive: true }
    const [terminated, spared]: [string[], string[]] = [[], []]
    for await (const batch of this.#reads.sessionIds(username)) {
      const results = await Promise.all(
        batch.map(async (id) => await this.releaseFrom(username, id, reason, options))
      )
      terminated.push(...batch.filter((_id, i) => results[i]?.outcome === 'released'))
      spared.push(...batch.filter((_id, i) => results[i]?.outcome === 'spared'))
    }
    return { terminated, spared }
  }

  /** @param username - whose session it is, where that is known and needed to find it */
  async getSession (sessionId: string, username?: string): Promise<KnownSession | null> {
    return await this.#reads.getSession(sessionId, username)
  }

  async getCount (username: string) {
    return await this.#reads.getCount(username)
  }
}
