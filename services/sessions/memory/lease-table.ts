/**
 * Leases in memory, found by id, user and node, and ids that have ended; what nobody needs to
 * remember is forgotten by itself.
 */
import type { Clock } from '../../clock.ts'
import type { Lease } from '../lease.ts'
import type { OnSwept } from '../session-lists.ts'
import { LONGEST_TTL_MS, RECORD_GRACE_MS } from '../timing.ts'
import { BoundedMap } from '../../util/bounded-map.ts'
import { EndedIds, laterAttempt, type Ended } from './ended-ids.ts'
import type { End, Entry, Live } from './entries.ts'
import { ExpiryQueue } from '../../util/expiry-queue.ts'
import { NameIndex } from './name-index.ts'
import type { NodeReportState } from './node-reports.ts'

/**
 * The most entries that one look at the time forgets: after a long silence a call is not held up by
 * all that was due.
 */
const MOST_DUE = 1_000
/**
 * How long an entry lies in the queue before it is looked at again, in milliseconds: one that was
 * ended long before its time leaves nothing behind for longer than that.
 */
const LOOK_AGAIN_MS = 300_000

const NONE: string[] = []

/** The most switch nodes that are remembered. */
const MOST_NODES = 10_000
/** The most ended ids that are remembered. */
const MOST_ENDED = 1_000_000

/** Holds entries; decides nothing. */
export class LeaseTable {
  /** What each switch node has last reported, and when. */
  readonly reports = new BoundedMap<string, NodeReportState>(MOST_NODES)
  #clock: Clock
  #endedMemoryMs: number
  #onSwept: OnSwept
  #entries = new Map<string, Live>()
  #ended: EndedIds
  #keepsEarlierEnds: boolean
  /**
   * How long the end of an id that is not known here is remembered at least, in milliseconds. What
   * is kept for others is told how long.
   */
  readonly unknownEndMs: number
  #users = new NameIndex()
  #nodes = new NameIndex()
  #expiry = new ExpiryQueue<string>()

  /**
   * @param endedMemoryMs - how long an id that has ended is remembered
   * @param onSwept - told of each lease that nobody renewed, when it is forgotten
   * @param mostEnded - how many ids that have ended are remembered
   * @param keepsEarlierEnds - whether the end of an earlier attempt is remembered beside a later
   * one, for others who may not know of it
   */
  constructor (
    clock: Clock,
    endedMemoryMs: number,
    onSwept: OnSwept = () => {},
    mostEnded = MOST_ENDED,
    keepsEarlierEnds = false
  ) {
    this.#clock = clock
    this.#endedMemoryMs = endedMemoryMs
    this.#onSwept = onSwept
    this.#ended = new EndedIds(mostEnded)
    this.#keepsEarlierEnds = keepsEarlierEnds
    this.unknownEndMs = keepsEarlierEnds ? 0 : LONGEST_TTL_MS
  }

  /** How many ended ids were forgotten before their time. */
  get forgotten (): number {
    return this.#ended.forgotten
  }

  /** The time; some of what nobody needs to remember any more by then is forgotten first. */
  now (): number {
    const now = this.#clock()
    for (let i = 0; i < MOST_DUE; i++) {
      const id = this.#expiry.popDue(now)
      if (id === undefined) break
      const entry = this.#entries.get(id)
      if (entry === undefined) continue
      const forgetMs = forgetAt(entry)
      if (forgetMs > now) {
        this.#queue(id, forgetMs, now)
        continue
      }
      this.#drop(entry)
      this.#onSwept('expired', entry.username, [id])
    }
    return now
  }

  /** What is known of an id. One whose time to be forgotten has come may lie in the queue still. */
  known (id: string, now: number): Entry | undefined {
    const entry = this.#entries.get(id)
    return entry === undefined || forgetAt(entry) <= now ? this.#ended.get(id, now) : entry
  }

  /** The lease of an id, if it is live. */
  live (id: string, now: number): Live | undefined {
    const entry = this.#entries.get(id)
    return entry === undefined || entry.expiresMs <= now ? undefined : entry
  }

