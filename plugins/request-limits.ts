/**
 * The rate limit. Each request counts once: an authorised request against its caller, on all
 * replicas together; any other request, including one that needs no token, against its address, on
 * this replica. Probes are not counted.
 */
import { fastifyRateLimit } from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { commaList } from '../services/util/comma-list.ts'
import { ServiceError } from '../services/errors.ts'
import { setProblem } from './errors.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether this request has been counted, or need not be. */
    counted: boolean
  }
}

/** The library's verdict on a request. */
type Verdict = Awaited<ReturnType<ReturnType<FastifyInstance['createRateLimit']>>>

const tooMany = {
  status: 429,
  code: 'too_many_requests',
  detail: 'Too many requests; try again later.'
} as const

export default fp(
  async (app) => {
    // The library counts in memory, for the last 5,000 callers and addresses.
    await app.register(fastifyRateLimit, { global: false })
    const { RATE_LIMIT_MAX: max } = app.config
    if (max === 0) return
    const timeWindow = app.config.RATE_LIMIT_WINDOW_SECONDS * 1000
    const exempt = new Set(commaList(app.config.RATE_LIMIT_EXEMPT_ROLES))
    const byAddress = app.createRateLimit({ max, timeWindow })
    const secondsOverForCaller = callerLimit(app, max, timeWindow)
    app.decorateRequest('counted', false)

    app.addHook('onRequest', async (request) => {
      if (request.routeOptions.config.rateLimit === false) request.counted = true
      else if (request.caller === null) {
        await count(request, async () => secondsOver(await byAddress(request)))
      }
    })

    // Runs after validation, so that a refused request sends no command to Redis.
    app.addHook('preHandler', async (request) => {
      const exempted = request.caller?.roles.some((role) => exempt.has(role)) ?? false
      if (exempted) request.counted = true
      else if (!request.counted) {
        await count(request, async () => await secondsOverForCaller(request))
      }
    })

    // Requests that were refused before they were counted: too many of them get 429 instead.
    app.addHook('onSend', async (request, reply, payload) => {
      if (request.counted || reply.statusCode < 400) return payload
      request.counted = true
      const retryAfterSeconds = secondsOver(await byAddress(request))
      if (retryAfterSeconds === undefined) return payload
      reply.header('retry-after', retryAfterSeconds).removeHeader('www-authenticate')
      return JSON.stringify(setProblem(reply, tooMany))
    })
  },
  { name: 'request-limits', dependencies: ['config', 'errors', 'auth'] }
)

/** How many seconds to wait when the limit is exceeded; undefined when it is not. */
export function secondsOver (verdict: Verdict): number | undefined {
  return !verdict.isAllowed && verdict.isExceeded ? verdict.ttlInSeconds : undefined
}

/** Uses the count of all replicas or, while Redis is away, that of this one. */
function callerLimit (app: FastifyInstance, max: number, timeWindow: number) {
  const byCaller = app.createRateLimit({ max, timeWindow, keyGenerator: callerKey })
  return async (request: FastifyRequest): Promise<number | undefined> => {
    const shared = await app.requestCount?.add(callerKey(request), timeWindow)
    if (shared === undefined) return secondsOver(await byCaller(request))
    return shared.count > max ? Math.ceil(shared.leftMs / 1000) : undefined
  }
}

async function count (
  request: FastifyRequest,
  over: () => Promise<number | undefined>
): Promise<void> {
  request.counted = true
  const retryAfterSeconds = await over()
  if (retryAfterSeconds !== undefined) {
    throw new ServiceError(tooMany.code, tooMany.detail, { retryAfterSeconds })
  }
}

/** Who is counted: an API key, a caller by its name, or an address. */
export function callerKey ({ caller, ip }: FastifyRequest): string {
  if (caller?.apiKeyName !== undefined) return `api-key ${caller.tokenId ?? ''}`
  return caller?.username === undefined
    ? `address ${ip}`
    : `caller ${caller.issuer ?? ''} ${caller.username}`
}
