/**
 * Sessions that live as long as the process, on a given clock. No switch writes here: there are no
 * ghosts, and external sessions only where somebody else has counted them.
 */
import type { KnownLimits } from '../../limits/memory-limits-store.ts'
import type { PolicyCache } from '../../policy/policy.ts'
import { toCount } from '../count.ts'
import type { Details, Lease } from '../lease.ts'
import { tallyReport } from '../node-report.ts'
import { limitMode, refuses } from '../policy-mode.ts'
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
import { noteReport } from './node-reports.ts'
import {
  FORBIDDEN, endUnknown, holdsFor, isForeign, scope, someForeign, vouched
} from './bound-callers.ts'
import type { Live } from './entries.ts'
import type { LeaseTable } from './lease-table.ts'
import { leaseOf, oldestFirst, prolong, renewedIn, withEmergency } from './live-leases.ts'

const NO_DETAILS: Details = {}

/** Decides by the leases in a table. */
export class MemorySessionStore implements SessionVerbs, SessionReader {
  readonly learning = false
  protected readonly table: LeaseTable
  #limits: KnownLimits
  #policy: PolicyCache

  constructor (limits: KnownLimits, policy: PolicyCache, table: LeaseTable) {
    this.#limits = limits
    this.#policy = policy
    this.table = table
  }

  /** How many external sessions a user has up: none where no switch writes. */
  protected external (_username: string): number {
    return 0
  }

  /** Whether the policy may refuse a request, so that a barred user is not let in. */
  refuses ({ details: { emergency = false } }: AcquireRequest): boolean {
    return limitMode(this.#policy.current, emergency) !== 'admit'
  }

  /** Whether a session may be ended that nobody named. */
  protected mayEnd (_live: Live): boolean {
    return true
  }

  /** @param admitAll - whether everybody is let in, whatever the policy says */
  async acquire (request: AcquireRequest, admitAll = false): Promise<AcquireResult> {
    const { sessionId, username, attempt, dryRun, node, boundTo } = request
    const now = this.table.now()
    const entry = this.table.known(sessionId, now)
    if (isForeign(entry, boundTo, now)) return { outcome: 'forbidden' }
    if (entry?.ended === true) {
      const isLate = attempt <= (entry.attempt ?? 0) && holdsFor(entry, node)
      if (!isLate) return this.#admit(request, now, admitAll)
      if (!dryRun) this.table.end(sessionId, now, { onlyNode: entry.onlyNode })
      return { outcome: 'ended' }
    }
    const isLive = entry !== undefined && entry.expiresMs > now
    if (entry?.username === username && attempt < entry.attempt) return { outcome: 'ended' }
    if (!isLive) return this.#admit(request, now, admitAll)
    if (entry.username !== username) return { outcome: 'conflict' }
    return this.#refresh(request, entry, now)
  }

  #refresh (request: AcquireRequest, entry: Live, now: number): AcquireResult {
    const { username, attempt, ttlMs, dryRun, boundTo } = request
    const terminated = attempt > entry.attempt ? [] : entry.terminated
    const details = withEmergency(entry.details, request.details)
    if (!dryRun) {
      entry.expiresMs = now + ttlMs
      entry.touchedMs = now
      entry.attempt = attempt
      entry.terminated = terminated
      entry.bound = boundTo !== undefined
      entry.details = details
    }
    return {
      outcome: 'refreshed',
      lease: { ...leaseOf(entry, now + ttlMs), attempt, details },
      count: this.table.ofUser(username, now).length + this.external(username),
      limit: this.#limits.limitNow(username).limit,
      terminated,
      observed: false
    }
  }

  #admit (request: AcquireRequest, now: number, admitAll: boolean): AcquireResult {
    const { username, sessionId, attempt, ttlMs, node = '', details, dryRun, boundTo } = request
    const { limit, unlimited, bar } = this.#limits.limitNow(username)
    const live = this.table.ofUser(username, now)
    const mode = admitAll ? 'admit' : limitMode(this.#policy.current, details.emergency ?? false)
    const count = live.length + this.external(username)
    if (bar !== undefined && refuses(mode)) return { outcome: 'barred', count, limit, bar }
    const excess = unlimited ? 0 : Math.max(0, count + 1 - limit)
    if (excess > 0 && mode === 'reject') return { outcome: 'limit_reached', count, limit }
    const mayEnd = mode === 'terminate_oldest' ? live.filter((one) => this.mayEnd(one)) : []
    const oldest = oldestFirst(mayEnd).slice(0, excess)
    const terminated = oldest.map((one) => one.sessionId)
    const times = { startedMs: now, expiresMs: now + ttlMs }
    const lease = { sessionId, username, attempt, node, ...times, details }
    if (!dryRun) {
      for (const id of terminated) this.table.end(id, now)
      this.table.put(lease, now, lease.expiresMs, terminated, boundTo !== undefined)
    }
    return {
      outcome: 'admitted',
      lease,
      count: count + 1 - terminated.length,
      limit,
      terminated,
      observed: (excess > 0 || bar !== undefined) && mode === 'observe'
    }
  }

