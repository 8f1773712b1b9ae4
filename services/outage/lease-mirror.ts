/**
 * The leases of another store as far as this process has seen them: a store in memory, kept up to
 * date with what the other one decides, so that it can decide in its place.
 */
import type { PolicyCache } from '../policy/policy.ts'
import type { RedisClock } from '../redis/redis-clock.ts'
import { type HeldLease, type Lease, shifted } from '../sessions/lease.ts'
import type { Ended } from '../sessions/memory/ended-ids.ts'
import type { End, Live } from '../sessions/memory/entries.ts'
import type { LeaseTable } from '../sessions/memory/lease-table.ts'
import { heardBy } from '../sessions/memory/bound-callers.ts'
import { MemorySessionStore } from '../sessions/memory/memory-session-store.ts'
import type { ReleaseRequest, ReleaseResult, RenewRequest } from '../sessions/session-store.ts'
import { LONGEST_TTL_MS } from '../sessions/timing.ts'
import { BoundedMap } from '../util/bounded-map.ts'
import { forEachInTurns } from '../util/in-turns.ts'
import { UserEnds } from './user-ends.ts'

/** The most users of whom it is remembered how many external sessions they had. */
const MOST_EXTERNAL = 100_000
/** How far its clock may be ahead of what is known of it, in milliseconds. */
const CLOCK_ERROR_MS = 2000
/** What has to be known of the other store's clock, and one that nobody sets. */
type OtherClock = Pick<RedisClock, 'steppedByMs' | 'unstepped'>
const UNSTEPPED: OtherClock = { steppedByMs: 0, unstepped: (ms) => ms }

/**
 * Mirrors leases. Its clock does not follow steps of the other store's, because what counts is how
 * long a lease lasts yet; when it began is translated.
 */
export class LeaseMirror extends MemorySessionStore {
  /** When all sessions of users were ended. */
  readonly userEnds = new UserEnds()
  #external = new BoundedMap<string, number>(MOST_EXTERNAL)
  #clock: OtherClock

  constructor (
    known: ConstructorParameters<typeof MemorySessionStore>[0],
    policy: PolicyCache,
    table: LeaseTable,
    clock: OtherClock = UNSTEPPED
  ) {
    super(known, policy, table)
    this.#clock = clock
  }

  /** Whose session an id is, if it is live as far as is known here. */
  holderOf (sessionId: string): string | undefined {
    return this.table.live(sessionId, this.table.now())?.username
  }

  /** Notes how many external sessions a user has up, as the other store counted them. */
  seeExternal (username: string, count: number): void {
    if (count > 0) this.#external.put(username, count)
    else this.#external.delete(username)
  }

  protected override external (username: string): number {
    return this.#external.get(username) ?? 0
  }

  /** It might be an emergency call: the other store knows, and decides when it is back. */
  protected override mayEnd ({ vague }: Live): boolean {
    return !vague
  }

  /** Whether a session is up as far as is known here, and how it began. */
  knows ({ sessionId, username }: RenewRequest): boolean {
    const live = this.table.live(sessionId, this.table.now())
    return live?.username === username && !live.vague
  }

  /** The time by which all here is noted, in milliseconds since the epoch. */
  now (): number {
    return this.table.now()
  }

  /** How many ends were forgotten before their time. */
  get forgotten (): number {
    return this.table.forgotten + this.userEnds.forgotten
  }

  /** An instant that was noted here, by the other store's clock. */
  byOtherClock (ms: number): number {
    return ms + this.#clock.steppedByMs
  }

  /** Takes over a lease that the other store has taken, or holds. */
  take (lease: Lease, ttlMs: number, terminated: string[] = []): void {
    const now = this.table.now()
    const beganMs = this.#clock.unstepped(lease.startedMs, lease.expiresMs - ttlMs)
    const startedMs = beganMs > now + CLOCK_ERROR_MS ? now : beganMs
    this.table.put(shifted(lease, startedMs - lease.startedMs), now, now + ttlMs, terminated)
  }

  /**
   * Notes that the other store does not know of a session as it is now.
   * @returns the lease that is live; undefined where none is
   */
  markUntold (sessionId: string): Lease | undefined {
    const live = this.table.live(sessionId, this.table.now())
    if (live !== undefined) live.untold = true
    return live
  }

  /** Names the sessions that were ended to make room for one, so that they are named again. */
  nameTerminated (sessionId: string, terminated: string[]): void {
    const live = this.table.live(sessionId, this.table.now())
    if (live !== undefined) live.terminated = terminated
  }

  /** Takes over that the other store prolonged a lease; false if it is not known as it is there. */
  prolong (renewed: RenewRequest, ttlMs: number): boolean {
    const { sessionId, username, attempt, node = '', details } = renewed
    const now = this.table.now()
    const entry = this.table.known(sessionId, now)
    if (entry === undefined || entry.ended || entry.username !== username) return false
    if (entry.vague || (attempt !== undefined && attempt !== entry.attempt)) return false
    if (details?.emergency === true && entry.details.emergency !== true) return false
    // What only callers that are bound to a node have said of it may be wrong.
    if ((entry.bound && entry.untold) || (node !== '' && node !== entry.node)) return false
    entry.expiresMs = now + ttlMs
    entry.touchedMs = now
    entry.bound = false
    return true
  }

