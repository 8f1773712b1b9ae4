/** What every store of sessions lists and counts, and how it is swept. */
import type { SweepResult } from '../../schemas/counts.ts'
import type { Page, PageRequest } from '../../schemas/paging.ts'
import type { UserSummary } from '../../schemas/sessions.ts'
import type { KnownSession } from './lease.ts'

/** A username and the number of its sessions that are up. */
export type CountEntry = [username: string, count: number]

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
  /** Whether the caller has hung up, so that nobody waits for the list any more. */
  isGone?: () => boolean
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
  allCounts(isGone?: () => boolean): AsyncIterable<CountEntry[]>
}

/** Removes what others would trip over, one replica at a time. */
export interface Sweeper {
  /**
   * Removes ghosts, sessions that a user's set still names and that are gone, what is left of
   * expired leases, and leases of sessions that have ended.
   * Who asks while such a sweep is under way gets the result of that one.
   * @param share - how much of the time it may take, above 0 and at most 1: it rests for the others
   * @param isGone - whether nobody waits for the result any more
   * @throws ServiceError `too_many_requests` where everybody who waited has gone
   */
  sweep(share: number, isGone?: () => boolean): Promise<SweepResult>
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

/**
 * Told of leases of a user that were removed: they ended because nobody renewed them, or their
 * sessions were released when nobody could tell whose they were.
 */
export type OnSwept = (
  what: 'expired' | 'released',
  username: string,
  sessionIds: string[]
) => void
