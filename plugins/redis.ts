/** The Redis client, as `app.redis`, where a Redis is configured. A start does not need it. */
import type { FastifyRedis } from '@fastify/redis'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Redis } from 'ioredis'
import type { TlsFiles } from '../config.ts'
import { connectRedis } from '../services/redis/client.ts'
import { connectionTrouble } from '../services/redis/connection-trouble.ts'
import type { Settings } from '../schemas/settings.ts'
import { systemTimer } from '../services/util/repeat.ts'

/** How long a close waits for Redis to say goodbye, in milliseconds. */
const QUIT_DEADLINE_MS = 500
/**
 * How long the start waits for Redis, in milliseconds: enough for one that is up, and no start
 * fails for one that is not.
 */
const CONNECT_DEADLINE_MS = 500
/** In how long a client that has given up connects again, in milliseconds. */
const CONNECT_AGAIN_MS = 100

/** Whether the settings name a Redis; otherwise everything is kept in memory. */
export function usesRedis (config: Settings): boolean {
  const {
    REDIS_CLUSTER_NODES: nodes,
    REDIS_SENTINELS: sentinels,
    REDIS_URL: url,
    REDIS_HOST: host
  } = config
  return !config.MOCK_SESSION_LIMITS && (nodes ?? sentinels ?? url ?? host) !== undefined
}

export default fp<{ tls: TlsFiles }>(
  async (app, { tls }) => {
    if (!usesRedis(app.config)) return
    const client = connectRedis(app.config, tls)
    tellOfTrouble(app, client)
    const close = connectAgain(client)

    // As @fastify/redis declares it, but not by its plugin: that makes the start wait for a
    // connection, and ends the client when the first answer is an error, such as that of a Redis
    // that is still loading its data.
    app.decorate('redis', client as FastifyRedis)

    // Not before everything else is set up, which keeps the process too busy to shake hands in
    // time. A client that finds no Redis goes on trying by itself; health and every request say so
    // meanwhile.
    app.addHook(
      'onReady',
      async () =>
        await atMost(
          CONNECT_DEADLINE_MS,
          client.connect().catch(() => {})
        )
    )
    app.addHook('onClose', async () => {
      close()
      if (client.status === 'ready') {
        await atMost(
          QUIT_DEADLINE_MS,
          client.quit().catch(() => {})
        )
      }
      client.disconnect()
    })
  },
  { name: 'redis', dependencies: ['config', 'warnings'] }
)

/**
 * Connects again where the client has given up for good: it does when Sentinels name another master
 * while it connects.
 * @returns what ends that
 */
function connectAgain (client: Redis): () => void {
  let isClosing = false
  client.on('end', () => {
    if (isClosing) return
    systemTimer(() => {
      if (!isClosing) client.connect().catch(() => {})
    }, CONNECT_AGAIN_MS)
  })
  return () => {
    isClosing = true
  }
}

/** Says why there is no connection: each cause once, until there is one again. */
function tellOfTrouble ({ config, log, warnings }: FastifyInstance, client: Redis): void {
  const secured = config.REDIS_TLS || config.REDIS_URL?.startsWith('rediss:') === true
  let told = ''
  let wasReady = false
  const tell = (error: Error) => {
    log.debug({ err: error }, 'redis connection')
    const { text, isSetting } = connectionTrouble(error, { secured, wasReady })
    if (text === told) return
    told = text
    if (isSetting) warnings.raise('redis_connection', text)
    else log.warn(text)
  }
  client.on('error', tell)
  client.on('node error', tell)
  client.on('ready', () => {
    told = ''
    wasReady = true
    warnings.clear('redis_connection')
  })
}

/** Waits until a promise has settled, but not longer than so many milliseconds. */
async function atMost (ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([
    promise,
    new Promise((resolve) => {
      timer = setTimeout(resolve, ms)
    })
  ])
  clearTimeout(timer)
}
