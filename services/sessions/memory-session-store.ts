/** Sessions that live as long as the process, on a given clock. No switch writes here: none is external, none a ghost. */
import type { Session } from '../../schemas/sessions.ts'
import { toTimestamp, type Clock } from '../clock.ts'
import { ExpiryQueue } from '../expiry-queue.ts'
import type { MemoryLimitsStore } from '../limits/memory-limits-store.ts'
import type { PageRequest } from '../limits/limits-store.ts'
import type { PolicyCache } from '../policy/policy.ts'
import { sortedPage } from '../sorted-page.ts'
import { toCount } from './count.ts'
import { leaseToSession, type Lease } from './lease-record.ts'
import { tallyReport } from './node-report.ts'
import { limitMode } from './policy-mode.ts'
import type {
  AcquireRequest, AcquireResult, NodeReconciliation, ReconcileResult, ReleaseResult, RenewRequest, RenewResult, SessionStore
} from './session-store.ts'
import { ENDED_MEMORY_MS, RECORD_GRACE_MS } from './timing.ts'
import { rankUsers } from './user-ranking.ts'

/**
 * A lease, held until `expiresMs` and remembered a little longer; or an id that has ended, remembered until `expiresMs`,
 * and whose it was, where that is known.
 */
type Entry =
  | (Lease & { ended: false, expiresMs: number })
  | { ended: true, endedMs: number, expiresMs: number, username: string | undefined }
type Live = Extract<Entry, { ended: false }>

/** A lease as the mirror of another store holds it. */
export interface Mirrored { sessionId: string, lease: Lease, remainingMs: number }

/** Keeps leases in memory. */
export class MemorySessionStore implements SessionStore {
  readonly learning = false
  #limits: MemoryLimitsStore
  #policy: PolicyCache
  #clock: Clock
  #endedMemoryMs: number
  #entries = new Map<string, Entry>()
  #users = new Map<string, Set<string>>()
  #nodes = new Map<string, { epoch: number, lastSeenMs: number }>()
  #expiry = new ExpiryQueue<string>()

  /** @param endedMemoryMs - how long an id that has ended is remembered */
  constructor (limits: MemoryLimitsStore, policy: PolicyCache, clock: Clock, endedMemoryMs = ENDED_MEMORY_MS) {
    this.#endedMemoryMs = endedMemoryMs
    this.#limits = limits
    this.#policy = policy
    this.#clock = clock
  }

