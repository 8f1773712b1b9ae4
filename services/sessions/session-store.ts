/**
 * What every store of sessions promises, whatever it is made of: verbs, reads, lists and the sweep.
 */
import type { Count, SweepResult } from '../../schemas/counts.ts'
import type { Page, PageRequest } from '../../schemas/paging.ts'
import type { UserSummary } from '../../schemas/sessions.ts'
import type { Details, KnownSession, Lease } from './lease.ts'

/** A username and the number of its sessions that are up. */
export type CountEntry = [username: string, count: number]

/** Asks for a slot. */
export interface AcquireRequest {
  username: string
  sessionId: string
  /** Which attempt at the call this is; 0 where the switch does not say. */
  attempt: number
  /** How long the lease lasts without a renewal. */
  ttlMs: number
  node: string | undefined
  details: Details
  /** Says what would happen and takes nothing. */
  dryRun: boolean
  /** The same request was sent before and not answered. */
  again?: boolean
}

/** Tells that a result was found without the store, because it is away. */
export interface Degradable {
  degraded?: boolean
}

/** A slot was taken, or was held already (`refreshed`). */
export interface Admitted {
  outcome: 'admitted' | 'refreshed'
  lease: Lease
  /** Sessions that are up, this one included. */
  count: number
  limit: number
  /** Ids of the sessions that were ended to make room, oldest first. */
  terminated: string[]
  /** Whether the limit was reached and only the policy's action `observe` let the session in. */
  observed: boolean
}

/** What became of a request for a slot. A refusal is a result, not a failure. */
export type AcquireResult = Degradable &
  (
    | Admitted
    | { outcome: 'limit_reached'; count: number; limit: number }
    | { outcome: 'conflict' }
    | { outcome: 'ended' }
  )

/** A session that is said to be up still. */
export interface RenewRequest {
  sessionId: string
  username: string
  /** Which attempt is up; undefined for whichever is known. */
  attempt?: number | undefined
  node?: string | undefined
  details?: Details
}

/** A lease that was prolonged, or registered again. */
export interface Renewed {
  outcome: 'renewed' | 'reregistered'
  /** The end of the lease, in milliseconds since the epoch. */
  expiresMs: number
  /** Reads the lease. Most callers renew thousands and look at none. */
  lease: () => Lease
}

/** What became of a renewal. */
export type RenewResult = Degradable & (Renewed | { outcome: 'conflict' } | { outcome: 'ended' })

/** Asks for the end of a session. */
export interface ReleaseRequest {
  sessionId: string
  /** Whose it is; undefined for whoever's. */
  username: string | undefined
  /** Which attempt has ended: a later one goes on. Undefined for whichever is live. */
  attempt: number | undefined
  /** Only a lease of this switch node; undefined for any. */
  node: string | undefined
  reason: string
}

export type ReleaseResult = Degradable & {
  outcome: 'released' | 'unknown' | 'conflict'
  /** Whose session was released, where the store knows. */
  username?: string | undefined
}

/** Which sessions were ended; without the store, those that are known here. */
export type TerminateResult = Degradable & {
  terminated: string[]
  /** Emergency sessions that were left alone. */
  spared: string[]
}

/** The full list of calls up on one switch node. */
export interface NodeReconciliation {
  node: string
  epoch: number
  sessions: RenewRequest[]
  ttlMs: number
  /**
   * When the list was taken, in milliseconds since the epoch: a session that started later is not
   * released for missing in it.
   */
  asOfMs: number
}

/** What came of a node's report. */
export interface Reconciled {
  outcome: 'reconciled'
  /** What became of each reported session, in their order. */
  outcomes: Array<RenewResult['outcome']>
  renewed: number
  registered: number
  released: number
  /** Reported ids that have ended: the node has to hang these up. */
  ended: string[]
  /** Reported ids that another user holds. */
  conflicts: string[]
  /** The sessions that were released because the node no longer has them. */
  missing: Array<{ sessionId: string; username: string }>
}

export type ReconcileResult = Degradable & (Reconciled | { outcome: 'stale_epoch'; epoch: number })

