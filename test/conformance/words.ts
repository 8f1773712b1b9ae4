import type { Page, PageRequest } from '../../schemas/paging.ts'
import { isLease, type KnownSession } from '../../services/sessions/lease.ts'
import type {
  AcquireRequest,
  NodeReconciliation,
  ReleaseRequest,
  RenewResult
} from '../../services/sessions/session-store.ts'
import { sessionView } from '../../services/sessions/session-view.ts'
import type { SessionStore } from '../helpers/one-store.ts'
import type { Twin } from './contract.ts'

/** Durations that the promises use, in milliseconds, and an instant later than any. */
export const [TTL, HOUR, FOREVER] = [90_000, 3_600_000, Number.MAX_SAFE_INTEGER]

/** A request for a slot; what a test is not about is left to this. */
export function ask (
  username: string,
  sessionId: string,
  more: Partial<AcquireRequest> = {}
): AcquireRequest {
  return {
    username,
    sessionId,
    attempt: 0,
    ttlMs: TTL,
    node: undefined,
    details: {},
    dryRun: false,
    ...more
  }
}

/** A request to end a session; what a test is not about is left to this. */
export function hangUp (
  sessionId: string,
  username?: string,
  more: Partial<ReleaseRequest> = {}
): ReleaseRequest {
  return { sessionId, username, attempt: undefined, node: undefined, reason: 'hangup', ...more }
}

/** A node's report; what a test is not about is left to this. No session is too young for it. */
export function reported (
  report: Pick<NodeReconciliation, 'node' | 'epoch' | 'sessions'> & Partial<NodeReconciliation>
): NodeReconciliation {
  return {
    ttlMs: TTL,
    asOfMs: FOREVER,
    ageMs: 0,
    youngMs: 0,
    part: undefined,
    total: undefined,
    given: report.sessions.length,
    ...report
  }
}

/** Takes a slot, and fails the test where there is none. */
export async function admit (
  sessions: SessionStore,
  username: string,
  sessionId: string,
  more: Partial<AcquireRequest> = {}
) {
  const result = await sessions.acquire(ask(username, sessionId, more))
  if (result.outcome !== 'admitted') {
    throw new Error(`${sessionId} of ${username}: ${result.outcome}`)
  }
  return result
}

/**
 * Takes slots one after the other, a millisecond apart at the least, so that their order is
 * certain.
 */
export async function fill (
  { sessions, pass }: Twin,
  username: string,
  ids: string[],
  more: Partial<AcquireRequest> = {}
): Promise<void> {
  for (const id of ids) {
    await admit(sessions, username, id, more)
    await pass(1)
  }
}

export function idsOf (list: KnownSession[]): string[] {
  return list.map(({ sessionId }) => sessionId).sort()
}

/** A session as the API shows it: what one store leaves out of it and another says is the same. */
export function shown (session: KnownSession | null) {
  return session === null ? null : sessionView(session)
}

/** When a lease ends; NaN for what is no lease. */
export function endOf (session: KnownSession | null): number {
  return session !== null && isLease(session) ? session.expiresMs : NaN
}

/** Every page of a list. */
export async function pages<T> (
  get: (page: PageRequest) => Promise<Page<T>>,
  count: number
): Promise<T[][]> {
  const got: T[][] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    if (cursor.length > 12_000) {
      throw new Error(`a cursor of ${cursor.length} characters, more than a query takes`)
    }
    const page: Page<T> = await get({ cursor, count })
    got.push(page.entries)
    cursor = page.next_cursor
  }
  return got
}

export async function everything (
  { sessions }: Twin,
  filter: { username?: string; node?: string } = {}
): Promise<string[]> {
  return idsOf(
    (await pages(async (page) => await sessions.listSessions(filter, page), 1000)).flat()
  )
}

export const names = (head: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${head}${String(i).padStart(3, '0')}`)
export const outcomes = (results: RenewResult[]) => results.map(({ outcome }) => outcome)

/** A result without what only one of the stores tells. */
export function strip (result: object): Record<string, unknown> {
  const { external, missing, outcomes, seen, ...rest } = result as Record<string, unknown>
  return rest
}
