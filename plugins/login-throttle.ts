/**
 * Slows down password guessing: per address, per account and address, and per account where many
 * addresses guess. `app.throttleLogin` is a preHandler. Whoever guesses locks out nobody else: from
 * another address a login is always tried.
 */
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ServiceError } from '../services/errors.ts'
import { secondsOver } from './request-limits.ts'

/**
 * How many attempts there are in a window: of each address, of each address at one account, and at
 * one account from all addresses. Past the last, each address has one attempt at it.
 */
const ATTEMPTS = { address: 10, account: 5, everywhere: 30 }
const WINDOW_MS = 60_000

declare module 'fastify' {
  interface FastifyInstance {
    throttleLogin: (request: FastifyRequest) => Promise<void>
  }
  interface FastifyRequest {
    /** Where a login comes from: an address, or the /64 network of an IPv6 address. */
    loginFrom: string
  }
}

export default fp(
  async (app) => {
    app.decorateRequest('loginFrom', '')
    const nameOf = (request: FastifyRequest) => (request.body as { username: string }).username
    const limit = (max: number, keyGenerator?: (request: FastifyRequest) => string) =>
      app.createRateLimit({ max, timeWindow: WINDOW_MS, ...(keyGenerator && { keyGenerator }) })
    const placeOf = (request: FastifyRequest) => `${request.loginFrom} ${nameOf(request)}`
    // IPv6 addresses are counted per /64 network, since one customer has all of it.
    const byAddress = limit(ATTEMPTS.address)
    const byAccount = limit(ATTEMPTS.account, placeOf)
    const once = limit(1, placeOf)
    const everywhere = limit(ATTEMPTS.everywhere, nameOf)

    app.decorate('throttleLogin', async (request: FastifyRequest) => {
      const address = await byAddress(request)
      refuse(secondsOver(address))
      request.loginFrom = address.key
      refuse(secondsOver(await byAccount(request)))
      const [first, all] = [await once(request), await everywhere(request)]
      if (secondsOver(all) !== undefined) refuse(secondsOver(first))
    })
  },
  { name: 'login-throttle', dependencies: ['request-limits'] }
)

/** @throws ServiceError `too_many_requests` where there is something to wait for */
function refuse (retryAfterSeconds: number | undefined): void {
  if (retryAfterSeconds === undefined) return
  throw new ServiceError(
    'too_many_requests',
    'Too many attempts to log in; try again later.',
    { retryAfterSeconds }
  )
}
