/** Puts the service together: the HTTP shell, filled with Redis, etcd and the stores. */
import type { FastifyInstance, FastifyLoggerOptions } from 'fastify'
import { readTlsFiles } from './config.ts'
import apiKeys from './plugins/api-keys.ts'
import etcd from './plugins/etcd.ts'
import expiryWarnings from './plugins/expiry-warnings.ts'
import ghostSweep from './plugins/ghost-sweep.ts'
import health from './plugins/health.ts'
import nodeBinding from './plugins/node-binding.ts'
import redis from './plugins/redis.ts'
import stores, { type StoresOptions } from './plugins/stores.ts'
import type { Settings } from './schemas/settings.ts'
import { buildShell } from './shell.ts'

/** What tests may replace. */
export interface Overrides extends StoresOptions {
  logger?: FastifyLoggerOptions
}

/**
 * Builds the service from its settings. Does not listen.
 * @param jwtSecret - the secret that tokens are signed with, at least 32 bytes
 */
export async function buildApp (
  settings: Settings,
  jwtSecret: string,
  { logger, ...replaced }: Overrides = {}
): Promise<FastifyInstance> {
  return await buildShell({
    settings,
    jwtSecret,
    logger,
    fill: async (app) => {
      await app.register(redis, { tls: readTlsFiles(settings, 'REDIS') })
      await app.register(etcd, { tls: readTlsFiles(settings, 'ETCD') })
      await app.register(stores, replaced)
      await app.register(apiKeys, replaced)
      await app.register(expiryWarnings, replaced)
      await app.register(nodeBinding)
      await app.register(ghostSweep)
      await app.register(health)
    }
  })
}
