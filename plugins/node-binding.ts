/**
 * With BIND_NODES, a token with a `node` claim may change only the sessions of that switch node.
 * Other tokens are not checked.
 */
import fp from 'fastify-plugin'
import { boundTo, requireOwnSessions } from '../services/auth/node-binding.ts'

/** The nodes and sessions that a request names in its path or its body. */
interface Named {
  node?: string
  session_id?: string
  sessions?: Array<{ session_id?: unknown } | null>
}

export default fp(
  async (app) => {
    if (!app.config.BIND_NODES) return
    app.addHook('preHandler', async (request) => {
      const node = request.caller?.node
      const { access } = request.routeOptions.config
      if (node === undefined || typeof access !== 'object' || !('changes' in access)) return
      const named = [request.params, request.body ?? {}] as Named[]
      if (
        node === '' ||
        access.changes === 'any' ||
        named.some((part) => part.node !== undefined && part.node !== node)
      ) {
        throw boundTo(node)
      }
      const ids = named.flatMap(({ session_id: id, sessions = [] }) => [
        id,
        ...sessions.map((session) => session?.session_id)
      ])
      await requireOwnSessions(
        app.sessions,
        node,
        ids.filter((id) => typeof id === 'string')
      )
    })
  },
  { name: 'node-binding', dependencies: ['auth', 'stores'] }
)
