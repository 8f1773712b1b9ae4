/** Admission on Redis: one script call and one round trip a verb, by the clock of Redis. */
import type { PolicyCache } from '../../policy/policy.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { isRefusal } from '../../redis/replies.ts'
import { outcomeOf } from '../../redis/script-outcomes.ts'
import { forEachLimit } from '../../util/for-each-limit.ts'
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
import { LONGEST_TTL_MS } from '../timing.ts'
import {
  acquireArgs,
  acquireKeys,
  decodeAcquired,
  type Acquired,
  type Progress,
  type RoomMade
} from './acquire-script.ts'
import { RedisGhosts } from './redis-ghosts.ts'
import { forgetNode, reconcileNode } from './redis-node-report.ts'
import { RedisRenewals, type NodeRenewals } from './redis-renewals.ts'
import type { RedisSessionReads } from './redis-session-reads.ts'
import {
  releaseArgs,
  releaseKeys,
  releaseResult,
  type EndedLease,
  type EndedUser,
  type ReleasedFrom,
  type ReleaseOptions
} from './release-script.ts'

/** How often it is looked up whose session an id is, when that changes meanwhile. */
const TRIES = 3
const AT_FIRST: Progress = { terminated: [], exhausted: false }
/** How many sessions of a user are terminated at once: others' commands go between them. */
const ENDS_AT_ONCE = 50

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
    const result = await this.#acquire(request)
    if (result.outcome !== 'limit_reached' || result.external === 0) return result
    // Before a call is refused for sessions that the switch left behind, see whether they are still
    // there.
    if ((await this.#removeGhosts(request.username)) === 0) return result
    return await this.#acquire(request)
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

  /** One call, or several where very many sessions have to end first. */
  async #acquire (request: AcquireRequest): Promise<Acquired> {
    let result = await this.#tryAcquire(request, AT_FIRST)
    if (result.outcome !== 'room_made') return result
    const progress: Progress = { terminated: [], exhausted: false }
    while (result.outcome === 'room_made') {
      for (const id of result.terminated) progress.terminated.push(id)
      progress.exhausted = result.ended === 0
      result = await this.#tryAcquire(request, progress)
    }
    if (result.outcome !== 'admitted') return result
    return { ...result, terminated: [...progress.terminated, ...result.terminated] }
  }

  async #tryAcquire (request: AcquireRequest, progress: Progress): Promise<Acquired | RoomMade> {
    const answer = await this.executor.run(
      this.executor.scripts.acquire(
        acquireKeys(this.#keys, request),
        acquireArgs(this.#keys, request, this.#policy.current, this.generation, progress)
      )
    )
    return decodeAcquired(request, answer)
  }

  async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    return await this.#renewals.renew(requests, ttlMs)
  }

  /** Renews sessions as those of a node, where nobody asks for the leases themselves. */
  async renewOnNode (node: string, sessions: RenewRequest[], ttlMs: number): Promise<NodeRenewals> {
    return await this.#renewals.renewOnNode(node, sessions, ttlMs)
  }

  async release (request: ReleaseRequest): Promise<ReleaseResult> {
    const { sessionId, username, reason, attempt, node, boundTo, endedMs: startedByMs } = request
    for (let tries = 1; ; tries++) {
      const holder = username ?? (await this.getSession(sessionId))?.username
      const options = { attempt, node, boundTo, startedByMs }
      const released = await this.releaseFrom(holder ?? '', sessionId, reason, options)
      if (released.outcome !== 'conflict' || username !== undefined) {
        return releaseResult(holder, released)
      }
      // Without a username, a conflict is with somebody who has come meanwhile.
      if (tries === TRIES) return { outcome: 'unknown', unmet: true }
    }
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
    const [code, record, leaseMs] = (await this.executor.run(
      scripts.release(
        releaseKeys(this.#keys, username, sessionId),
        releaseArgs(this.#keys, username, sessionId, reason, options)
      )
    )) as [number, string?, number?]
    const outcome = outcomeOf(code)
    if (outcome === 'conflict' || outcome === 'spared') return { outcome }
    if (outcome === 'forbidden' || outcome === 'unmet') return { outcome }
    return { outcome: outcome === 'released' ? outcome : 'unknown', record, leaseMs }
  }

  /**
   * Makes ready to put back leases by other means than these verbs, where an index is kept of them.
   * @returns why one cannot be put back; undefined where it can
   */
  async claimForRestore (_leases: HeldLease[]): Promise<Array<'ended' | 'conflict' | undefined>> {
    return []
  }

  /** Notes leases that were put back, where an index is kept of them. */
  async noteRestored (_leases: HeldLease[]): Promise<void> {}

  async reconcileNode (report: NodeReconciliation): Promise<ReconcileResult> {
    return await reconcileNode(this.executor, this.#keys, this, report)
  }

  async forgetNode (node: string): Promise<ForgetNodeResult> {
    return await forgetNode(this.executor, this.#keys, this, node)
  }

  async terminateUser (username: string, reason: string, includeEmergency: boolean) {
    const { leases, spared } = await this.endUser(username, reason, includeEmergency)
    return { terminated: leases.map(({ sessionId }) => sessionId), spared }
  }

  /**
   * Ends all sessions of a user, and tells more of them.
   * @param atMs - when that was, if not now: only leases are ended then, since it is not known when
   * external sessions began
   */
  async endUser (
    username: string,
    reason: string,
    includeEmergency: boolean,
    atMs?: number
  ): Promise<EndedUser> {
    const startedByMs = (await this.executor.run(
      this.executor.scripts.endUser(
        [this.#keys.user('user-ended', username)],
        [atMs ?? '', includeEmergency ? '1' : '', LONGEST_TTL_MS]
      )
    )) as number
    const options = { sparesEmergency: !includeEmergency, onlyLive: true, startedByMs }
    const leases: EndedLease[] = []
    const spared: string[] = []
    for await (const batch of this.#reads.sessionIds(username, atMs !== undefined)) {
      await forEachLimit(batch, ENDS_AT_ONCE, async (sessionId) => {
        const released = await this.releaseFrom(username, sessionId, reason, options)
        const ended = releaseResult(username, released)
        if (ended.outcome === 'released') {
          const { attempt, leaseMs } = ended
          leases.push({ sessionId, attempt, leaseMs })
        } else if (released.outcome === 'spared') spared.push(sessionId)
      })
    }
    return { atMs: startedByMs, leases, spared }
  }

  /** @param username - whose session it is, where that is known and needed to find it */
  async getSession (sessionId: string, username?: string): Promise<KnownSession | null> {
    return await this.#reads.getSession(sessionId, username)
  }

  async getCount (username: string) {
    return await this.#reads.getCount(username)
  }
}
