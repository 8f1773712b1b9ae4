/**
 * Writes the audit log: one log line with the message `audit` for each request that makes a
 * change.
 */
import type { FastifyRequest, onSendHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { AUDITED, auditRecord, isAudited } from '../services/auth/audit.ts'

export default fp(
  async (app) => {
    // Audit lines are written at every log level except `silent`.
    const log = app.log.child({}, app.log.level === 'silent' ? {} : { level: 'info' })

    app.addHook('onRoute', (route) => {
      const action = AUDITED[`${String(route.method)} ${route.url}`]
      // Logged before the answer is sent, so a client that disconnects early is logged, too.
      if (action !== undefined) route.onSend = [...[route.onSend ?? []].flat(), logAs(action)]
    })

    function logAs (action: string): onSendHookHandler {
      return (request, reply, payload, done) => {
        if (isAudited(action, request.caller)) {
          const answer: unknown = typeof payload === 'string' ? JSON.parse(payload) : undefined
          const target =
            action === 'login' ? knownAccount(request, app.config.ADMIN_USERNAME) : request.params
          const { caller, ip: address, id: requestId, body } = request
          const { statusCode: status } = reply
          const what = { action, caller, address, requestId, target, body, status, answer }
          log.info({ audit: auditRecord(what) }, 'audit')
        }
        done(null, payload)
      }
    }
  },
  { name: 'audit', dependencies: ['config', 'auth'] }
)

/**
 * The account of a login, if it exists. An unknown name is not logged: it may be a password that
 * was typed into the wrong field.
 */
function knownAccount ({ body }: FastifyRequest, known: string | undefined): object {
  const { username } = (body ?? {}) as { username?: unknown }
  return username === known ? { username } : {}
}
