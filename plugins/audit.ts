/**
 * Writes the audit log: one log line with the message `audit` for each request that makes a change,
 * asks for an emergency call, or is denied.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, onSendHookHandler } from 'fastify'
import fp from 'fastify-plugin'
import {
  ADMISSION,
  AUDITED,
  DENIED,
  EMERGENCY,
  auditRecord,
  isAudited
} from '../services/auth/audit.ts'
import { LineBudget } from '../services/auth/audit-bounds.ts'
import { steadyClock } from '../services/clock.ts'
import { statusOf } from './errors.ts'

/**
 * How many lines refused requests may write: whoever has no token must not fill the disk. What is
 * left out is counted in the next line.
 */
const REFUSALS = { perAddress: 100, inAll: 1_000, windowMs: 10_000 }

/** Statuses of requests that are refused for who sends them. */
const REFUSED = new Set([401, 403, 429])

declare module 'fastify' {
  interface FastifyInstance {
    /** Writes a line for an emergency call that was admitted. */
    auditEmergency: (request: FastifyRequest, reply: FastifyReply) => void
  }
}

/** What a line says besides who asked: an action and what came of it. */
interface What {
  action: string
  route?: string
  status: number
  answer: unknown
}

export default fp(
  async (app) => {
    const write = writerOf(app)
    app.addHook('onRoute', (route) => {
      const action = AUDITED[`${String(route.method)} ${route.url}`]
      // Logged before the answer is sent, so a client that disconnects early is logged, too.
      if (action !== undefined) route.onSend = [...[route.onSend ?? []].flat(), logAs(action)]
    })
    app.addHook('onError', (request, _reply, error, done) => {
      const route = routeOf(request)
      const status = statusOf(error)
      const answer = { code: error.code }
      if (route in AUDITED) return done()
      if (status === 401 || status === 403) {
        write(request, { action: DENIED, route, status, answer })
      } else if (isEmergency(request)) {
        write(request, { action: EMERGENCY, status, answer })
      }
      done()
    })
    app.decorate('auditEmergency', (request: FastifyRequest, reply: FastifyReply) => {
      write(request, { action: EMERGENCY, status: reply.statusCode, answer: undefined })
    })

    function logAs (action: string): onSendHookHandler {
      return (request, reply, payload, done) => {
        if (isAudited(action, request.caller)) {
          const answer =
            reply.longAnswer ?? (typeof payload === 'string' ? JSON.parse(payload) : undefined)
          write(request, { action, status: reply.statusCode, answer })
        }
        done(null, payload)
      }
    }
  },
  { name: 'audit', dependencies: ['config', 'auth', 'long-answers'] }
)

/** Writes audit lines at every log level except `silent`. */
function writerOf (app: FastifyInstance) {
  const log = app.log.child({}, app.log.level === 'silent' ? {} : { level: 'info' })
  const budget = new LineBudget(REFUSALS, steadyClock)
  return (request: FastifyRequest, what: What): void => {
    const { caller, ip: address, id: requestId, body } = request
    const leftOut = REFUSED.has(what.status) ? budget.take(address) : 0
    if (leftOut === undefined) return
    const target = targetOf(what.action, request, app.config.ADMIN_USERNAME)
    const audit = auditRecord({ ...what, caller, address, requestId, target, body, leftOut })
    log.info({ audit }, 'audit')
  }
}

function routeOf ({ method, routeOptions }: FastifyRequest): string {
  return `${method} ${routeOptions.url ?? ''}`
}

function isEmergency (request: FastifyRequest): boolean {
  const { emergency, dry_run: dryRun } = (request.body ?? {}) as Record<string, unknown>
  return routeOf(request) === ADMISSION && emergency === true && dryRun !== true
}

/** The names that say for whom something was asked. */
function targetOf (
  action: string,
  { params, body }: FastifyRequest,
  administrator: string | undefined
): unknown {
  if (action !== 'login') return action === EMERGENCY ? body : params
  // An unknown account is not logged: it may be a password that was typed into the wrong field.
  const { username } = (body ?? {}) as { username?: unknown }
  return username === administrator ? { username } : {}
}
