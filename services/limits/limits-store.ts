/** Where limits are kept: what every store promises, whatever it is made of. */
import type { TemporaryLimitChange } from '../../schemas/limits.ts'
import type { Page, PageRequest } from '../../schemas/paging.ts'
import type { Bar } from './bar.ts'
import type { LimitInForce, TemporaryLimit } from './limit-value.ts'

/** A username and its own limit. */
export type LimitEntry = [username: string, limit: number]

/** One thing as it is stored: a user's own limit, a temporary one, or a bar. */
export interface StoredLimit {
  username: string
  limit?: number
  temporary?: TemporaryLimit
  bar?: Bar
}

/** The limit of whoever has none of its own: the policy's, which may change at any time. */
export type DefaultLimit = () => number

/**
 * Keeps users' limits. Usernames and limits are valid when they get here. Every method rejects with
 * a ServiceError `store_unavailable` when the store cannot be reached, and has then kept nothing
 * that it knows of.
 */
export interface LimitsStore {
  /** The limit in force for a user: the temporary one, else the own one, else the policy's. */
  getLimit(username: string): Promise<LimitInForce>
  /** Sets a user's own limit; 0 is unlimited. */
  setLimit(username: string, limit: number): Promise<void>
  /** Removes a user's own limit; false when there was none. */
  removeLimit(username: string): Promise<boolean>
  /** Sets many own limits, and removes those that are null: all or nothing. */
  setLimits(limits: Record<string, number | null>): Promise<{ set: number; removed: number }>
  /**
   * Sets a limit that outranks the own one until `duration` seconds from now. Returns its end in
   * milliseconds since the epoch.
   */
  setTemporaryLimit(username: string, change: TemporaryLimitChange): Promise<number>
  /** Ends a temporary limit before its time; false when there was none. */
  removeTemporaryLimit(username: string): Promise<boolean>
  /** Bars a user; false when the end of the bar is over already, and nothing has changed. */
  setBar(username: string, bar: Bar): Promise<boolean>
  /** Ends a bar; false when there was none. */
  removeBar(username: string): Promise<boolean>
}

/** Lists of own limits; @throws ServiceError `store_unavailable` while the store is away. */
export interface LimitLists {
  /**
   * One page of own limits, of users whose name begins with `prefix`. @throws ServiceError
   * `invalid_input` for a cursor of no list
   */
  listLimits(prefix: string, page: PageRequest): Promise<Page<LimitEntry>>
  /** All own limits, in batches, in bounded memory. */
  allLimits(prefix: string, isGone?: () => boolean): AsyncIterable<LimitEntry[]>
  /** All that is stored: own and temporary limits, and bars; in batches, in bounded memory. */
  allStored(): AsyncIterable<StoredLimit[]>
  /** The temporary limits of some users, in their order; undefined where there is none. */
  temporaryLimits(usernames: string[]): Promise<Array<TemporaryLimit | undefined>>
  /** The bars of some users, in their order; undefined where there is none. */
  bars(usernames: string[]): Promise<Array<Bar | undefined>>
}
