/** Admission on Redis: one script call and one round trip a verb, the time that of Redis. */
import type { PageRequest } from '../../../schemas/paging.ts'
import type { Session } from '../../../schemas/sessions.ts'
import { storeUnavailable } from '../../errors.ts'
import type { RedisLimitsStore } from '../../limits/redis-limits-store.ts'
import type { MalformedValues } from '../../util/malformed-values.ts'
import type { PolicyCache } from '../../policy/policy.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { decodeLease, encodeDetails, leaseToSession } from './lease-record.ts'
import type { Mirrored } from '../memory/memory-session-store.ts'
import { limitMode } from '../policy-mode.ts'
import { RedisNodes } from './redis-nodes.ts'
import { RedisRenewals, type NodeRenewals } from './redis-renewals.ts'
import { RedisSessionLists } from './redis-session-lists.ts'
import { RedisSweep } from './redis-sweep.ts'
import type {
  AcquireRequest,
  AcquireResult,
  NodeReconciliation,
  ReleaseResult,
  RenewRequest,
  RenewResult,
  SessionStore
} from '../session-store.ts'
import { ENDED_MEMORY_MS, RECORD_GRACE_MS } from '../timing.ts'

/** What acquire.lua answers with. */
const ACQUIRED = { admitted: 1, refreshed: 2, limitReached: 3, conflict: 4, lostData: 7 }

/** When a session is ended, and when it is left alone. */
export interface ReleaseConditions {
  /** Only a session of this node that started at or before `startedByMs`. */
  node?: string
  startedByMs?: number
  /** An unknown id is remembered as ended, too. */
  rememberUnknown?: boolean
  /** Only a lease that was taken for so long and never renewed since. */
  untouchedTtlMs?: number
}

