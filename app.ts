/**
 * Puts the service together: every Fastify option and the order of the plugins, in sight. Never
 * listens.
 */
import Fastify, { LogController, type FastifyInstance, type FastifyLoggerOptions } from 'fastify'
import { readPublicKeys, readTlsFiles } from './config.ts'
import securityHeaders, { setSecurityHeaders } from './plugins/security-headers.ts'
import audit from './plugins/audit.ts'
import auth from './plugins/auth.ts'
import config from './plugins/config.ts'
import cors from './plugins/cors.ts'
import errors, { handleClientError, handleError } from './plugins/errors.ts'
import etcd from './plugins/etcd.ts'
import ghostSweep from './plugins/ghost-sweep.ts'
import health from './plugins/health.ts'
import jsonBody from './plugins/json-body.ts'
import loginThrottle from './plugins/login-throttle.ts'
import methodNotAllowed from './plugins/method-not-allowed.ts'
import nodeBinding from './plugins/node-binding.ts'
import hostHeader from './plugins/host-header.ts'
import openapi from './plugins/openapi.ts'
import redis from './plugins/redis.ts'
import requestLimits from './plugins/request-limits.ts'
import schemas, { schemaController } from './plugins/schemas.ts'
import stores from './plugins/stores.ts'
import admissionRoutes from './routes/admission.ts'
import authRoutes from './routes/auth.ts'
import countRoutes from './routes/counts.ts'
import healthRoutes from './routes/health.ts'
import limitRoutes from './routes/limits.ts'
import nodeRoutes from './routes/nodes.ts'
import policyRoutes from './routes/policy.ts'
import sessionRoutes from './routes/sessions.ts'
import temporaryLimitRoutes from './routes/temporary-limits.ts'
import type { Settings } from './schemas/settings.ts'
import type { Clock } from './services/clock.ts'
import { commaList } from './services/util/comma-list.ts'
import { errorForLog } from './plugins/http/error-for-log.ts'
import { requestId } from './plugins/http/request-id.ts'

/** The version that the documentation names: the package's. */
export const VERSION = '0.1.0'

/** What a test may put in place of the real thing. */
export interface Overrides {
  clock?: Clock
  logger?: FastifyLoggerOptions
}

/**
 * Builds the service from its settings.
 * @param jwtSecret - the secret that tokens are signed with, at least 32 bytes
 */
export async function buildApp (
  settings: Settings,
  jwtSecret: string,
  overrides: Overrides = {}
): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: settings.LOG_LEVEL, serializers: { err: errorForLog }, ...overrides.logger },
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: ({ headers }) => requestId(headers['x-request-id']),
    trustProxy:
      settings.TRUSTED_PROXIES === undefined ? false : commaList(settings.TRUSTED_PROXIES),
    bodyLimit: 64 * 1024,
    // A request that does not come to its end is cut within ten seconds, the time between two looks
    // included. A request without a host is told so by us, in the form of every other problem.
    http: {
      maxHeaderSize: 16 * 1024,
      headersTimeout: 6_000,
      connectionsCheckingInterval: 1_000,
      requireHostHeader: false
    },
    requestTimeout: 8_000,
    connectionTimeout: 60_000,
    keepAliveTimeout: 72_000,
    routerOptions: { maxParamLength: 2_048 },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    schemaController,
    frameworkErrors: (error, request, reply) =>
      handleError(error, request, setSecurityHeaders(reply)),
    clientErrorHandler: handleClientError
  })

  await app.register(config, { config: settings })
  await app.register(securityHeaders)
  await app.register(cors)
  await app.register(errors)
  await app.register(hostHeader)
  await app.register(schemas)
  await app.register(jsonBody)
  const routes = collectRoutes(app)
  await app.register(auth, { secret: jwtSecret, publicKeys: readPublicKeys(settings) })
  await app.register(requestLimits)
  await app.register(audit)
  await app.register(openapi, { version: VERSION })
  await app.register(redis, { tls: readTlsFiles(settings, 'REDIS') })
  await app.register(etcd, { tls: readTlsFiles(settings, 'ETCD') })
  await app.register(stores, overrides.clock === undefined ? {} : { clock: overrides.clock })
  await app.register(nodeBinding)
  await app.register(ghostSweep)
  await app.register(health)
  await app.register(loginThrottle)

  await app.register(limitRoutes)
  await app.register(temporaryLimitRoutes)
  await app.register(policyRoutes)
  await app.register(countRoutes)
  await app.register(admissionRoutes)
  await app.register(nodeRoutes)
  await app.register(sessionRoutes)
  await app.register(healthRoutes)
  await app.register(authRoutes)
  await app.register(methodNotAllowed, { routes })
  return app
}

/**
 * Collects the methods of every route pattern as routes are registered, but for the documentation's
 * pages.
 */
function collectRoutes (app: FastifyInstance): Map<string, Set<string>> {
  const routes = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method }) => {
    if (url.startsWith('/docs')) return
    const methods = routes.get(url) ?? new Set()
    for (const one of [method].flat()) methods.add(one)
    routes.set(url, methods)
  })
  return routes
}
