/**
 * Slows down guessing of passwords: by address, and by account whatever the address.
 * `app.throttleLogin` is a preHandler.
 */
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ServiceError } from '../services/errors.ts'
import { secondsOver } from './request-limits.ts'

/** How many tries each address, and each account, has in a window. */
const TRIES = { address: 10, account: 5 }
const WINDOW_MS = 60_000

declare module 'fastify' {
  interface FastifyInstance {
    throttleLogin: (request: FastifyRequest) => Promise<void>
  }
}

export default fp(
  async (app) => {
    const limits = [
      // An IPv6 address counts with its network of 64 bits: one customer has them all.
      app.createRateLimit({ max: TRIES.address, timeWindow: WINDOW_MS }),
      app.createRateLimit({
        max: TRIES.account,
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
            'Too many tries to log in; try again later.',
            { retryAfterSeconds }
          )
        }
      }
    })
  },
  { name: 'login-throttle', dependencies: ['request-limits'] }
)
