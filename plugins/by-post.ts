/**
 * Every change can be made by POST, too: OpenSIPS, Asterisk and older Kamailio send GET and POST
 * only. A change that has a PUT or DELETE of its own is registered once more, under the path that
 * this table names.
 */
import type { FastifySchema } from 'fastify'
import fp from 'fastify-plugin'

/** The path of each change by POST, by its own method and route pattern. */
export const BY_POST: Record<string, string> = {
  'PUT /api/sessions/limits': '/api/sessions/limits',
  'PUT /api/sessions/limits/:username': '/api/sessions/users/:username/limit',
  'DELETE /api/sessions/limits/:username': '/api/sessions/users/:username/limit/remove',
  'DELETE /api/sessions/users/:username/temporary-limit':
    '/api/sessions/users/:username/temporary-limit/remove',
  'PUT /api/sessions/users/:username/bar': '/api/sessions/users/:username/bar',
  'DELETE /api/sessions/users/:username/bar': '/api/sessions/users/:username/bar/remove',
  'DELETE /api/sessions/users/:username/sessions':
    '/api/sessions/users/:username/sessions/terminate',
  'DELETE /api/sessions/:session_id': '/api/sessions/:session_id/release',
  'PUT /api/sessions/nodes/:node': '/api/sessions/nodes/:node',
  'DELETE /api/sessions/nodes/:node': '/api/sessions/nodes/:node/forget',
  'DELETE /api/auth/api-keys/:id': '/api/auth/api-keys/:id/revoke'
}

/** Registered before all that looks at routes, so that the POST passes it like its original. */
export default fp(
  async (app) => {
    app.addHook('onRoute', function (route) {
      const url = BY_POST[`${String(route.method)} ${route.url}`]
      if (url === undefined) return
      const { operationId, summary, ...schema }: FastifySchema = route.schema ?? {}
      this.route({
        ...route,
        method: 'POST',
        url,
        schema: {
          ...schema,
          operationId: `${operationId}ByPost`,
          summary: `${summary}; for clients that send GET and POST only`
        }
      })
    })
  },
  { name: 'by-post' }
)
