/** The Redis client, as `app.redis`, where a Redis is configured; nothing here waits for that Redis to be up. */
import { fastifyRedis } from '@fastify/redis'
import fp from 'fastify-plugin'
import type { TlsFiles } from '../config.ts'
import { connectRedis } from '../services/redis/redis-client.ts'
import type { Settings } from '../schemas/settings.ts'

/** How long a close waits for Redis to say goodbye, in milliseconds. */
const QUIT_DEADLINE_MS = 500

/** Whether the settings name a Redis; otherwise everything is kept in memory. */
export function usesRedis (config: Settings): boolean {
  return !config.MOCK_SESSION_LIMITS && (config.REDIS_URL ?? config.REDIS_HOST) !== undefined
}

export default fp<{ tls: TlsFiles }>(async (app, { tls }) => {
  if (!usesRedis(app.config)) return
  const client = connectRedis(app.config, tls)
  client.on('error', (error: Error) => app.log.debug({ err: error }, 'redis connection'))

  // @fastify/redis decorates at once, but then waits for `ready` and quits the client on a first error reply (a Redis
  // that is still loading, say). A client that is not connected yet is shown to it as ready, so that it only decorates.
  const { status } = client
  client.status = 'ready'
  fastifyRedis(app, { client, closeClient: false }, () => {})
  client.status = status

  client.connect().catch(() => { /* it goes on trying by itself; health and every request say so meanwhile */ })
  app.addHook('onClose', async () => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise((resolve) => { timer = setTimeout(resolve, QUIT_DEADLINE_MS) })
    await Promise.race([client.quit().catch(() => {}), late])
    clearTimeout(timer)
    client.disconnect()
  })
}, { name: 'redis', dependencies: ['config'] })
