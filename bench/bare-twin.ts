/**
 * The yardstick: the service without what makes it one. The same Node, Fastify options, plugins, token check, routes and
 * schemas, but every handler answers a constant at once, and there is no store.
 */
import Fastify, { LogController } from 'fastify'
import { loadConfig } from '../config.ts'
import auth from '../plugins/auth.ts'
import config from '../plugins/config.ts'
import errors, { handleClientError, handleError } from '../plugins/errors.ts'
import jsonBody from '../plugins/json-body.ts'
import schemas, { schemaController } from '../plugins/schemas.ts'
import admissionRoutes from '../routes/admission.ts'
import limitRoutes from '../routes/limits.ts'
import { ANSWERS } from './twin-answers.ts'

const settings = loadConfig()
// As in buildApp.
const app = Fastify({
  logger: { level: settings.LOG_LEVEL },
  logController: new LogController({ disableRequestLogging: true }),
  bodyLimit: 64 * 1024,
  requestTimeout: 10_000,
  connectionTimeout: 60_000,
  keepAliveTimeout: 72_000,
  routerOptions: { maxParamLength: 2_048 },
  forceCloseConnections: 'idle',
  return503OnClosing: false,
  schemaController,
  frameworkErrors: handleError,
  clientErrorHandler: handleClientError
})
await app.register(config, { config: settings })
await app.register(errors)
await app.register(schemas)
await app.register(jsonBody)
app.addHook('onRoute', (route) => {
  const answer = ANSWERS[`${String(route.method)} ${route.url}`]
  if (answer === undefined) return
  const { status, body } = answer
  route.handler = async (_request, reply) => {
    reply.code(status)
    return body
  }
})
await app.register(auth, { secret: settings.JWT_SECRET ?? '' })
await app.register(limitRoutes)
await app.register(admissionRoutes)
await app.listen({ host: settings.HOST, port: settings.PORT })
process.once('SIGTERM', () => { void app.close().then(() => process.exit(0)) })
