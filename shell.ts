/**
 * The HTTP shell: the Fastify options, the order of the plugins that all requests pass, and the
 * routes. The stores come from outside: app.ts registers the real ones, and the benchmark's twin
 * registers stores that answer with constants. So the two differ in nothing else.
 */
import Fastify, { LogController, type FastifyInstance, type FastifyLoggerOptions } from 'fastify'
import { readPublicKeys } from './config.ts'
import audit from './plugins/audit.ts'
import auth from './plugins/auth.ts'
import byPost from './plugins/by-post.ts'
import config from './plugins/config.ts'
import cors from './plugins/cors.ts'
import errors, { handleError } from './plugins/errors.ts'
import forwardedFor from './plugins/forwarded-for.ts'
import { handleClientError } from './plugins/http/client-error.ts'
import { createHttpServer } from './plugins/http/create-server.ts'
import { errorForLog } from './plugins/http/error-for-log.ts'
import { escapeControls } from './plugins/http/log-line.ts'
import { parseQuery } from './plugins/http/query.ts'
import { requestId } from './plugins/http/request-id.ts'
import jsonBody from './plugins/json-body.ts'
import loginThrottle from './plugins/login-throttle.ts'
import largeBodies from './plugins/large-bodies.ts'
import longAnswers from './plugins/long-answers.ts'
import methodNotAllowed from './plugins/method-not-allowed.ts'
import openapi from './plugins/openapi.ts'
import requestFraming from './plugins/request-framing.ts'
import requestLimits from './plugins/request-limits.ts'
import schemas, { schemaController } from './plugins/schemas.ts'
import securityHeaders, { setSecurityHeaders } from './plugins/security-headers.ts'
import unreadAnswers from './plugins/unread-answers.ts'
import warnings from './plugins/warnings.ts'
import admissionRoutes from './routes/admission.ts'
import apiKeyRoutes from './routes/api-keys.ts'
import authRoutes from './routes/auth.ts'
import barRoutes from './routes/bars.ts'
import countRoutes from './routes/counts.ts'
import healthRoutes from './routes/health.ts'
import limitRoutes from './routes/limits.ts'
import nodeRoutes from './routes/nodes.ts'
import policyRoutes from './routes/policy.ts'
import sessionRoutes from './routes/sessions.ts'
import temporaryLimitRoutes from './routes/temporary-limits.ts'
import type { Settings } from './schemas/settings.ts'
import { commaList } from './services/util/comma-list.ts'

/** The version in the API description: that of the package. */
export const VERSION = '0.1.0'

/** All routes. */
const ROUTES = [
  limitRoutes,
  temporaryLimitRoutes,
  barRoutes,
  policyRoutes,
  countRoutes,
  admissionRoutes,
  nodeRoutes,
  sessionRoutes,
  healthRoutes,
  authRoutes,
  apiKeyRoutes
]

/** What a shell is built from. */
export interface ShellOptions {
  settings: Settings
  /** The secret that tokens are signed with, at least 32 bytes. */
  jwtSecret: string
  logger?: FastifyLoggerOptions | undefined
  /** Registers what answers requests, before the routes that use it. */
  fill: (app: FastifyInstance) => Promise<void>
}

/** Builds the shell and fills it. Does not listen. */
export async function buildShell ({
  settings,
  jwtSecret,
  logger,
  fill
}: ShellOptions): Promise<FastifyInstance> {
  const app = createServer(settings, logger)
  await app.register(config, { config: settings })
  await app.register(warnings)
  await app.register(byPost)
  await app.register(securityHeaders)
  await app.register(cors)
  await app.register(errors)
  await app.register(forwardedFor)
  await app.register(requestFraming)
  await app.register(schemas)
  await app.register(jsonBody)
  await app.register(longAnswers)
  await app.register(unreadAnswers)
  const routes = collectRoutes(app)
  const publicKeys = readPublicKeys(settings, (problem) => tellOfKeys(app, problem))
  await app.register(auth, { secret: jwtSecret, publicKeys })
  await app.register(requestLimits)
  await app.register(largeBodies)
  await app.register(audit)
  await app.register(openapi, { version: VERSION })
  await fill(app)
  await app.register(loginThrottle)
  for (const some of ROUTES) await app.register(some)
  await app.register(methodNotAllowed, { routes })
  return app
}

/** Says that the file of public keys was replaced by one that cannot be used. */
function tellOfKeys ({ log, warnings }: FastifyInstance, problem: string | undefined): void {
  if (problem === undefined) {
    log.info('the public keys were read again')
    warnings.clear('jwt_keys')
  } else {
    warnings.raise('jwt_keys', 'The file JWT_PUBLIC_KEYS cannot be used any more: correct it.', {
      problem
    })
  }
}

function createServer (settings: Settings, logger?: FastifyLoggerOptions): FastifyInstance {
  const { LOG_LEVEL: level, TRUSTED_PROXIES: proxies } = settings
  return Fastify({
    serverFactory: createHttpServer,
    logger: {
      level,
      serializers: { err: errorForLog },
      hooks: { streamWrite: escapeControls },
      ...logger
    },
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: ({ headers }) => requestId(headers['x-request-id']),
    trustProxy: proxies === undefined ? false : commaList(proxies),
    bodyLimit: 64 * 1024,
    // An incomplete request is cut off within ten seconds, the interval between two checks
    // included. A request without a host gets a problem document like every other bad request.
    http: {
      maxHeaderSize: 16 * 1024,
      headersTimeout: 6_000,
      connectionsCheckingInterval: 1_000,
      requireHostHeader: false
    },
    requestTimeout: 8_000,
    connectionTimeout: 60_000,
    keepAliveTimeout: 72_000,
    routerOptions: { maxParamLength: 2_048, querystringParser: parseQuery },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    schemaController,
    frameworkErrors: (error, request, reply) =>
      handleError(error, request, setSecurityHeaders(reply)),
    clientErrorHandler: handleClientError
  })
}

/** Collects the methods of each route pattern as routes are registered, except those of /docs. */
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
