/**
 * Slows down password guessing, per address and per account. `app.throttleLogin` is a preHandler.
 */
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ServiceError } from '../services/errors.ts'
import { secondsOver } from './request-limits.ts'

/** How many attempts each address and each account has in a window. */
const ATTEMPTS = { address: 10, account: 5 }
const WINDOW_MS = 60_000

declare module 'fastify' {
  interface FastifyInstance {
    throttleLogin: (request: FastifyRequest) => Promise<void>
  }
}

export default fp(
  async (app) => {
    const limits = [
      // IPv6 addresses are counted per /64 network, since one customer has all of it.
      app.createRateLimit({ max: ATTEMPTS.address, timeWindow: WINDOW_MS }),
      app.createRateLimit({
        max: ATTEMPTS.account,
        timeWindow: WINDOW_MS,
        keyGenerator: (request) => (request.body as { username: string }).username
      })
    ]
    app.decorate('throttleLogin', async (request: FastifyRequest) => {
      for (const limit of limits) {
        const retryAfterSeconds = secondsOver(await limit(request))
        if (retryAfterSeconds !== undefined) {
          throw new ServiceError(
            'too_many_requests',
            'Too many attempts to log in; try again later.',
            { retryAfterSeconds }
          )
        }
      }
    })
  },
  { name: 'login-throttle', dependencies: ['request-limits'] }
)
