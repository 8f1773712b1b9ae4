/**
 * Sessions that live as long as the process, on a given clock. No switch writes here: none is
 * external, none a ghost.
 */
import type { PageRequest } from '../../../schemas/paging.ts'
import type { Session } from '../../../schemas/sessions.ts'
import { toTimestamp, type Clock } from '../../clock.ts'
import type { MemoryLimitsStore } from '../../limits/memory-limits-store.ts'
import type { PolicyCache } from '../../policy/policy.ts'
import { sortedPage } from '../../util/sorted-page.ts'
import { toCount } from '../count.ts'
import { leaseToSession, type Lease } from '../redis/lease-record.ts'
import { LeaseTable, oldestFirst } from './lease-table.ts'
import { tallyReport } from '../node-report.ts'
import { limitMode } from '../policy-mode.ts'
import { Renewed } from '../renewed.ts'
import type {
  AcquireRequest,
  AcquireResult,
  NodeReconciliation,
  ReconcileResult,
  ReleaseResult,
  RenewRequest,
  RenewResult,
  SessionStore
} from '../session-store.ts'
import { ENDED_MEMORY_MS } from '../timing.ts'
import { rankUsers } from '../user-ranking.ts'

/** A lease as the mirror of another store holds it. */
export interface Mirrored {
  sessionId: string
  lease: Lease
  remainingMs: number
}

type Known = Required<RenewRequest> & { node: string }

/** Keeps leases in memory. */
export class MemorySessionStore implements SessionStore {
  readonly learning = false
  #limits: MemoryLimitsStore
  #policy: PolicyCache
  #table: LeaseTable
  #nodes = new Map<string, { epoch: number; lastSeenMs: number }>()

  /** @param endedMemoryMs - how long an id that has ended is remembered */
  constructor (
    limits: MemoryLimitsStore,
    policy: PolicyCache,
    clock: Clock,
    endedMemoryMs = ENDED_MEMORY_MS
  ) {
    this.#limits = limits
    this.#policy = policy
    this.#table = new LeaseTable(clock, endedMemoryMs)
  }

  /** @param admitAll - whether everybody is let in, whatever the policy says */
  async acquire (
    { username, sessionId, ttlMs, node = '', details, dryRun }: AcquireRequest,
    admitAll = false
  ): Promise<AcquireResult> {
    const now = this.#table.now()
    const { limit, unlimited } = this.#limits.limitNow(username)
    const live = this.#table.ofUser(username, now)
    const entry = this.#table.known(sessionId, now)
    if (entry?.ended === true) {
      if (!dryRun) this.#table.end(sessionId, now)
      return { outcome: 'ended' }
    }
    if (entry !== undefined && entry.expiresMs > now) {
      if (entry.username !== username) return { outcome: 'conflict' }
      if (!dryRun) entry.expiresMs = now + ttlMs
      const session = leaseToSession(sessionId, entry, now + ttlMs)
      return {
        outcome: 'refreshed',
        session,
        count: live.length,
        limit,
        terminated: [],
        observed: false
      }
    }
    const mode = admitAll ? 'admit' : limitMode(this.#policy.current, details.emergency ?? false)
    const excess = unlimited ? 0 : Math.max(0, live.length + 1 - limit)
    if (excess > 0 && mode === 'reject') {
      return { outcome: 'limit_reached', count: live.length, limit }
    }
    const terminated =
      mode === 'terminate_oldest'
        ? oldestFirst(live)
          .slice(0, excess)
          .map(([id]) => id)
        : []
    const lease = { username, startedMs: now, node, details }
    if (!dryRun) {
      for (const id of terminated) this.#table.end(id, now)
      this.#table.put(sessionId, lease, now + ttlMs)
    }
    return {
      outcome: 'admitted',
      session: leaseToSession(sessionId, lease, now + ttlMs),
      count: live.length + 1 - terminated.length,
      limit,
      terminated,
      observed: excess > 0 && mode === 'observe'
    }
  }

  async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    const now = this.#table.now()
    const expiresMs = now + ttlMs
    return requests.map(({ sessionId, username, node = '', details = {} }) => {
      const outcome = this.#renew({ sessionId, username, node, details }, now, expiresMs)
      if (outcome === 'ended' || outcome === 'conflict') return { outcome }
      const lease = this.#table.live(sessionId, now)
      if (lease === undefined) {
        throw new Error(`session ${sessionId} was renewed for a time that is over`)
      }
      return new Renewed(outcome, expiresMs, () => leaseToSession(sessionId, lease, expiresMs))
    })
  }

