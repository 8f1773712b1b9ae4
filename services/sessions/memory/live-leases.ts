/** What is made of the live leases of a table. */
import type { Lease } from '../lease.ts'
import type { LeaseTable, Live } from './lease-table.ts'

/** A lease as it is now: what becomes of the entry later does not change it. */
export function leaseOf (live: Live, expiresMs = live.expiresMs): Lease {
  const { sessionId, username, attempt, node, startedMs, details } = live
  return { sessionId, username, attempt, node, startedMs, expiresMs, details }
}

/** Leases in the order in which they would have to end; emergency sessions never have to. */
export function oldestFirst (live: Live[]): Live[] {
  const ordinary = live.filter(({ details }) => details.emergency !== true)
  return ordinary.sort((a, b) => a.startedMs - b.startedMs || (a.sessionId < b.sessionId ? -1 : 1))
}

/** A lease that has just been renewed. @throws Error when its new time is over already */
export function renewedIn (table: LeaseTable, sessionId: string, now: number): Live {
  const live = table.live(sessionId, now)
  if (live === undefined) {
    throw new Error(`session ${sessionId} was renewed for a time that is over`)
  }
  return live
}
