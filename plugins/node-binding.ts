/**
 * With BIND_NODES a token with a `node` claim changes sessions of that switch node only. Other
 * tokens cost nothing here.
 */
import fp from 'fastify-plugin'
import { boundTo, requireOwnSessions } from '../services/auth/node-binding.ts'

/** What a request that changes sessions names: nodes and sessions, in its path or its body. */
interface Named {
  node?: string
  session_id?: string
  sessions?: Array<{ session_id: string }>
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
      ) { throw boundTo(node) }
      const ids = named.flatMap(({ session_id: id, sessions = [] }) => [
        id,
        ...sessions.map((session) => session.session_id)
      ])
      await requireOwnSessions(
        app.sessionStore,
        node,
        ids.filter((id) => id !== undefined)
      )
    })
  },
  { name: 'node-binding', dependencies: ['auth', 'stores'] }
)
