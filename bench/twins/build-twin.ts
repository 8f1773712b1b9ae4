/**
 * A twin: the service's own HTTP shell, with no store behind it and with the handlers that it is
 * given.
 */
import type { FastifyInstance, RouteHandlerMethod } from 'fastify'
import { loadConfig } from '../../config.ts'
import type { Settings } from '../../schemas/settings.ts'
import { buildShell } from '../../shell.ts'

/** By method and route pattern: `POST /api/sessions`. */
export type Handlers = Record<string, RouteHandlerMethod>

/** Builds one. @throws Error where a handler is for a route that the service does not have */
export async function buildTwin (settings: Settings, handlers: Handlers): Promise<FastifyInstance> {
  const unused = new Set(Object.keys(handlers))
  const app = await buildShell({
    settings,
    jwtSecret: settings.JWT_SECRET ?? '',
    fill: async (shell) => {
      shell.addHook('onRoute', (route) => {
        const name = `${String(route.method)} ${route.url}`
        const handler = handlers[name]
        if (handler === undefined) return
        route.handler = handler
        unused.delete(name)
      })
    }
  })
  if (unused.size > 0) throw new Error(`the service has no route ${[...unused].join(', ')}`)
  return app
}

/** Builds one from the environment, listens, and closes on SIGTERM. */
export async function startTwin (handlers: Handlers, onClose = async () => {}): Promise<void> {
  // It has no store, which production does not start with unless it is told so.
  const settings = loadConfig({ ...process.env, MOCK_SESSION_LIMITS: 'true' })
  const app = await buildTwin(settings, handlers)
  app.addHook('onClose', onClose)
  await app.listen({ host: settings.HOST ?? '127.0.0.1', port: settings.PORT })
  process.once('SIGTERM', () => {
    void app.close().then(() => process.exit(0))
  })
  process.channel?.unref()
}
