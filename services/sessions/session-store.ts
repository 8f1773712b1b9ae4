/** What every store of sessions promises of its verbs, and of reads about one session or user. */
import type { Count } from '../../schemas/counts.ts'
import type { LimitInForce } from '../limits/limit-value.ts'
import type { Bar } from '../limits/bar.ts'
import type { Details, KnownSession, Lease } from './lease.ts'

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
  boundTo?: BoundTo
  /** Another user that is known to have held the id, should the store have lost its record. */
  heldBy?: string
}

/** The only switch node whose sessions the caller may touch; undefined for any. */
export type BoundTo = string | undefined

/** Tells that a result was found without the store, because it is away. */
export interface Degradable {
  degraded?: boolean
}

/** The caller is bound to a node, and the session is of another one: nothing was changed. */
export interface Forbidden {
  outcome: 'forbidden'
}

/** A result of a caller that may do what it asked for. */
export type Allowed<R> = Exclude<R, Forbidden>

/** What a store saw of a user when it decided, for whoever has to decide without it later. */
export interface Seen {
  /** The limit, where it comes from, and when it ends if it is a temporary one. */
  limit: number
  source: LimitInForce['source']
  expiresAtMs: number | undefined
  /** How many external sessions are up that are no leases. */
  external: number
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
  seen?: Seen
}

/** What became of a request for a slot. A refusal is a result, not a failure. */
export type AcquireResult = Degradable &
  (
    | Admitted
    | { outcome: 'limit_reached'; count: number; limit: number; seen?: Seen }
    | { outcome: 'barred'; count: number; limit: number; bar: Bar }
    | { outcome: 'conflict' }
    | { outcome: 'ended' }
    | Forbidden
  )

/** A session that is said to be up still. */
export interface RenewRequest {
  sessionId: string
  username: string
  /** Which attempt is up; undefined for whichever is known. */
  attempt?: number | undefined
  node?: string | undefined
  details?: Details
  boundTo?: BoundTo
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
export type RenewResult = Degradable &
  (Renewed | { outcome: 'conflict' } | { outcome: 'ended' } | Forbidden)

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
  boundTo?: BoundTo
  /** When it has ended, if not now: a later attempt that began after that is another session. */
  endedMs?: number | undefined
}

export type ReleaseResult = Degradable &
  (
    | {
      outcome: 'released' | 'unknown' | 'conflict'
      /** Whose session was released, where the store knows. */
      username?: string | undefined
      /** Which attempt was released, where the store knows. */
      attempt?: number | undefined
      /** For how much longer the lease would have been live, in milliseconds. */
      leaseMs?: number | undefined
      /** Nothing has ended: what is live is of another node, or a later attempt. */
      unmet?: boolean
      /** The id had ended before. */
      wasEnded?: boolean
    }
    | Forbidden
  )

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
  /** When the list was taken, in milliseconds since the epoch. A later time counts as now. */
  asOfMs: number
  /** How long ago the list was taken at the least, in milliseconds. */
  ageMs: number
  /** A session that began so shortly before the list was taken, or later, keeps its slot. */
  youngMs: number
  /** Which part of the list this is, and the number of parts; undefined for the whole list. */
  part: { number: number; of: number } | undefined
  /** How many sessions all parts give together, where the node says. */
  total: number | undefined
  /** How many sessions the node gave in this part, invalid ones included. */
  given: number
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
  /** The sessions that lost their slots because the node no longer lists them. */
  missing: Array<{ sessionId: string; username: string }>
}

export type ReconcileResult = Degradable &
  (
    | Reconciled
    | { outcome: 'stale_epoch'; epoch: number }
    /** It lists a session of another node, and the caller is bound to this one. */
    | Forbidden
    /** A part is missing, or there are fewer or more sessions than the node said. */
    | { outcome: 'incomplete' }
  )

/** The sessions that lost their slots because their node was forgotten. */
export type ForgetNodeResult = Degradable & {
  missing: Array<{ sessionId: string; username: string }>
}

/**
 * Changes sessions. A store knows leases, and external sessions, which the switch recorded itself.
 * A user's count is its live leases and its external sessions; an id that is both counts once. Ids
 * and names are valid when they get here.
 *
 * A lease is held from a successful `acquire` or `renew` until its time to live has passed without
 * another, or it is released or terminated; an attempt at an id that was released or terminated
 * stays ended, and so do earlier ones. A later attempt at the same id is a new session.
 * A caller that is bound to a node (`boundTo`) gets `forbidden`, and changes nothing, where a lease
 * is of another node. That an unknown id has ended holds, by its word, for its own node only.
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
   * request, in order. All requests are of one caller.
   */
  renew(requests: RenewRequest[], ttlMs: number): Promise<RenewResult[]>
  /** Ends a session; an id that is not known has ended from now on, too. */
  release(request: ReleaseRequest): Promise<ReleaseResult>
  /**
   * Takes a switch node's list for the truth about that node: renews, registers, and frees the
   * slots of what is missing. A session that is missing has not ended: listed again, it is
   * registered again.
   */
  reconcileNode(report: NodeReconciliation): Promise<ReconcileResult>
  /** Forgets a switch node: its epoch, and the slots of its sessions. */
  forgetNode(node: string): Promise<ForgetNodeResult>
  /** Ends all sessions of a user; emergency sessions only where that is asked for. */
  terminateUser(
    username: string,
    reason: string,
    includeEmergency: boolean
  ): Promise<TerminateResult>
}

/** A session, and in an outage how old what is known of it is, in milliseconds. */
export type ReadSession = KnownSession & Degradable & { staleMs?: number }

/** Reads about one session or one user; goes on while the store is away, as far as it is known. */
export interface SessionReader {
  getSession(sessionId: string): Promise<ReadSession | null>
  /** How many sessions a user has up, and how many more it may have. */
  getCount(username: string): Promise<Count>
}
