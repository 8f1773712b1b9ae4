/** What is known of sessions that are up: what every store promises, whatever it is made of. */
import type { Count, SweepResult } from '../../schemas/counts.ts'
import type { Page } from '../../schemas/paging.ts'
import type { PageRequest } from '../limits/limits-store.ts'

/** Sessions up by username. */
export type CountEntry = [username: string, count: number]

/**
 * Knows the sessions of every user: those that the switch recorded itself (external), and leases. Every method rejects
 * with a ServiceError `store_unavailable` when the store cannot be reached.
 */
export interface SessionStore {
  /** How many sessions a user has up, and how many more it may have. */
  getCount (username: string): Promise<Count>
  /** One page of counts; users with none are left out. @throws ServiceError `invalid_input` for a cursor of no list */
  listCounts (page: PageRequest): Promise<Page<CountEntry>>
  /** All counts, in batches, in bounded memory. */
  allCounts (): AsyncIterable<CountEntry[]>
  /** Removes ghosts: sessions that a user's set still names and that are gone. */
  sweepGhosts (): Promise<SweepResult>
  /** Claims the next background sweep for this replica; false when another one claimed it within the last `forMs` milliseconds. */
  claimSweep (forMs: number): Promise<boolean>
}
