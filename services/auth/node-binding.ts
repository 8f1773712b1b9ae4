/** What a caller that is bound to a switch node may change: sessions of that node. */
import { ServiceError } from '../errors.ts'
import type { SessionStore } from '../sessions/session-store.ts'

/**
 * How many sessions are looked up at once: a node's report names thousands, and each has to be
 * answered in time.
 */
const AT_ONCE = 200

/**
 * Sees to it that no session is held by another node. Sessions that are not up, or that the switch
 * recorded itself and so name no node, are nobody's. While the store is away, what this replica
 * does not know of passes: the calls go on.
 * @throws ServiceError `forbidden`
 */
export async function requireOwnSessions (
  store: Pick<SessionStore, 'getSession'>,
  node: string,
  sessionIds: string[]
): Promise<void> {
  for (let i = 0; i < sessionIds.length; i += AT_ONCE) {
    await Promise.all(
      sessionIds.slice(i, i + AT_ONCE).map(async (id) => {
        const session = await store.getSession(id).catch(unknownWhileAway)
        if (session?.source === 'lease' && session.node !== node) throw boundTo(node)
      })
    )
  }
}

/** The refusal for a caller that reaches beyond its node. */
export function boundTo (node: string): ServiceError {
  return new ServiceError(
    'forbidden',
    `This token is bound to ${node === '' ? 'a node that it does not name' : `the node ${node}`}.`
  )
}

function unknownWhileAway (error: unknown): null {
  if (error instanceof ServiceError && error.code === 'store_unavailable') return null
  throw error
}
