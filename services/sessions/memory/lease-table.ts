/**
 * Leases in memory, found by id, user and node, and ids that have ended; what nobody needs to
 * remember is forgotten by itself.
 */
import type { Clock } from '../../clock.ts'
import type { Lease } from '../lease.ts'
import type { OnExpired } from '../session-lists.ts'
import { RECORD_GRACE_MS } from '../timing.ts'
import { BoundedMap } from '../../util/bounded-map.ts'
import { ExpiryQueue } from './expiry-queue.ts'

/** A lease, held until `expiresMs` and remembered a little longer. */
export type Live = Lease & {
  ended: false
  /** Ids of the sessions that were ended to make room for it. */
  terminated: string[]
}
/** An id that has ended, remembered until `expiresMs`, and whose it was, where that is known. */
export interface Ended {
  ended: true
  endedMs: number
  expiresMs: number
  username: string | undefined
  /** The last attempt that has ended. */
  attempt: number
  /** The node whose sessions alone the end holds for; undefined for all. */
  onlyNode?: string | undefined
}
export type Entry = Live | Ended

/**
 * The most entries that one look at the time forgets: after a long silence a call is not held up by
 * all that was due.
 */
const MOST_DUE = 1_000

const NONE: string[] = []

/** The most switch nodes that are remembered. */
const MOST_NODES = 10_000

/** What a switch node has last reported, and when. */
export interface NodeReportState {
  epoch: number
  lastSeenMs: number
  ttlMs: number
  /** A report under way that comes in parts. */
  parts?: { of: number; last: number; given: number; before: number; firstMs: number }
  /** What its parts have listed so far. */
  listed?: Set<string>
}

/** Holds entries; decides nothing. */
export class LeaseTable {
  /** What each switch node has last reported, and when. */
  readonly reports = new BoundedMap<string, NodeReportState>(MOST_NODES)
  #clock: Clock
  #endedMemoryMs: number
  #onExpired: OnExpired
  #entries = new Map<string, Entry>()
  #users = new Index()
  #nodes = new Index()
  #expiry = new ExpiryQueue<string>()

  /**
   * @param endedMemoryMs - how long an id that has ended is remembered
   * @param onExpired - told of each lease that nobody renewed, when it is forgotten
   */
  constructor (clock: Clock, endedMemoryMs: number, onExpired: OnExpired = () => {}) {
    this.#clock = clock
    this.#endedMemoryMs = endedMemoryMs
    this.#onExpired = onExpired
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
        this.#expiry.push(forgetMs, id)
        continue
      }
      this.#drop(id, entry)
      if (!entry.ended) this.#onExpired(entry.username, [id])
    }
    return now
  }

  /** What is known of an id. One whose time to be forgotten has come may lie in the queue still. */
  known (id: string, now: number): Entry | undefined {
    const entry = this.#entries.get(id)
    return entry === undefined || forgetAt(entry) <= now ? undefined : entry
  }

  /** The lease of an id, if it is live. */
  live (id: string, now: number): Live | undefined {
    const entry = this.#entries.get(id)
    return entry === undefined || entry.ended || entry.expiresMs <= now ? undefined : entry
  }

  /** Notes a lease that ends at `expiresMs`, whatever it says itself. */
  put (lease: Lease, expiresMs: number, terminated = NONE): void {
    const { sessionId: id, username, attempt, startedMs, node, details } = lease
    const before = this.#entries.get(id)
    if (before !== undefined) this.#unlist(id, before)
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
      ended: false
    }
    this.#entries.set(id, entry)
    if (before === undefined) this.#expiry.push(forgetAt(entry), id)
    this.#users.add(username, id)
    if (node !== '') this.#nodes.add(node, id)
  }

  /**
   * Notes that an id has ended.
   * @param username - whose it was, should that not be known here
   * @param attempt - which attempt has ended, if it is a later one than is known here
   * @param onlyNode - the node whose sessions alone it holds for; undefined for all
   */
  end (id: string, now: number, username?: string, attempt = 0, onlyNode?: string): void {
    const found = this.#entries.get(id)
    if (found !== undefined) this.#unlist(id, found)
    const before = this.known(id, now)
    const remaining = before === undefined ? 0 : before.expiresMs - now
    const expiresMs = now + Math.max(this.#endedMemoryMs, remaining)
    const entry: Entry = {
      ended: true,
      endedMs: now,
      expiresMs,
      username: before?.username ?? username,
      attempt: Math.max(attempt, before?.attempt ?? 0),
      ...(onlyNode !== undefined && { onlyNode })
    }
    this.#entries.set(id, entry)
    if (found === undefined) this.#expiry.push(entry.expiresMs, id)
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
  * endedSince (sinceMs: number): Generator<[sessionId: string, ended: Ended]> {
    for (const [id, entry] of this.#entries) {
      if (entry.ended && entry.endedMs >= sinceMs) yield [id, entry]
    }
  }

  #liveOf (ids: Iterable<string>, now: number): Live[] {
    const found: Live[] = []
    for (const id of ids) {
      const lease = this.live(id, now)
      if (lease !== undefined) found.push(lease)
    }
    return found
  }

  #drop (id: string, entry: Entry): void {
    this.#entries.delete(id)
    this.#unlist(id, entry)
  }

  #unlist (id: string, entry: Entry): void {
    if (entry.ended) return
    this.#users.remove(entry.username, id)
    if (entry.node !== '') this.#nodes.remove(entry.node, id)
  }
}

/** Session ids by the name of a user or a node. Most users have one session: they cost no set. */
class Index {
  #ids = new Map<string, string | Set<string>>()

  names (): Iterable<string> {
    return this.#ids.keys()
  }

  of (name: string): Iterable<string> {
    const ids = this.#ids.get(name) ?? []
    return typeof ids === 'string' ? [ids] : ids
  }

  add (name: string, id: string): void {
    const ids = this.#ids.get(name)
    if (ids === undefined || ids === id) this.#ids.set(name, id)
    else if (typeof ids === 'string') this.#ids.set(name, new Set([ids, id]))
    else ids.add(id)
  }

  remove (name: string, id: string): void {
    const ids = this.#ids.get(name)
    if (ids === id) this.#ids.delete(name)
    else if (ids instanceof Set && ids.delete(id) && ids.size === 0) this.#ids.delete(name)
  }
}

function forgetAt (entry: Entry): number {
  return entry.ended ? entry.expiresMs : entry.expiresMs + RECORD_GRACE_MS
}

/** A lease as it is now: what becomes of the entry later does not change it. */
export function leaseOf (live: Live, expiresMs = live.expiresMs): Lease {
  const { sessionId, username, attempt, node, startedMs, details } = live
  return { sessionId, username, attempt, node, startedMs, expiresMs, details }
}

/** Leases in the order in which they would have to end; emergency sessions never have to. */
export function oldestFirst (live: Live[]): Live[] {
  const ordinary = live.filter(({ details }) => details.emergency !== true)
  return ordinary.sort(
    (a, b) => a.startedMs - b.startedMs || (a.sessionId < b.sessionId ? -1 : 1)
  )
}