  /** @param admitAll - whether everybody is let in, whatever the policy says */
  async acquire ({ username, sessionId, ttlMs, node = '', details, dryRun }: AcquireRequest, admitAll = false): Promise<AcquireResult> {
    const now = this.#now()
    const { limit, unlimited } = this.#limits.limitNow(username)
    const live = this.#liveOf(username, now)
    const entry = this.#known(sessionId, now)
    if (entry?.ended === true) {
      if (!dryRun) this.#end(sessionId, now)
      return { outcome: 'ended' }
    }
    if (entry !== undefined && entry.expiresMs > now) {
      if (entry.username !== username) return { outcome: 'conflict' }
      if (!dryRun) entry.expiresMs = now + ttlMs
      const session = leaseToSession(sessionId, entry, now + ttlMs)
      return { outcome: 'refreshed', session, count: live.length, limit, terminated: [], observed: false }
    }
    const mode = admitAll ? 'admit' : limitMode(this.#policy.current, details.emergency ?? false)
    const excess = unlimited ? 0 : Math.max(0, live.length + 1 - limit)
    if (excess > 0 && mode === 'reject') return { outcome: 'limit_reached', count: live.length, limit }
    const terminated = mode === 'terminate_oldest' ? oldestFirst(live).slice(0, excess).map(([id]) => id) : []
    const lease = { username, startedMs: now, node, details }
    if (!dryRun) {
      for (const id of terminated) this.#end(id, now)
      this.#put(sessionId, lease, now + ttlMs)
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
    const now = this.#now()
    return requests.map((request) => this.#renew(request, now, now + ttlMs))
  }

  #renew ({ sessionId, username, node = '', details = {} }: RenewRequest, now: number, expiresMs: number): RenewResult {
    const entry = this.#known(sessionId, now)
    if (entry?.ended === true) {
      this.#end(sessionId, now)
      return { outcome: 'ended' }
    }
    const live = entry !== undefined && entry.expiresMs > now
    if (live && entry.username !== username) return { outcome: 'conflict' }
    if (live && (node === '' || node === entry.node)) {
      entry.expiresMs = expiresMs
      return { outcome: 'renewed', get session () { return leaseToSession(sessionId, entry, expiresMs) } }
    }
    // A lease that has expired, but is remembered, is registered again as the call that it was.
    const known = entry?.username === username ? entry : undefined
    const lease = known ?? { username, startedMs: now, node, details }
    const renewed = { ...lease, node: node === '' ? lease.node : node }
    this.#put(sessionId, renewed, expiresMs)
    return { outcome: live ? 'renewed' : 'reregistered', get session () { return leaseToSession(sessionId, renewed, expiresMs) } }
  }

  async release (sessionId: string, username: string | undefined): Promise<ReleaseResult> {
    const now = this.#now()
    const entry = this.#entries.get(sessionId)
    if (entry === undefined || entry.ended || entry.expiresMs <= now) return { outcome: 'unknown' }
    if (username !== undefined && entry.username !== username) return { outcome: 'conflict' }
    this.#end(sessionId, now)
    return { outcome: 'released' }
  }

  async reconcileNode ({ node, epoch, sessions, ttlMs, asOfMs }: NodeReconciliation): Promise<ReconcileResult> {
    const now = this.#now()
    const known = this.#nodes.get(node)
    if (known !== undefined && known.epoch > epoch) return { outcome: 'stale_epoch', epoch: known.epoch }
    this.#nodes.set(node, { epoch, lastSeenMs: now })
    const listed = new Set(sessions.map(({ username, sessionId }) => `${username} ${sessionId}`))
    const missing: Array<[string, Live]> = []
    for (const [id, lease] of this.#live(now)) {
      if (lease.node === node && lease.startedMs <= asOfMs && !listed.has(`${lease.username} ${id}`)) missing.push([id, lease])
    }
    const results = sessions.map((session) => this.#renew({ ...session, node }, now, now + ttlMs))
    for (const [id] of missing) this.#end(id, now)
    return { ...tallyReport(sessions, results, missing.length), releasedIds: missing.map(([id]) => id) }
  }

  /** Takes over that another store prolonged a lease; false when it is not known here. */
  prolong (sessionId: string, username: string, ttlMs: number): boolean {
    const now = this.#now()
    const entry = this.#known(sessionId, now)
    if (entry === undefined || entry.ended || entry.username !== username) return false
    entry.expiresMs = now + ttlMs
    return true
  }

  /** Takes over a lease that another store has just taken. */
  take (sessionId: string, lease: Lease, ttlMs: number): void {
    this.#put(sessionId, lease, this.#now() + ttlMs)
  }

  /** Takes over a lease that another store holds. */
  remember (session: Session, ttlMs: number): void {
    const { session_id: id, username, node, call_id, from, to, direction, emergency, metadata, started_at } = session
    const given = Object.entries({ call_id, from, to, direction, metadata }).filter(([, value]) => value !== null)
    const now = this.#now()
    this.#put(id, {
      username,
      node: node ?? '',
      startedMs: started_at === null ? now : Date.parse(started_at),
      details: { ...Object.fromEntries(given), emergency }
    }, now + ttlMs)
  }

  /** Takes over that a session has ended; `username` tells whose it was, should it not be known here. */
  forget (sessionId: string, username?: string): void {
    this.#end(sessionId, this.#now(), username)
  }

  /** Every lease that is live, user by user. */
  * mirrored (): Generator<Mirrored> {
    for (const username of this.#users.keys()) {
      const now = this.#now()
      for (const [sessionId, lease] of this.#liveOf(username, now)) yield { sessionId, lease, remainingMs: lease.expiresMs - now }
    }
  }

  /** Every id that has ended within so many milliseconds, with whose it was; without those of which that is not known. */
  * endedIds (withinMs: number): Generator<[sessionId: string, username: string]> {
    const sinceMs = this.#now() - withinMs
    for (const [id, entry] of this.#entries) {
      if (entry.ended && entry.username !== undefined && entry.endedMs >= sinceMs) yield [id, entry.username]
    }
  }

  /** One lease, if it is live. */
  mirroredOf (sessionId: string): Mirrored | undefined {
    const now = this.#now()
    const entry = this.#entries.get(sessionId)
    if (entry === undefined || entry.ended || entry.expiresMs <= now) return undefined
    return { sessionId, lease: entry, remainingMs: entry.expiresMs - now }
  }

  async terminateUser (username: string) {
    const now = this.#now()
    const terminated = this.#liveOf(username, now).map(([id]) => id)
    for (const id of terminated) this.#end(id, now)
    return { terminated }
  }

  async getSession (sessionId: string) {
    const now = this.#now()
    const entry = this.#entries.get(sessionId)
    return entry === undefined || entry.ended || entry.expiresMs <= now ? null : leaseToSession(sessionId, entry, entry.expiresMs)
  }

  async listSessions ({ username, node }: { username?: string | undefined, node?: string | undefined }, { cursor, count }: PageRequest) {
    const now = this.#now()
    const live = username === undefined ? [...this.#live(now)] : this.#liveOf(username, now)
    const page = sortedPage(live.filter(([, lease]) => node === undefined || lease.node === node), cursor, count)
    return { ...page, entries: page.entries.map(([id, lease]) => leaseToSession(id, lease, lease.expiresMs)) }
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
    const sessions = new Map<string, number>()
    for (const [, { node }] of this.#live(this.#now())) sessions.set(node, (sessions.get(node) ?? 0) + 1)
    const page = sortedPage(this.#nodes, cursor, count)
    const entries = page.entries.map(([node, { epoch, lastSeenMs }]) =>
      ({ node, epoch, last_seen: toTimestamp(lastSeenMs), sessions: sessions.get(node) ?? 0 }))
    return { ...page, entries }
  }

  async getCount (username: string) {
    return toCount(this.#limits.limitNow(username), this.#liveOf(username, this.#now()).length, 0)
  }

  async listCounts ({ cursor, count }: PageRequest) {
    return sortedPage(this.#counts(), cursor, count)
  }

  async * allCounts () {
    yield [...this.#counts()]
  }

  async sweep () {
    this.#now()
    return { users: 0, removed: 0 }
  }

  async claimSweep () {
    return true
  }

  /** The time; whatever nobody needs to remember any more by then is forgotten first. */
  #now (): number {
    const now = this.#clock()
    for (let id = this.#expiry.popDue(now); id !== undefined; id = this.#expiry.popDue(now)) {
      const entry = this.#entries.get(id)
      if (entry === undefined) continue
      const forgetMs = forgetAt(entry)
      if (forgetMs > now) this.#expiry.push(forgetMs, id)
      else this.#drop(id, entry)
    }
    return now
  }

  /** What is known of an id. One whose time was shortened may lie in the queue still, though its time to be forgotten has come. */
  #known (id: string, now: number): Entry | undefined {
    const entry = this.#entries.get(id)
    return entry === undefined || forgetAt(entry) <= now ? undefined : entry
  }

  #put (id: string, lease: Lease, expiresMs: number): void {
    const before = this.#entries.get(id)
    if (before !== undefined && !before.ended) this.#users.get(before.username)?.delete(id)
    const entry: Live = { ...lease, ended: false, expiresMs }
    this.#entries.set(id, entry)
    if (before === undefined) this.#expiry.push(forgetAt(entry), id)
    const ids = this.#users.get(lease.username) ?? new Set()
    this.#users.set(lease.username, ids.add(id))
  }

  #end (id: string, now: number, username?: string): void {
    const before = this.#entries.get(id)
    if (before !== undefined) this.#drop(id, before)
    const remaining = before === undefined ? 0 : before.expiresMs - now
    const expiresMs = now + Math.max(this.#endedMemoryMs, remaining)
    const entry: Entry = { ended: true, endedMs: now, expiresMs, username: before?.username ?? username }
    this.#entries.set(id, entry)
    if (before === undefined) this.#expiry.push(entry.expiresMs, id)
  }

  #drop (id: string, entry: Entry): void {
    this.#entries.delete(id)
    if (entry.ended) return
    const ids = this.#users.get(entry.username)
    ids?.delete(id)
    if (ids?.size === 0) this.#users.delete(entry.username)
  }

  #liveOf (username: string, now: number): Array<[string, Live]> {
    return [...this.#users.get(username) ?? []].flatMap((id) => {
      const entry = this.#entries.get(id)
      return entry === undefined || entry.ended || entry.expiresMs <= now ? [] : [[id, entry]]
    })
  }

  * #live (now: number): Generator<[string, Live]> {
    for (const [id, entry] of this.#entries) if (!entry.ended && entry.expiresMs > now) yield [id, entry]
  }

  * #counts (): Generator<[string, number]> {
    const now = this.#now()
    for (const username of this.#users.keys()) {
      const count = this.#liveOf(username, now).length
      if (count > 0) yield [username, count]
    }
  }
}

function forgetAt (entry: Entry): number {
  return entry.ended ? entry.expiresMs : entry.expiresMs + RECORD_GRACE_MS
}

function oldestFirst (live: Array<[string, Live]>): Array<[string, Live]> {
  return [...live].sort(([idA, a], [idB, b]) => a.startedMs - b.startedMs || (idA < idB ? -1 : 1))
}
