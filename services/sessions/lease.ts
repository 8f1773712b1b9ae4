/**
 * Sessions as the core knows them: times are whole milliseconds since the epoch, and no name is one
 * of the wire's. Only session-view.ts turns them into what the API shows.
 */

/** What a caller said of a session. It is kept and shown; admission looks at `emergency` only. */
export interface Details {
  callId?: string | undefined
  from?: string | undefined
  to?: string | undefined
  direction?: 'inbound' | 'outbound' | undefined
  emergency?: boolean | undefined
  metadata?: Record<string, string | number | boolean> | undefined
}

/** A session's hold on a slot, until `expiresMs` unless it is renewed. */
export interface Lease {
  sessionId: string
  username: string
  /** Which attempt at the call this is: 0 where the switch does not say (RFC 3261, 22.2). */
  attempt: number
  /** The switch node that has the call; empty when it is not known. */
  node: string
  startedMs: number
  expiresMs: number
  details: Details
}

/** A session that the switch recorded itself; what its record does not say is undefined. */
export interface ExternalSession {
  sessionId: string
  username: string
  callId: string | undefined
  from: string | undefined
  to: string | undefined
  startedMs: number | undefined
}

/** A session that is up, whoever recorded it. */
export type KnownSession = Lease | ExternalSession

/** Whether this service admitted the session, as against the switch recording it. */
export function isLease (session: KnownSession): session is Lease {
  return 'expiresMs' in session
}

/** A lease and how much longer it is held, in milliseconds: for those whose clocks differ. */
export interface HeldLease {
  lease: Lease
  remainingMs: number
  /** Ids of the sessions that were ended to make room for it. */
  terminated: string[]
  /** When it was last taken or renewed. */
  touchedMs: number
  /**
   * The only node whose sessions its caller may touch: if another one has it, it stays there. The
   * empty text for any.
   */
  boundTo: string
  /** Whether it has moved to its node since the store was told of it. */
  moved: boolean
}

/** A lease by another clock, which is so far ahead. */
export function shifted (lease: Lease, byMs: number): Lease {
  if (byMs === 0) return lease
  return { ...lease, startedMs: lease.startedMs + byMs, expiresMs: lease.expiresMs + byMs }
}
