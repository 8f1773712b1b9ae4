/** What is made of the live leases of a table. */
import type { Details, Lease } from '../lease.ts'
import type { RenewResult } from '../session-store.ts'
import type { Live } from './entries.ts'
import type { LeaseTable } from './lease-table.ts'

/** A lease as it is now: what becomes of the entry later does not change it. */
export function leaseOf (live: Live, expiresMs = live.expiresMs): Lease {
  const { sessionId, username, attempt, node, startedMs, details } = live
  return { sessionId, username, attempt, node, startedMs, expiresMs, details }
}

/** What is known of a call; that it is an emergency call is taken over, and never taken back. */
export function withEmergency (known: Details, said: Details): Details {
  const isNew = said.emergency === true && known.emergency !== true
  return isNew ? { ...known, emergency: true } : known
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

/** Renews a lease that is known. A later attempt goes on with what is known of the call. */
export function prolong (
  table: LeaseTable,
  known: Live,
  said: { attempt: number | undefined; node: string; details: Details; bound: boolean },
  now: number,
  expiresMs: number
): RenewResult['outcome'] {
  const { attempt = known.attempt, node, bound } = said
  if (attempt < known.attempt) return 'ended'
  const terminated = attempt > known.attempt ? [] : known.terminated
  const details = withEmergency(known.details, said.details)
  const outcome = known.expiresMs > now ? 'renewed' : 'reregistered'
  if (outcome === 'renewed' && (node === '' || node === known.node)) {
    known.expiresMs = expiresMs
    known.touchedMs = now
    known.attempt = attempt
    known.terminated = terminated
    known.bound = bound
    known.details = details
    return outcome
  }
  const lease = { ...known, attempt, details, node: node === '' ? known.node : node }
  table.put(lease, now, expiresMs, terminated, bound, known.vague)
  const renewed = table.live(known.sessionId, now)
  if (renewed !== undefined) renewed.moved = known.moved || renewed.node !== known.node
  return outcome
}
