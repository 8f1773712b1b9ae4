/**
 * Writes the audit log: a line `audit` in the log for each request to change something, once its
 * outcome is known.
 */
import type { onSendHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import { AUDITED, auditRecord, isAudited } from '../services/auth/audit.ts'

export default fp(
  async (app) => {
    // Whatever is else too little to be logged: only `silent` keeps it quiet.
    const log = app.log.child({}, app.log.level === 'silent' ? {} : { level: 'info' })

    app.addHook('onRoute', (route) => {
      const action = AUDITED[`${String(route.method)} ${route.url}`]
      // When the answer is made, not when it has gone out: whoever hangs up early is noted too.
      if (action !== undefined) route.onSend = [...[route.onSend ?? []].flat(), noteAs(action)]
    })

    function noteAs (action: string): onSendHookHandler {
      return (request, reply, payload, done) => {
        const { caller, ip: address, id: requestId, body } = request
        if (isAudited(action, caller)) {
          const answer: unknown = typeof payload === 'string' ? JSON.parse(payload) : undefined
          const target = action === 'login' ? knownAccount(body) : request.params
          log.info(
            {
              audit: auditRecord({
                action,
                caller,
                address,
                requestId,
                target,
                body,
                status: reply.statusCode,
                answer
              })
            },
            'audit'
          )
        }
        done(null, payload)
      }
    }

    /**
     * Who wants to log in, if there is such an account: another name may be a password in the wrong
     * field.
     */
    function knownAccount (body: unknown): object {
      const { username } = (body ?? {}) as { username?: unknown }
      return username === app.config.ADMIN_USERNAME ? { username } : {}
    }
  },
  { name: 'audit', dependencies: ['config', 'auth'] }
)
