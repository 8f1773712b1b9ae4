/** Admission on Redis: one script call and one round trip a verb, by the clock of Redis. */
import type { PolicyCache } from '../../policy/policy.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { EVERYWHERE } from '../../redis/reach.ts'
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
import {
  acquireArgs,
  acquireKeys,
  decodeAcquired,
  goOn,
  type Acquired,
  type Progress,
  type RoomMade
} from './acquire-script.ts'
import { endUser, type UserEnded } from './end-user.ts'
import { decodeRecord } from './lease-record.ts'
import { RedisGhosts } from './redis-ghosts.ts'
import { PLAINLY } from './per-user.ts'
import { forgetNode, reconcileNode } from './redis-node-report.ts'
import { RedisRenewals, type NodeRenewals } from './redis-renewals.ts'
import type { RedisSessionReads } from './redis-session-reads.ts'
import {
  releaseArgs,
  releaseKeys,
  releaseResult,
  type EndedUser,
  type ReleasedFrom,
  type ReleaseOptions
} from './release-script.ts'

/** How often it is looked up whose session an id is, when that changes meanwhile. */
const TRIES = 3
const AT_FIRST: Progress = { terminated: [], exhausted: false }

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
    reads: RedisSessionReads,
    reach = EVERYWHERE
  ) {
    this.executor = executor
    this.#keys = keys
    this.#policy = policy
    this.#reads = reads
    this.#renewals = new RedisRenewals(executor, keys)
    this.#ghosts = new RedisGhosts(executor, keys, reach)
  }

  async acquire (request: AcquireRequest): Promise<AcquireResult> {
    // Nothing is awaited but the answer of Redis: every admission comes this way.
    const first = decodeAcquired(request, await this.#askAcquire(request, AT_FIRST))
    const result = first.outcome === 'room_made' ? await this.#goOn(request, first) : first
    if (result.outcome !== 'limit_reached' || result.external === 0) return result
    // Before a call is refused for sessions that the switch left behind, see whether they are still
    // there.
    if ((await this.#removeGhosts(request.username)) === 0) return result
    const again = decodeAcquired(request, await this.#askAcquire(request, AT_FIRST))
    return again.outcome === 'room_made' ? await this.#goOn(request, again) : again
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

  /** Several calls, where very many sessions have to end first. */
  async #goOn (request: AcquireRequest, first: RoomMade): Promise<Acquired> {
    return await goOn(first, async (progress) =>
      decodeAcquired(request, await this.#askAcquire(request, progress)))
  }

  #askAcquire (request: AcquireRequest, progress: Progress): Promise<unknown> {
    const { executor, generation } = this
    const [policy, deadline] = [this.#policy.current, executor.deadline()]
    const args = acquireArgs(this.#keys, request, { policy, generation, deadline, progress })
    return executor.run(executor.scripts.acquire(acquireKeys(this.#keys, request), args))
  }

  async renew (
    requests: RenewRequest[],
    ttlMs: number,
    perUser = PLAINLY
  ): Promise<RenewResult[]> {
    if (requests.length === 0) return []
    return await perUser.renew(requests, async () => await this.#renewals.renew(requests, ttlMs))
  }

  /** Renews sessions as those of a node, where nobody asks for the leases themselves. */
  async renewOnNode (
    node: string,
    sessions: RenewRequest[],
    ttlMs: number,
    perUser = PLAINLY
  ): Promise<NodeRenewals> {
    return await this.#renewals.renewOnNode(node, sessions, ttlMs, perUser)
  }

  /**
   * Whose session an id is, where that decides what is asked: null if it is nobody's, undefined
   * where nobody can tell. On one server it decides nothing, and is ''.
   */
  async holderOf (_sessionId: string): Promise<string | null | undefined> {
    return ''
  }

  /** @param _holder - whose session it is, or null, where somebody has looked already */
  async release (request: ReleaseRequest, _holder?: string | null): Promise<ReleaseResult> {
    const { sessionId, username, reason, attempt, node, boundTo, endedMs: startedByMs } = request
    for (let tries = 1; ; tries++) {
      const holder = username ?? (await this.#holder(sessionId, tries))
      const options = { attempt, node, boundTo, startedByMs }
      const released = await this.releaseFrom(holder ?? '', sessionId, reason, options)
      if (released.outcome !== 'conflict' || username !== undefined) {
        return releaseResult(holder, released)
      }
      if (tries === TRIES) return { outcome: 'unknown', unmet: true }
    }
  }

  /** Whose an id is; after a conflict by its record: somebody came, or the lease was evicted. */
  async #holder (sessionId: string, tries: number): Promise<string | undefined> {
    if (tries === 1) return (await this.getSession(sessionId))?.username
    const record = this.executor.get(this.#keys.lease('', sessionId))
    return decodeRecord((await this.executor.run(record)) ?? '')?.username
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
    const { executor } = this
    const args = releaseArgs(this.#keys, username, sessionId, reason, options)
    args.push(executor.deadline())
    const [code, record, leaseMs] = (await executor.run(
      executor.scripts.release(releaseKeys(this.#keys, username, sessionId), args)
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

  async reconcileNode (
    report: NodeReconciliation,
    perUser = PLAINLY,
    reach = EVERYWHERE
  ): Promise<ReconcileResult> {
    const { executor } = this
    return await reconcileNode({ executor, keys: this.#keys, verbs: this, perUser, reach }, report)
  }

  async forgetNode (
    node: string,
    perUser = PLAINLY,
    reach = EVERYWHERE,
    startedByMs?: number
  ): Promise<ForgetNodeResult> {
    const parts = { executor: this.executor, keys: this.#keys, verbs: this, perUser, reach }
    return await forgetNode(parts, node, startedByMs)
  }

  async terminateUser (username: string, reason: string, includeEmergency: boolean) {
    const { leases, spared } = await this.endUser(username, reason, includeEmergency)
    return { terminated: leases.map(({ sessionId }) => sessionId), spared }
  }

  /**
   * Ends all sessions of a user, and tells more of them.
   * @param ended - when that was, if not now: only leases are ended then, since it is not known
   * when external sessions began
   */
  async endUser (
    username: string,
    reason: string,
    includeEmergency: boolean,
    ended?: UserEnded
  ): Promise<EndedUser> {
    const { executor } = this
    const parts = { executor, keys: this.#keys, reads: this.#reads, verbs: this }
    return await endUser(parts, { username, reason, includeEmergency, ended })
  }

  /** @param holder - whose session it is, where that is known: its record may be gone */
  async getSession (sessionId: string, holder?: string | null): Promise<KnownSession | null> {
    return await this.findSession(sessionId, holder || undefined)
  }

  /** @param username - whose session it is, where that is needed to find it */
  protected async findSession (sessionId: string, username: string | undefined) {
    return await this.#reads.getSession(sessionId, username)
  }

  async getCount (username: string) {
    return await this.#reads.getCount(username)
  }
}
