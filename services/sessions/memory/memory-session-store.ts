/**
 * Sessions that live as long as the process, on a given clock. No switch writes here: there are no
 * external sessions and no ghosts.
 */
import type { MemoryLimitsStore } from '../../limits/memory-limits-store.ts'
import type { PolicyCache } from '../../policy/policy.ts'
import { toCount } from '../count.ts'
import type { Details, Lease } from '../lease.ts'
import { tallyReport } from '../node-report.ts'
import { limitMode } from '../policy-mode.ts'
import type {
  AcquireRequest,
  AcquireResult,
  NodeReconciliation,
  ReconcileResult,
  ReleaseResult,
  RenewRequest,
  RenewResult,
  SessionReader,
  SessionVerbs
} from '../session-store.ts'
import { leaseOf, oldestFirst, type LeaseTable, type Live } from './lease-table.ts'

/** A session that is said to be up still, everything named. */
interface Renewal {
  sessionId: string
  username: string
  node: string
  details: Details
}

const NO_DETAILS: Details = {}

/** Decides by the leases in a table. */
export class MemorySessionStore implements SessionVerbs, SessionReader {
  readonly learning = false
  protected readonly table: LeaseTable
  #limits: MemoryLimitsStore
  #policy: PolicyCache

  constructor (limits: MemoryLimitsStore, policy: PolicyCache, table: LeaseTable) {
    this.#limits = limits
    this.#policy = policy
    this.table = table
  }

  /** @param admitAll - whether everybody is let in, whatever the policy says */
  async acquire (request: AcquireRequest, admitAll = false): Promise<AcquireResult> {
    const { username, sessionId, ttlMs, dryRun } = request
    const now = this.table.now()
    const entry = this.table.known(sessionId, now)
    if (entry?.ended === true) {
      if (!dryRun) this.table.end(sessionId, now)
      return { outcome: 'ended' }
    }
    if (entry === undefined || entry.expiresMs <= now) return this.#admit(request, now, admitAll)
    if (entry.username !== username) return { outcome: 'conflict' }
    if (!dryRun) entry.expiresMs = now + ttlMs
    return {
      outcome: 'refreshed',
      lease: leaseOf(entry, now + ttlMs),
      count: this.table.ofUser(username, now).length,
      limit: this.#limits.limitNow(username).limit,
      terminated: [],
      observed: false
    }
  }

  #admit (
    { username, sessionId, ttlMs, node = '', details, dryRun }: AcquireRequest,
    now: number,
    admitAll: boolean
  ): AcquireResult {
    const { limit, unlimited } = this.#limits.limitNow(username)
    const live = this.table.ofUser(username, now)
    const mode = admitAll ? 'admit' : limitMode(this.#policy.current, details.emergency ?? false)
    const excess = unlimited ? 0 : Math.max(0, live.length + 1 - limit)
    if (excess > 0 && mode === 'reject') {
      return { outcome: 'limit_reached', count: live.length, limit }
    }
    const oldest = mode === 'terminate_oldest' ? oldestFirst(live).slice(0, excess) : []
    const terminated = oldest.map((one) => one.sessionId)
    const lease = { sessionId, username, node, startedMs: now, expiresMs: now + ttlMs, details }
    if (!dryRun) {
      for (const id of terminated) this.table.end(id, now)
      this.table.put(lease, lease.expiresMs)
    }
    return {
      outcome: 'admitted',
      lease,
      count: live.length + 1 - terminated.length,
      limit,
      terminated,
      observed: excess > 0 && mode === 'observe'
    }
  }

  async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    const now = this.table.now()
    const expiresMs = now + ttlMs
    return requests.map(({ sessionId, username, node = '', details = NO_DETAILS }) => {
      const outcome = this.#renew({ sessionId, username, node, details }, now, expiresMs)
      if (outcome === 'ended' || outcome === 'conflict') return { outcome }
      const live = this.#renewed(sessionId, now)
      return { outcome, expiresMs, lease: () => leaseOf(live, expiresMs) }
    })
  }

  #renewed (sessionId: string, now: number): Live {
    const live = this.table.live(sessionId, now)
    if (live === undefined) {
      throw new Error(`session ${sessionId} was renewed for a time that is over`)
    }
    return live
  }

  #renew (
    { sessionId, username, node, details }: Renewal,
    now: number,
    expiresMs: number
  ): RenewResult['outcome'] {
    const entry = this.table.known(sessionId, now)
    if (entry?.ended === true) {
      this.table.end(sessionId, now)
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
    const lease: Lease =
      known === undefined
        ? { sessionId, username, node, startedMs: now, expiresMs, details }
        : { ...known, node: node === '' ? known.node : node }
    this.table.put(lease, expiresMs)
    return live ? 'renewed' : 'reregistered'
  }

  async release (sessionId: string, username: string | undefined): Promise<ReleaseResult> {
    const now = this.table.now()
    const entry = this.table.live(sessionId, now)
    if (entry === undefined) return { outcome: 'unknown' }
    if (username !== undefined && entry.username !== username) return { outcome: 'conflict' }
    this.table.end(sessionId, now)
    return { outcome: 'released', username: entry.username }
  }

  async reconcileNode (report: NodeReconciliation): Promise<ReconcileResult> {
    const { node, epoch, sessions, ttlMs, asOfMs } = report
    const now = this.table.now()
    const known = this.table.reports.get(node)
    if (known !== undefined && known.epoch > epoch) {
      return { outcome: 'stale_epoch', epoch: known.epoch }
    }
    this.table.reports.set(node, { epoch, lastSeenMs: now })
    const listed = new Set<string>()
    const outcomes = sessions.map(({ sessionId, username, details = NO_DETAILS }) => {
      const outcome = this.#renew({ sessionId, username, node, details }, now, now + ttlMs)
      if (outcome === 'renewed' || outcome === 'reregistered') listed.add(sessionId)
      return outcome
    })
    const missing = this.table
      .ofNode(node, now)
      .filter(({ sessionId, startedMs }) => startedMs <= asOfMs && !listed.has(sessionId))
    for (const { sessionId } of missing) this.table.end(sessionId, now)
    return { ...tallyReport(sessions, outcomes), missing, released: missing.length }
  }

  async terminateUser (username: string) {
    const now = this.table.now()
    const terminated = this.table.ofUser(username, now).map(({ sessionId }) => sessionId)
    for (const id of terminated) this.table.end(id, now)
    return { terminated }
  }

  async getSession (sessionId: string): Promise<Lease | null> {
    const live = this.table.live(sessionId, this.table.now())
    return live === undefined ? null : leaseOf(live)
  }

  async getCount (username: string) {
    const leases = this.table.ofUser(username, this.table.now()).length
    return toCount(this.#limits.limitNow(username), leases, 0)
  }
}