  /** Whether a session has ended here since then, though the other store held it to be up. */
  hasEndedSince ({ sessionId, attempt, node }: Lease, sinceMs: number): boolean {
    const known = this.table.known(sessionId, this.table.now())
    if (known?.ended !== true || known.endedMs < sinceMs) return false
    return (known.attempt ?? 0) >= attempt && (known.onlyNode ?? node) === node
  }

  /**
   * Takes over that a session has ended; not a later attempt, which is live or may be renewed.
   * Whoever is bound to a node, `boundTo`, may have been told of an end for this node only.
   */
  forget (sessionId: string, end: End = {}, boundTo = ''): void {
    const now = this.table.now()
    const known = this.table.known(sessionId, now)
    if (known?.ended === false && (end.attempt ?? Infinity) < known.attempt) return
    const scope = heardBy(known, boundTo)
    if (scope !== undefined) this.table.end(sessionId, now, { ...end, ...scope })
  }

  /** Takes over what came of a release. */
  async noteReleased (request: ReleaseRequest, result: ReleaseResult): Promise<void> {
    const { sessionId, attempt } = request
    if (result.outcome === 'released') {
      const { username = request.username, leaseMs } = result
      this.forget(sessionId, { username, attempt: result.attempt ?? attempt, leaseMs })
    } else if (result.outcome === 'unknown' && result.unmet !== true) {
      await this.release(request)
      this.keepEnd(request, result.wasEnded === true ? 0 : LONGEST_TTL_MS)
    }
  }

  /**
   * Ends a session while the other store is away. One that is not known here may be live for as
   * long as a lease can be.
   */
  async releaseLocally (request: ReleaseRequest): Promise<ReleaseResult> {
    const live = this.table.live(request.sessionId, this.table.now())
    const result = await this.release(request)
    if (result.outcome === 'unknown' && live === undefined) this.keepEnd(request, LONGEST_TTL_MS)
    return result
  }

  /** Remembers for longer that an id has ended, if it has, and whose it was. */
  keepEnd ({ sessionId, attempt, username, node }: ReleaseRequest, leaseMs: number): void {
    const now = this.table.now()
    const known = this.table.known(sessionId, now)
    if (known?.ended !== true) return
    this.table.end(sessionId, now, { username, attempt, node, onlyNode: known.onlyNode, leaseMs })
  }

  /** Takes over that a lease has lapsed. */
  lapse (sessionId: string): void {
    const live = this.table.live(sessionId, this.table.now())
    if (live !== undefined) this.table.lapse(live, this.table.now())
  }

  /** Takes over that the other store renewed sessions as those of a node. */
  async renewed (sessions: RenewRequest[], node: string, ttlMs: number): Promise<void> {
    await this.renew(sessions.map((one) => ({ ...one, node, boundTo: undefined })), ttlMs)
    for (const { sessionId } of sessions) {
      const live = this.table.live(sessionId, this.table.now())
      if (live !== undefined) live.moved = false
    }
  }

  /** Takes over what a node has last reported; undefined where it was forgotten. */
  noteEpoch (node: string, reported: { epoch: number; ttlMs: number } | undefined): void {
    const { reports } = this.table
    // What it has begun to send here in parts is not what it goes on with.
    if (reported === undefined) reports.delete(node)
    else reports.put(node, { ...reported, lastSeenMs: this.table.now() })
  }

  /** Takes over that many have. Others have their turn on the way. */
  async lapseAll (sessions: Array<{ sessionId: string }>): Promise<void> {
    await forEachInTurns(sessions, ({ sessionId }) => this.lapse(sessionId))
  }

  /** Users who have leases here, or had some a short time ago. */
  usernames (): Iterable<string> {
    return this.table.usernames()
  }

  /**
   * Every lease that is live and that the other store may not know as it is now: it was touched
   * since then, or is untold.
   */
  * untoldSince (sinceMs: number): Generator<HeldLease> {
    for (const username of this.usernames()) yield * this.untoldOf(username, sinceMs)
  }

  /** The same of one user. */
  * untoldOf (username: string, sinceMs: number): Generator<HeldLease> {
    const now = this.table.now()
    for (const lease of this.table.ofUser(username, now)) {
      if (lease.untold || lease.touchedMs >= sinceMs) yield this.#held(lease, now)
    }
  }

  /** One lease, if it is live. */
  mirroredOf (sessionId: string): HeldLease | undefined {
    const live = this.table.live(sessionId, this.table.now())
    return live && this.#held(live, this.table.now())
  }

  #held (live: Live, now: number): HeldLease {
    const { terminated, touchedMs, moved } = live
    const lease = shifted(live, this.#clock.steppedByMs)
    const boundTo = live.bound ? live.node : ''
    return { lease, remainingMs: live.expiresMs - now, terminated, touchedMs, boundTo, moved }
  }

  /** The other store was told of a lease as it was then. */
  told ({ lease: { sessionId }, touchedMs }: HeldLease): void {
    const live = this.table.live(sessionId, this.table.now())
    if (live !== undefined && live.touchedMs === touchedMs) live.untold = live.moved = false
  }

  /** Every id that has ended since then. */
  endedSince (sinceMs: number): Generator<[sessionId: string, ended: Ended]> {
    return this.table.endedSince(sinceMs)
  }
}