/** Keeps leases in Redis, and knows the sessions that the switch recorded there itself. */
export class RedisSessionStore implements SessionStore {
  /**
   * The generation of data that an acquire has to find in Redis, where that is known: another one
   * has lost its leases.
   */
  generation: string | undefined
  learning = false
  #executor: RedisExecutor
  #keys: RedisKeys
  #policy: PolicyCache
  #lists: RedisSessionLists
  #renewals: RedisRenewals
  #nodes: RedisNodes
  #sweep: RedisSweep

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    policy: PolicyCache,
    limits: RedisLimitsStore,
    malformed: MalformedValues
  ) {
    this.#executor = executor
    this.#keys = keys
    this.#policy = policy
    this.#lists = new RedisSessionLists(executor, keys, limits, malformed)
    this.#renewals = new RedisRenewals(executor, keys)
    this.#nodes = new RedisNodes(executor, keys, this)
    this.#sweep = new RedisSweep(executor, keys)
  }

  async acquire (request: AcquireRequest): Promise<AcquireResult> {
    const result = await this.#acquire(request)
    if (result.outcome !== 'limit_reached' || result.external === 0) return result
    // Before a call is refused for sessions that the switch left behind, see whether they are still
    // there.
    return (await this.#sweep.removeGhosts(request.username)) === 0
      ? result
      : await this.#acquire(request)
  }

  async #acquire (request: AcquireRequest): Promise<AcquireResult & { external?: number }> {
    const { username, sessionId, ttlMs, node = '', details, dryRun, again = false } = request
    const { current: policy } = this.#policy
    const keys = [
      this.#keys.lease(username, sessionId),
      this.#keys.user('user-leases', username),
      this.#keys.user('user-sessions', username),
      this.#keys.user('user-limit', username),
      this.#keys.user('user-temporary-limit', username)
    ]
    if (!this.#keys.cluster) {
      keys.push(this.#keys.generation, ...(node === '' ? [] : [this.#keys.nodeLeases(node)]))
    }
    const reply = (await this.#executor.run(
      this.#executor.scripts.acquire(keys, [
        username,
        sessionId,
        ttlMs,
        ttlMs + RECORD_GRACE_MS,
        node,
        encodeDetails(details),
        policy.max_sessions_per_user,
        limitMode(policy, details.emergency ?? false),
        dryRun ? '1' : '',
        ENDED_MEMORY_MS,
        this.#keys.leasePrefix(username),
        this.#keys.nodeLeasesPrefix,
        this.#keys.sessionPrefix,
        this.#keys.cluster ? '' : (this.generation ?? ''),
        again ? '1' : ''
      ])
    )) as [code: number, count: number, limit: number, ...Array<string | number>]
    const [code, count, limit] = reply
    if (code === ACQUIRED.admitted) {
      const [, , , startedMs, observed, ...terminated] = reply as [
        number,
        number,
        number,
        number,
        number,
        ...string[]
      ]
      const session = leaseToSession(
        sessionId,
        { username, node, details, startedMs },
        startedMs + ttlMs
      )
      return { outcome: 'admitted', session, count, limit, terminated, observed: observed === 1 }
    }
    if (code === ACQUIRED.refreshed) {
      const [, , , expiresMs, record] = reply as [number, number, number, number, string]
      return {
        outcome: 'refreshed',
        session: this.#session(sessionId, record, expiresMs),
        count,
        limit,
        terminated: [],
        observed: false
      }
    }
    if (code === ACQUIRED.limitReached) {
      return { outcome: 'limit_reached', count, limit, external: Number(reply[3]) }
    }
    if (code === ACQUIRED.lostData) throw storeUnavailable(new Error('Redis has lost its data'))
    return { outcome: code === ACQUIRED.conflict ? 'conflict' : 'ended' }
  }

  async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    return await this.#renewals.renew(requests, ttlMs)
  }

  /** Renews sessions as those of a node. */
  async renewOnNode (node: string, sessions: RenewRequest[], ttlMs: number): Promise<NodeRenewals> {
    return await this.#renewals.renewOnNode(node, sessions, ttlMs)
  }

  async release (
    sessionId: string,
    username: string | undefined,
    reason: string
  ): Promise<ReleaseResult> {
    const holder = username ?? (await this.getSession(sessionId))?.username
    return holder === undefined
      ? { outcome: 'unknown' }
      : await this.releaseFrom(holder, sessionId, reason)
  }

  /** Ends a user's session, if the conditions hold. */
  async releaseFrom (
    username: string,
    sessionId: string,
    reason: string,
    when: ReleaseConditions = {}
  ): Promise<ReleaseResult & { record?: string }> {
    const [code, record = ''] = (await this.#executor.run(
      this.#executor.scripts.release(
        [
          this.#keys.lease(username, sessionId),
          this.#keys.user('user-leases', username),
          this.#keys.user('user-sessions', username)
        ],
        [
          username,
          sessionId,
          reason,
          ENDED_MEMORY_MS,
          this.#keys.nodeLeasesPrefix,
          RECORD_GRACE_MS,
          when.node ?? '',
          when.startedByMs ?? 0,
          when.rememberUnknown === true ? '1' : '',
          when.untouchedTtlMs ?? ''
        ]
      )
    )) as [number, string?]
    if (code === 4) return { outcome: 'conflict' }
    return { outcome: code === 1 ? 'released' : 'unknown', record }
  }

  /**
   * Ends a session of which another replica may know more than this one; its id is remembered even
   * where it is unknown.
   */
  async endUnknown (sessionId: string, username: string | undefined, reason: string): Promise<void> {
    const holder = username ?? (await this.getSession(sessionId))?.username
    if (holder !== undefined) {
      await this.releaseFrom(holder, sessionId, reason, { rememberUnknown: true })
    }
  }

  /**
   * Gives back the slot of an acquire without an answer, if it took one and nobody has asked for it
   * again since.
   */
  async undoAcquire (sessionId: string, username: string, ttlMs: number): Promise<void> {
    await this.releaseFrom(username, sessionId, 'acquire without an answer', {
      untouchedTtlMs: ttlMs
    })
  }

  /**
   * Notes leases that were put back by other means than these verbs, where an index is kept of
   * them.
   */
  async noteRestored (_leases: Mirrored[]): Promise<void> {}

  async reconcileNode (report: NodeReconciliation) {
    return await this.#nodes.reconcile(report)
  }

  async terminateUser (username: string, reason: string) {
    const terminated: string[] = []
    for await (const batch of this.#lists.sessionIds(username)) {
      const results = await Promise.all(
        batch.map(async (id) => await this.releaseFrom(username, id, reason))
      )
      terminated.push(...batch.filter((_id, i) => results[i]?.outcome === 'released'))
    }
    return { terminated }
  }

  /** @param username - whose session it is, where that is known and needed to find it */
  async getSession (sessionId: string, username?: string): Promise<Session | null> {
    return await this.#lists.getSession(sessionId, username)
  }

  async listSessions (
    filter: { username?: string | undefined; node?: string | undefined },
    page: PageRequest
  ) {
    return await this.#lists.listSessions(filter, page)
  }

  async listUsers (query: Parameters<SessionStore['listUsers']>[0]) {
    return await this.#lists.listUsers(query)
  }

  async listNodes (page: PageRequest) {
    return await this.#nodes.list(page)
  }

  async getCount (username: string) {
    return await this.#lists.getCount(username)
  }

  async listCounts (page: PageRequest) {
    return await this.#lists.listCounts(page)
  }

  allCounts () {
    return this.#lists.allCounts()
  }

  async sweep (share: number) {
    return await this.#sweep.run(share)
  }

  async claimSweep (forMs: number) {
    // Held a little shorter than the interval, so that the same replica can claim it again next
    // time.
    return (
      (await this.#executor.run(
        this.#executor.client.set(this.#keys.sweepLock, '1', 'PX', Math.ceil(forMs * 0.9), 'NX')
      )) === 'OK'
    )
  }

  async keepSweep (forMs: number) {
    await this.#executor.run(
      this.#executor.client.pexpire(this.#keys.sweepLock, Math.ceil(forMs * 0.9))
    )
  }

  #session (sessionId: string, record: string, expiresMs: number): Session {
    const lease = decodeLease(record)
    if (lease === undefined) throw new Error(`the record of session ${sessionId} cannot be read`)
    return leaseToSession(sessionId, lease, expiresMs)
  }
}