/** A switch node that has reported. */
export interface NodeState {
  node: string
  epoch: number
  lastSeenMs: number
  /** Its live leases. */
  sessions: number
}

/** Which sessions are listed: those of one user, of one node, or all. */
export interface SessionFilter {
  username?: string | undefined
  node?: string | undefined
}

/** Which part of the ranking of users is wanted; `offset + limit` is at most 10,000. */
export interface UserQuery {
  offset: number
  limit: number
  sort: 'sessions_desc' | 'sessions_asc'
}

/**
 * Changes sessions. A store knows leases, and external sessions, which the switch recorded itself.
 * A user's count is its live leases and its external sessions; an id that is both counts once. Ids
 * and names are valid when they get here.
 *
 * A lease is held from a successful `acquire` or `renew` until its time to live has passed without
 * another, or it is released or terminated; an attempt at an id that was released or terminated
 * stays ended, and so do earlier ones. A later attempt at the same id is a new session.
 * Every method rejects with a ServiceError `store_unavailable` when the store cannot be reached:
 * the outcome is then unknown, and asking again with the same session id is safe.
 */
export interface SessionVerbs {
  /**
   * Whether the store's data began so short a time ago that calls may be up which it was not told
   * of yet. They are taken as they are when a caller renews them or a node reports them; newcomers
   * are held against what is known.
   */
  readonly learning: boolean
  /** Takes a slot within the limit, or refreshes the one that this id holds already. */
  acquire(request: AcquireRequest): Promise<AcquireResult>
  /**
   * Prolongs leases; what is unknown is registered again, even over the limit. One result per
   * request, in order.
   */
  renew(requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]>
  /** Ends a session; an id that is not known has ended from now on, too. */
  release(request: ReleaseRequest): Promise<ReleaseResult>
  /** Takes a switch node's list for the truth about that node: renews, registers, releases. */
  reconcileNode(report: NodeReconciliation): Promise<ReconcileResult>
  /** Ends all sessions of a user; emergency sessions only where that is asked for. */
  terminateUser(
    username: string,
    reason: string,
    includeEmergency: boolean
  ): Promise<TerminateResult>
}

/** Reads about one session or one user; goes on while the store is away, as far as it is known. */
export interface SessionReader {
  getSession(sessionId: string): Promise<(KnownSession & Degradable) | null>
  /** How many sessions a user has up, and how many more it may have. */
  getCount(username: string): Promise<Count>
}

/** Lists; @throws ServiceError `store_unavailable` while the store is away. */
export interface SessionLists {
  /** One page of sessions that are up. */
  listSessions(filter: SessionFilter, page: PageRequest): Promise<Page<KnownSession>>
  /** Users by the number of their sessions. */
  listUsers(query: UserQuery): Promise<{ users: UserSummary[]; total: number }>
  listNodes(page: PageRequest): Promise<Page<NodeState>>
  /**
   * One page of counts; users with none are left out. @throws ServiceError `invalid_input` for a
   * cursor of no list
   */
  listCounts(page: PageRequest): Promise<Page<CountEntry>>
  /** All counts, in batches, in bounded memory. */
  allCounts(): AsyncIterable<CountEntry[]>
}

/** Removes what others would trip over, one replica at a time. */
export interface Sweeper {
  /**
   * Removes ghosts, sessions that a user's set still names and that are gone, and what is left of
   * expired leases.
   * @param share - how much of the time it may take, above 0 and at most 1: it rests for the others
   */
  sweep(share: number): Promise<SweepResult>
  /**
   * Claims the next background sweep for this replica; false when another one claimed it within the
   * last `forMs` milliseconds.
   */
  claimSweep(forMs: number): Promise<boolean>
  /**
   * Prolongs the claim to `forMs` milliseconds from now: for a sweep that takes longer than it was
   * claimed for.
   */
  keepSweep(forMs: number): Promise<void>
}

/** Told of leases that ended because nobody renewed them. */
export type OnExpired = (username: string, sessionIds: string[]) => void
