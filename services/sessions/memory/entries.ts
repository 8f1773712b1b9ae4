/** What is known of an id in memory: a lease, or that it has ended. */
import type { Lease } from '../lease.ts'
import type { Ended } from './ended-ids.ts'

/** A lease, held until `expiresMs` and remembered a little longer. */
export type Live = Lease & {
  ended: false
  /** Ids of the sessions that were ended to make room for it. */
  terminated: string[]
  /** When it was last taken, renewed or looked at by its caller. */
  touchedMs: number
  /** Whether a store that this table only mirrors does not know of it yet, as it is now. */
  untold: boolean
  /** Whether only callers that are bound to its node have said that it is up. */
  bound: boolean
  /**
   * Whether a renewal registered it, so that nobody knows here when it began, nor whether it is an
   * emergency call.
   */
  vague: boolean
  /** Whether a renewal has moved it to its node, which a store that is mirrored may not know. */
  moved: boolean
}
/** What is known of an id. */
export type Entry = Live | Ended

/** How an id has ended. */
export interface End {
  /** Whose it was, should that not be known here. */
  username?: string | undefined
  /** Which attempt has ended, if it is a later one than is known here. */
  attempt?: number | undefined
  /** The node that it was ended for, should the session not be known here. */
  node?: string | undefined
  /** The node whose sessions alone the end holds for; undefined for all. */
  onlyNode?: string | undefined
  /** For how long a lease of it may be live somewhere, in milliseconds. */
  leaseMs?: number | undefined
}
