/**
 * A token or an API key that is bound to a switch node may change only the sessions of that node.
 * API keys with a node are always bound, and tokens with a `node` claim if BIND_NODES is set.
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
    // Not async: a caller that is not bound waits for nothing.
    app.addHook('preHandler', (request, _reply, done) => {
      const node = request.caller?.node
      const { access } = request.routeOptions.config
      if (node === undefined || typeof access !== 'object' || !('changes' in access)) return done()
      const named = [request.params, request.body ?? {}] as Named[]
      if (
        node === '' ||
        access.changes === 'any' ||
        named.some((part) => part.node !== undefined && part.node !== node)
      ) {
        return done(boundTo(node))
      }
      const ids = named.flatMap(({ session_id: id, sessions = [] }) => [
        id,
        ...sessions.map((session) => session?.session_id)
      ])
      const sessionIds = ids.filter((id) => typeof id === 'string')
      requireOwnSessions(app.sessions, node, sessionIds).then(() => done(), done)
    })
  },
  { name: 'node-binding', dependencies: ['auth', 'stores'] }
)
