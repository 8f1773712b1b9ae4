/**
 * A twin: the service without what makes it one. The same Node, Fastify options, plugins, token
 * check, routes and schemas, but no store, and the handlers that it is given.
 */
import Fastify, { LogController, type FastifyInstance, type RouteHandlerMethod } from 'fastify'
import { loadConfig } from '../../config.ts'
import securityHeaders, { setSecurityHeaders } from '../../plugins/security-headers.ts'
import audit from '../../plugins/audit.ts'
import auth from '../../plugins/auth.ts'
import config from '../../plugins/config.ts'
import cors from '../../plugins/cors.ts'
import errors, { handleClientError, handleError } from '../../plugins/errors.ts'
import jsonBody from '../../plugins/json-body.ts'
import loginThrottle from '../../plugins/login-throttle.ts'
import methodNotAllowed from '../../plugins/method-not-allowed.ts'
import hostHeader from '../../plugins/host-header.ts'
import openapi from '../../plugins/openapi.ts'
import requestLimits from '../../plugins/request-limits.ts'
import schemas, { schemaController } from '../../plugins/schemas.ts'
import admissionRoutes from '../../routes/admission.ts'
import authRoutes from '../../routes/auth.ts'
import countRoutes from '../../routes/counts.ts'
import healthRoutes from '../../routes/health.ts'
import limitRoutes from '../../routes/limits.ts'
import nodeRoutes from '../../routes/nodes.ts'
import policyRoutes from '../../routes/policy.ts'
import sessionRoutes from '../../routes/sessions.ts'
import temporaryLimitRoutes from '../../routes/temporary-limits.ts'
import { commaList } from '../../services/util/comma-list.ts'
import { errorForLog } from '../../plugins/http/error-for-log.ts'
import { requestId } from '../../plugins/http/request-id.ts'
import type { Makeup } from '../harness/same-plugins.ts'

/** By method and route pattern: `POST /api/sessions`. */
export type Handlers = Record<string, RouteHandlerMethod>

/**
 * Builds one, listens, and closes on SIGTERM. As buildApp in app.ts, and held to that by
 * harness/same-plugins.ts.
 */
export async function startTwin (handlers: Handlers, onClose = async () => {}): Promise<void> {
  const settings = loadConfig()
  const app = Fastify({
    logger: { level: settings.LOG_LEVEL, serializers: { err: errorForLog } },
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: ({ headers }) => requestId(headers['x-request-id']),
    trustProxy:
      settings.TRUSTED_PROXIES === undefined ? false : commaList(settings.TRUSTED_PROXIES),
    bodyLimit: 64 * 1024,
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
  app.addHook('onRoute', (route) => {
    const handler = handlers[`${String(route.method)} ${route.url}`]
    if (handler !== undefined) route.handler = handler
  })
  await app.register(auth, { secret: settings.JWT_SECRET ?? '' })
  await app.register(requestLimits)
  await app.register(audit)
  await app.register(openapi, { version: '0.1.0' })
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
  app.addHook('onClose', onClose)
  await app.listen({ host: settings.HOST, port: settings.PORT })
  process.once('SIGTERM', () => {
    void app.close().then(() => process.exit(0))
  })
  process.on('message', (message) => {
    if (message === 'makeup') {
      process.send?.({ plugins: app.printPlugins(), options: app.initialConfig } satisfies Makeup)
    }
  })
  process.channel?.unref()
}

/** As in app.ts, whose own would bring the stores with it. */
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
