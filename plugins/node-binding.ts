/**
 * A token or an API key that is bound to a switch node may change only the sessions of that node.
 * API keys with a node are always bound, and tokens with a `node` claim if BIND_NODES is set. Here
 * is refused what a request itself shows; the sessions that it names are looked at where they are
 * kept, in the same step that changes them.
 */
import fp from 'fastify-plugin'
import { boundTo } from '../services/auth/node-binding.ts'

/** The node that a request names in its path, its query or its body. */
interface Named {
  node?: string
}

export default fp(
  async (app) => {
    // Not async: a caller that is not bound waits for nothing.
    app.addHook('preHandler', (request, _reply, done) => {
      const node = request.caller?.node
      const { access } = request.routeOptions.config
      if (node === undefined || typeof access !== 'object' || !('changes' in access)) return done()
      const named = [request.params, request.query, request.body ?? {}] as Named[]
      if (
        node === '' ||
        access.changes === 'any' ||
        named.some((part) => part.node !== undefined && part.node !== node)
      ) {
        return done(boundTo(node))
      }
      done()
    })
  },
  { name: 'node-binding', dependencies: ['auth'] }
)
