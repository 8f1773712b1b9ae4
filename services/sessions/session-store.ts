/** Sessions and admission: what every store promises, whatever it is made of. */
import type { Count, SweepResult } from '../../schemas/counts.ts'
import type { Page, PageRequest } from '../../schemas/paging.ts'
import type { NodeSummary } from '../../schemas/nodes.ts'
import type { Session, SessionDetails, UserSummary } from '../../schemas/sessions.ts'

/** Sessions up by username. */
export type CountEntry = [username: string, count: number]

/** Asks for a slot. */
export interface AcquireRequest {
  username: string
  sessionId: string
  /** How long the lease lasts without a renewal. */
  ttlMs: number
  node: string | undefined
  details: SessionDetails
  /** Says what would happen and takes nothing. */
  dryRun: boolean
  /** The same request was sent before and not answered. */
  again?: boolean
}

/** Says that a result was found without the store, because it is away. */
export interface Degradable {
  degraded?: boolean
}

/** A slot was taken, or was held already (`refreshed`). */
export interface Admitted {
  outcome: 'admitted' | 'refreshed'
  session: Session
  /** Sessions up, this one included. */
  count: number
  limit: number
  /** Sessions that were ended to make room, oldest first. */
  terminated: string[]
  /** True when only a dry run of the policy (`observe`) let it in. */
  observed: boolean
}

/** What became of a request for a slot. That there is none is a result, not a failure. */
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
  node?: string | undefined
  details?: SessionDetails
}

/** What became of a renewal; `session` and its end only where there is a lease now. */
export type RenewResult = Degradable &
  (
    | { outcome: 'renewed' | 'reregistered'; session: Session; expiresMs: number }
    | { outcome: 'conflict' }
    | { outcome: 'ended' }
  )

export type ReleaseResult = Degradable & { outcome: 'released' | 'unknown' | 'conflict' }

/** Which sessions were ended; without the store, those that are known here. */
export type TerminateResult = Degradable & { terminated: string[] }

/** The full list of calls up on one switch node. */
export interface NodeReconciliation {
  node: string
  epoch: number
  sessions: RenewRequest[]
  ttlMs: number
  /**
   * When the list was taken, in milliseconds since the epoch: what started later is not released
   * for missing in it.
   */
  asOfMs: number
}

/** What came of a node's report: how many, and by id what the node has to hang up or look into. */
export interface Reconciled {
  outcome: 'reconciled'
  renewed: number
  registered: number
  released: number
  ended: string[]
  conflicts: string[]
  /** Which were released, where the store knows. */
  releasedIds?: string[]
}

export type ReconcileResult = Degradable & (Reconciled | { outcome: 'stale_epoch'; epoch: number })

/**
 * Knows the sessions of every user: leases, and external ones, which the switch recorded itself. A
 * user's count is its live leases and its external sessions, an id that is both counted once. Ids
 * and names are valid when they get here.
 *
 * A lease is held from a successful `acquire` or `renew` until its time to live has passed without
 * another, or it is released or terminated; an id that was released or terminated stays ended.
 * Every method rejects with a ServiceError `store_unavailable` when the store cannot be reached:
 * the outcome is then unknown, and asking again with the same session id is safe.
 */
export interface SessionStore {
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
  /** Ends a session, whoever's it is unless a username is given. */
  release(sessionId: string, username: string | undefined, reason: string): Promise<ReleaseResult>
  /** Takes a switch node's list for the truth about that node: renews, registers, releases. */
  reconcileNode(report: NodeReconciliation): Promise<ReconcileResult>
  /** Ends all sessions of a user. */
  terminateUser(username: string, reason: string): Promise<TerminateResult>

  getSession(sessionId: string): Promise<Session | null>
  /** One page of sessions that are up, of one user, one node, or all. */
  listSessions(
    filter: { username?: string | undefined; node?: string | undefined },
    page: PageRequest
  ): Promise<Page<Session>>
  /** Users by the number of their sessions; `offset + limit` is at most 10,000. */
  listUsers(query: {
    offset: number
    limit: number
    sort: 'sessions_desc' | 'sessions_asc'
  }): Promise<{ users: UserSummary[]; total: number }>
  listNodes(page: PageRequest): Promise<Page<NodeSummary>>

  /** How many sessions a user has up, and how many more it may have. */
  getCount(username: string): Promise<Count>
  /**
   * One page of counts; users with none are left out. @throws ServiceError `invalid_input` for a
   * cursor of no list
   */
  listCounts(page: PageRequest): Promise<Page<CountEntry>>
  /** All counts, in batches, in bounded memory. */
  allCounts(): AsyncIterable<CountEntry[]>

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
