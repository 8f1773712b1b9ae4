/** Lets pages of the origins in CORS_ORIGINS call the API. Without any, no CORS header is sent. */
import { fastifyCors } from '@fastify/cors'
import fp from 'fastify-plugin'
import { commaList } from '../services/util/comma-list.ts'

/** How long a browser may cache the answer to a preflight, in seconds. */
const PREFLIGHT_SECONDS = 600

/**
 * Registered before everything that refuses requests: a preflight carries no token, and a page must
 * be able to read a refusal.
 */
export default fp(
  async (app) => {
    const origins = new Set(commaList(app.config.CORS_ORIGINS))
    if (origins.size === 0) return
    app.addHook('onRoute', (route) => {
      if (route.url === '*') route.config = { ...route.config, access: 'public' }
    })
    await app.register(fastifyCors, {
      delegator: ({ headers, method }, done) => {
        const { origin, 'access-control-request-method': asked } = headers
        // An OPTIONS request that is not a preflight is handled as usual.
        const isForPage = origins.has(origin ?? '') && (method !== 'OPTIONS' || asked !== undefined)
        done(null, {
          origin: isForPage,
          methods: ['GET', 'POST', 'PUT', 'DELETE'],
          allowedHeaders: [
            'Authorization',
            'Content-Type',
            'Last-Event-ID',
            'X-API-Key',
            'X-Request-Id'
          ],
          exposedHeaders: ['Retry-After', 'X-Request-Id'],
          maxAge: PREFLIGHT_SECONDS
        })
      }
    })
  },
  { name: 'cors', dependencies: ['config'] }
)