  async renew (requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]> {
    const now = this.table.now()
    const expiresMs = now + ttlMs
    if (someForeign(this.table, requests, now)) return requests.map(() => ({ ...FORBIDDEN }))
    return requests.map((request) => {
      const outcome = this.#renew(request, request.node ?? '', now, expiresMs)
      if (outcome !== 'renewed' && outcome !== 'reregistered') return { outcome }
      const live = renewedIn(this.table, request.sessionId, now)
      const { attempt: renewed } = live
      const lease = () => ({ ...leaseOf(live, expiresMs), attempt: renewed })
      return { outcome, expiresMs, lease }
    })
  }

  #renew (
    { sessionId, username, attempt, details = NO_DETAILS, boundTo }: RenewRequest,
    node: string,
    now: number,
    expiresMs: number
  ): RenewResult['outcome'] {
    const bound = boundTo !== undefined
    const entry = this.table.known(sessionId, now)
    const isEnded = entry?.ended === true && (attempt ?? 0) <= (entry.attempt ?? 0)
    if (isEnded && holdsFor(entry, node)) {
      this.table.end(sessionId, now, { onlyNode: entry.onlyNode })
      return 'ended'
    }
    const known = vouched(entry, node)
    if (known !== undefined && known.expiresMs > now && known.username !== username) {
      return 'conflict'
    }
    // A lease that has expired, but is remembered, is registered again as the call that it was.
    if (known?.username === username) {
      return prolong(this.table, known, { attempt, node, details, bound }, now, expiresMs)
    }
    const lease = { sessionId, username, node, startedMs: now, expiresMs, details }
    this.table.put({ ...lease, attempt: attempt ?? 0 }, now, expiresMs, [], bound, true)
    return 'reregistered'
  }

  async release (request: ReleaseRequest): Promise<ReleaseResult> {
    const { sessionId, username, attempt, node, boundTo } = request
    const now = this.table.now()
    const entry = this.table.known(sessionId, now)
    if (isForeign(entry, boundTo, now)) return { outcome: 'forbidden' }
    if (entry === undefined || entry.ended || entry.username !== (username ?? entry.username)) {
      const isHeld = entry?.ended === false && entry.expiresMs > now
      if (isHeld) return { outcome: 'conflict' }
      return endUnknown(this.table, entry, request, now)
    }
    // What is known of a call that lapsed is left to its own node, which may still renew it.
    if (boundTo !== undefined && entry.node !== boundTo) return { outcome: 'unknown' }
    const isLive = entry.expiresMs > now
    if ((attempt ?? entry.attempt) < entry.attempt) return { outcome: 'unknown' }
    if (isLive && node !== undefined && node !== entry.node) return { outcome: 'unknown' }
    const onlyNode = scope(entry, boundTo)
    if (!isLive) return endUnknown(this.table, undefined, { ...request, boundTo: onlyNode }, now)
    this.table.end(sessionId, now, { username, attempt, onlyNode })
    return { outcome: 'released', username: entry.username }
  }

  async reconcileNode (report: NodeReconciliation): Promise<ReconcileResult> {
    const { node, sessions, ttlMs, asOfMs, ageMs, youngMs, part } = report
    const now = this.table.now()
    if (someForeign(this.table, sessions, now)) return FORBIDDEN
    const state = noteReport(this.table.reports, report, now)
    if ('outcome' in state) return state
    const passed = new Set<string>()
    const outcomes = sessions.map((session) => {
      const { sessionId } = session
      const outcome = this.#renew(session, node, now, now + ttlMs)
      const isPassed = outcome === 'ended' && this.table.known(sessionId, now)?.ended === false
      if (isPassed) passed.add(sessionId)
      const isUp = outcome === 'renewed' || outcome === 'reregistered'
      if (isUp || isPassed) state.listed.add(sessionId)
      return outcome
    })
    const tally = tallyReport(sessions, outcomes, passed)
    if (part !== undefined && part.number < part.of) return tally
    const startedByMs = Math.min(asOfMs, state.firstMs ?? now - ageMs) - youngMs
    const missing = this.table
      .ofNode(node, now)
      .filter(({ sessionId, startedMs }) =>
        startedMs <= startedByMs && !state.listed.has(sessionId))
    for (const live of missing) this.table.lapse(live, now)
    return { ...tally, missing, released: missing.length }
  }

  async forgetNode (node: string): Promise<ForgetNodeResult> {
    const now = this.table.now()
    this.table.reports.delete(node)
    const missing = this.table.ofNode(node, now)
    for (const live of missing) this.table.lapse(live, now)
    return { missing: missing.map(({ sessionId, username }) => ({ sessionId, username })) }
  }

  async terminateUser (username: string, _reason: string, includeEmergency: boolean) {
    const now = this.table.now()
    const [terminated, spared]: [string[], string[]] = [[], []]
    for (const live of this.table.ofUser(username, now)) {
      const mayEnd = live.details.emergency !== true && this.mayEnd(live)
      ;(mayEnd || includeEmergency ? terminated : spared).push(live.sessionId)
    }
    for (const id of terminated) this.table.end(id, now)
    return { terminated, spared }
  }

  async getSession (sessionId: string): Promise<Lease | null> {
    const live = this.table.live(sessionId, this.table.now())
    return live ? leaseOf(live) : null
  }

  async getCount (username: string) {
    const leases = this.table.ofUser(username, this.table.now()).length
    return toCount(this.#limits.limitNow(username), leases, this.external(username))
  }
}
