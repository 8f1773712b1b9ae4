/** Checks that a caller that is bound to a switch node changes only sessions of that node. */
import { ServiceError } from '../errors.ts'
import { isLease } from '../sessions/lease.ts'
import type { SessionReader } from '../sessions/session-store.ts'

/** How many sessions are looked up at the same time: a node report may list thousands. */
const AT_ONCE = 200

/**
 * Checks that none of the sessions belongs to another node. Sessions that are not up, and external
 * sessions, belong to no node. While Redis is away, sessions that this replica does not know pass,
 * so that calls go on.
 * @throws ServiceError `forbidden`
 */
export async function requireOwnSessions (
  store: Pick<SessionReader, 'getSession'>,
  node: string,
  sessionIds: string[]
): Promise<void> {
  for (let i = 0; i < sessionIds.length; i += AT_ONCE) {
    await Promise.all(
      sessionIds.slice(i, i + AT_ONCE).map(async (id) => {
        const session = await store.getSession(id).catch(unknownWhileAway)
        if (session != null && isLease(session) && session.node !== node) throw boundTo(node)
      })
    )
  }
}

/** The refusal of a request that reaches beyond the caller's node. */
export function boundTo (node: string): ServiceError {
  return new ServiceError(
    'forbidden',
    node === ''
      ? 'The node claim of the token is not valid, so it may not change any session.'
      : `This caller may change only sessions of the node ${node}.`
  )
}

function unknownWhileAway (error: unknown): null {
  if (error instanceof ServiceError && error.code === 'store_unavailable') return null
  throw error
}