  /**
   * Notes a lease that ends at `expiresMs`, whatever it says itself. That an earlier attempt has
   * ended stays known, and that another node has ended the id.
   * @param bound - whether its caller is bound to its node
   * @param vague - whether nobody knows here how it began
   */
  put (
    lease: Lease,
    now: number,
    expiresMs: number,
    terminated = NONE,
    bound = false,
    vague = false
  ): void {
    const { sessionId: id, username, attempt, startedMs, node, details } = lease
    const before = this.#entries.get(id)
    if (before !== undefined) this.#unlist(before)
    const ended = this.#ended.get(id, now)
    const isEarlier = ended !== undefined && (ended.attempt ?? 0) < attempt
    const isOthers = ended?.onlyNode !== undefined && ended.onlyNode !== node
    const stays = this.#keepsEarlierEnds && (isEarlier || isOthers)
    if (ended !== undefined && !stays) this.#ended.delete(id)
    // Each by its name: to spread a lease takes 2 µs, this 0.1, and there is one for each
    // admission.
    const entry: Live = {
      sessionId: id,
      username,
      attempt,
      node,
      startedMs,
      expiresMs,
      details,
      terminated,
      touchedMs: now,
      untold: false,
      bound,
      vague,
      moved: false,
      ended: false
    }
    this.#entries.set(id, entry)
    if (before === undefined) this.#queue(id, forgetAt(entry), now)
    this.#users.add(username, id)
    if (node !== '') this.#nodes.add(node, id)
  }

  /**
   * Notes that an id has ended. One that had ended before is remembered anew, and ended when it
   * did, unless this is a later attempt.
   */
  end (id: string, now: number, end: End = {}): void {
    const { username, attempt, node, onlyNode, leaseMs = 0 } = end
    const before = this.known(id, now)
    const live = this.#entries.get(id)
    if (live !== undefined) this.#drop(live)
    const lasts = Math.max(this.#endedMemoryMs, leaseMs, (before?.expiresMs ?? 0) - now)
    const isNew = before?.ended !== true || (attempt ?? 0) > (before.attempt ?? 0)
    this.#ended.put(
      id,
      {
        endedMs: isNew ? now : before.endedMs,
        expiresMs: now + lasts,
        username: before?.username ?? username,
        attempt: laterAttempt(attempt, before?.attempt),
        node: before?.ended === false ? undefined : node,
        onlyNode
      },
      now
    )
  }

  /** Lets a lease lapse: its slot is free, and nothing has ended. */
  lapse (live: Live, now: number): void {
    live.expiresMs = now
  }

  /** Users who have, or had a short time ago, leases. */
  usernames (): Iterable<string> {
    return this.#users.names()
  }

  ofUser (username: string, now: number): Live[] {
    return this.#liveOf(this.#users.of(username), now)
  }

  ofNode (node: string, now: number): Live[] {
    return this.#liveOf(this.#nodes.of(node), now)
  }

  /** Every lease that is live. */
  all (now: number): Live[] {
    return this.#liveOf(this.#entries.keys(), now)
  }

  /** Every id that has ended since then. */
  endedSince (sinceMs: number): Generator<[sessionId: string, ended: Ended]> {
    return this.#ended.since(sinceMs, this.now())
  }

  #liveOf (ids: Iterable<string>, now: number): Live[] {
    return [...ids].flatMap((id) => this.live(id, now) ?? [])
  }

  #queue (id: string, forgetMs: number, now: number): void {
    this.#expiry.push(Math.min(forgetMs, now + LOOK_AGAIN_MS), id)
  }

  #drop (entry: Live): void {
    this.#entries.delete(entry.sessionId)
    this.#unlist(entry)
  }

  #unlist ({ sessionId, username, node }: Live): void {
    this.#users.remove(username, sessionId)
    if (node !== '') this.#nodes.remove(node, sessionId)
  }
}

const forgetAt = ({ expiresMs }: Live): number => expiresMs + RECORD_GRACE_MS
