/** What callers that are bound to a switch node may touch, in memory. */
import type { BoundTo, Forbidden, ReleaseRequest, RenewRequest } from '../session-store.ts'
import type { Ended } from './ended-ids.ts'
import type { End, Entry, Live } from './entries.ts'
import type { LeaseTable } from './lease-table.ts'

/** What a caller is answered that may not touch a session. */
export const FORBIDDEN: Forbidden = { outcome: 'forbidden' }

/** Whether an end holds for sessions of a node. */
export function holdsFor ({ onlyNode }: Ended, node = ''): boolean {
  return onlyNode === undefined || onlyNode === node
}

/** Whether a live lease is out of reach of a caller that is bound to a node. */
export function isForeign (entry: Entry | undefined, boundTo: BoundTo, now: number): boolean {
  if (boundTo === undefined || entry === undefined || entry.ended) return false
  return entry.expiresMs > now && entry.node !== boundTo
}

/** Whether one of the sessions is a live lease that its caller may not touch. */
export function someForeign (table: LeaseTable, requests: RenewRequest[], now: number): boolean {
  return requests.some(({ sessionId, boundTo }) =>
    isForeign(table.known(sessionId, now), boundTo, now))
}

/**
 * Whether only callers that are bound to its node say that a session is up, and the store that is
 * mirrored was not told yet: the id may be that of another node's session there.
 */
const isDoubtful = ({ bound, untold }: Live): boolean => bound && untold

/** For which node alone an end holds; undefined for all. */
export function scope (live: Live, boundTo: BoundTo): BoundTo {
  return isDoubtful(live) ? boundTo : undefined
}

/** A session that is known, to whoever says that it is up on a node. */
export function vouched (entry: Entry | undefined, node: string): Live | undefined {
  if (entry === undefined || entry.ended) return undefined
  const isOthers = node !== '' && node !== entry.node
  return isOthers && isDoubtful(entry) ? undefined : entry
}

/**
 * What an answer of another store means that a session has ended. A caller that is bound to a node
 * may have heard of an end that holds for this node only, and changes nothing about the session of
 * another.
 * @returns the scope of the end; undefined where there is nothing to note
 */
export function heardBy (known: Entry | undefined, boundTo: string): End | undefined {
  if (boundTo === '' || (known?.ended === true && known.onlyNode === undefined)) return {}
  const node = known?.ended === true ? known.onlyNode : known?.node
  return (node ?? boundTo) === boundTo ? { onlyNode: boundTo } : undefined
}

/**
 * Notes the end of an id that is not up. Whoever is bound to a node ends it for that node only;
 * others end it for all of them.
 */
export function endUnknown (
  table: LeaseTable,
  entry: Entry | undefined,
  { sessionId, username, attempt, node, boundTo }: ReleaseRequest,
  now: number
): { outcome: 'unknown' } {
  const unknown = { outcome: 'unknown' } as const
  const end = { username, attempt, node, onlyNode: boundTo }
  if (entry?.ended !== true) {
    if (entry !== undefined && boundTo !== undefined) return unknown
    // A lease that nobody knows of here may last as long as any.
    table.end(sessionId, now, { ...end, leaseMs: table.unknownEndMs })
    return unknown
  }
  const isLater = (attempt ?? 0) > (entry.attempt ?? 0) && entry.onlyNode === boundTo
  const isWider = entry.onlyNode !== undefined && boundTo === undefined
  if (isLater || isWider) table.end(sessionId, now, end)
  return unknown
}