  #renew (
    { sessionId, username, node, details }: Known,
    now: number,
    expiresMs: number
  ): RenewResult['outcome'] {
    const entry = this.#table.known(sessionId, now)
    if (entry?.ended === true) {
      this.#table.end(sessionId, now)
      return 'ended'
    }
    const live = entry !== undefined && entry.expiresMs > now
    if (live && entry.username !== username) return 'conflict'
    if (live && (node === '' || node === entry.node)) {
      entry.expiresMs = expiresMs
      return 'renewed'
    }
    // A lease that has expired, but is remembered, is registered again as the call that it was.
    const known = entry?.username === username ? entry : undefined
    const lease =
      known === undefined
        ? { username, startedMs: now, node, details }
        : {
            username,
            startedMs: known.startedMs,
            node: node === '' ? known.node : node,
            details: known.details
          }
    this.#table.put(sessionId, lease, expiresMs)
    return live ? 'renewed' : 'reregistered'
  }

  async release (sessionId: string, username: string | undefined): Promise<ReleaseResult> {
    const now = this.#table.now()
    const entry = this.#table.live(sessionId, now)
    if (entry === undefined) return { outcome: 'unknown' }
    if (username !== undefined && entry.username !== username) return { outcome: 'conflict' }
    this.#table.end(sessionId, now)
    return { outcome: 'released' }
  }

  async reconcileNode ({
    node,
    epoch,
    sessions,
    ttlMs,
    asOfMs
  }: NodeReconciliation): Promise<ReconcileResult> {
    const now = this.#table.now()
    const known = this.#nodes.get(node)
    if (known !== undefined && known.epoch > epoch) {
      return { outcome: 'stale_epoch', epoch: known.epoch }
    }
    this.#nodes.set(node, { epoch, lastSeenMs: now })
    const listed = new Set<string>()
    const outcomes = sessions.map(({ sessionId, username, details = {} }) => {
      const outcome = this.#renew({ sessionId, username, node, details }, now, now + ttlMs)
      if (outcome === 'renewed' || outcome === 'reregistered') listed.add(sessionId)
      return outcome
    })
    const missing = this.#table
      .ofNode(node, now)
      .filter(([id, { startedMs }]) => startedMs <= asOfMs && !listed.has(id))
    const releasedIds = missing.map(([id]) => id)
    for (const id of releasedIds) this.#table.end(id, now)
    return { ...tallyReport(sessions, outcomes, releasedIds.length), releasedIds }
  }

  /** Takes over that another store prolonged a lease; false when it is not known here. */
  prolong (sessionId: string, username: string, ttlMs: number): boolean {
    const now = this.#table.now()
    const entry = this.#table.known(sessionId, now)
    if (entry === undefined || entry.ended || entry.username !== username) return false
    entry.expiresMs = now + ttlMs
    return true
  }

  /** Takes over a lease that another store has just taken. */
  take (sessionId: string, lease: Lease, ttlMs: number): void {
    this.#table.put(sessionId, lease, this.#table.now() + ttlMs)
  }

  /** Takes over a lease that another store holds. */
  remember (session: Session, ttlMs: number): void {
    const {
      session_id: id,
      username,
      node,
      call_id,
      from,
      to,
      direction,
      emergency,
      metadata,
      started_at
    } = session
    const given = Object.entries({ call_id, from, to, direction, metadata }).filter(
      ([, value]) => value !== null
    )
    const now = this.#table.now()
    this.#table.put(
      id,
      {
        username,
        node: node ?? '',
        startedMs: started_at === null ? now : Date.parse(started_at),
        details: { ...Object.fromEntries(given), emergency }
      },
      now + ttlMs
    )
  }

  /**
   * Takes over that a session has ended; `username` tells whose it was, should it not be known
   * here.
   */
  forget (sessionId: string, username?: string): void {
    this.#table.end(sessionId, this.#table.now(), username)
  }

  /** Every lease that is live, user by user. */
  * mirrored (): Generator<Mirrored> {
    for (const username of this.#table.usernames()) {
      const now = this.#table.now()
      for (const [sessionId, lease] of this.#table.ofUser(username, now)) {
        yield { sessionId, lease, remainingMs: lease.expiresMs - now }
      }
    }
  }

  /**
   * Every id that has ended within so many milliseconds, with whose it was; without those of which
   * that is not known.
   */
  * endedIds (withinMs: number): Generator<[sessionId: string, username: string]> {
    yield * this.#table.endedSince(this.#table.now() - withinMs)
  }

  /** One lease, if it is live. */
  mirroredOf (sessionId: string): Mirrored | undefined {
    const now = this.#table.now()
    const lease = this.#table.live(sessionId, now)
    return lease && { sessionId, lease, remainingMs: lease.expiresMs - now }
  }

  async terminateUser (username: string) {
    const now = this.#table.now()
    const terminated = this.#table.ofUser(username, now).map(([id]) => id)
    for (const id of terminated) this.#table.end(id, now)
    return { terminated }
  }

  async getSession (sessionId: string) {
    const lease = this.#table.live(sessionId, this.#table.now())
    return lease === undefined ? null : leaseToSession(sessionId, lease, lease.expiresMs)
  }

  async listSessions (
    { username, node }: { username?: string | undefined; node?: string | undefined },
    { cursor, count }: PageRequest
  ) {
    const now = this.#table.now()
    const live =
      username !== undefined
        ? this.#table.ofUser(username, now)
        : node !== undefined
          ? this.#table.ofNode(node, now)
          : this.#table.all(now)
    const page = sortedPage(
      live.filter(([, lease]) => node === undefined || lease.node === node),
      cursor,
      count
    )
    return {
      ...page,
      entries: page.entries.map(([id, lease]) => leaseToSession(id, lease, lease.expiresMs))
    }
  }

  async listUsers ({ offset, limit, sort }: Parameters<SessionStore['listUsers']>[0]) {
    const { entries, total } = await rankUsers(this.allCounts(), sort, offset, limit)
    const users = entries.map(([username, sessions]) => {
      const { limit, unlimited, source } = this.#limits.limitNow(username)
      return { username, sessions, limit, unlimited, source }
    })
    return { users, total }
  }

  async listNodes ({ cursor, count }: PageRequest) {
    const now = this.#table.now()
    const page = sortedPage(this.#nodes, cursor, count)
    const entries = page.entries.map(([node, { epoch, lastSeenMs }]) => ({
      node,
      epoch,
      last_seen: toTimestamp(lastSeenMs),
      sessions: this.#table.ofNode(node, now).length
    }))
    return { ...page, entries }
  }

  async getCount (username: string) {
    return toCount(
      this.#limits.limitNow(username),
      this.#table.ofUser(username, this.#table.now()).length,
      0
    )
  }

  async listCounts ({ cursor, count }: PageRequest) {
    return sortedPage(this.#counts(), cursor, count)
  }

  async * allCounts () {
    yield [...this.#counts()]
  }

  async sweep () {
    this.#table.now()
    return { users: 0, removed: 0 }
  }

  async claimSweep () {
    return true
  }

  async keepSweep () {}

  * #counts (): Generator<[string, number]> {
    const now = this.#table.now()
    for (const username of this.#table.usernames()) {
      const count = this.#table.ofUser(username, now).length
      if (count > 0) yield [username, count]
    }
  }
}
