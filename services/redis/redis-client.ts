/** Makes the Redis client: one that fails at once rather than queues, and reconnects for ever. */
import { Redis, type RedisOptions } from 'ioredis'
import type { Settings } from '../../schemas/settings.ts'

/** PEM texts for TLS. */
export interface TlsOptions { ca?: string, cert?: string, key?: string }

/** A client for the configured Redis, not connected yet. Commands while it is down are rejected at once. */
export function connectRedis (settings: Settings, tls: TlsOptions): Redis {
  const { REDIS_URL: url, REDIS_HOST: host, REDIS_PORT: port, REDIS_DB: db } = settings
  const secured = url?.startsWith('rediss:') ?? settings.REDIS_TLS
  const options = {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: 1000,
    socketTimeout: 1000,
    retryStrategy: (attempt) => Math.min(50 * attempt, 500),
    reconnectOnError: (error) => /^(READONLY|NOREPLICAS|LOADING)/.test(error.message),
    ...(settings.REDIS_USERNAME === undefined ? {} : { username: settings.REDIS_USERNAME }),
    ...(settings.REDIS_PASSWORD === undefined ? {} : { password: settings.REDIS_PASSWORD }),
    ...(secured ? { tls } : {})
  } satisfies RedisOptions
  return url === undefined
    ? new Redis({ ...options, host: host ?? '127.0.0.1', port, db })
    : new Redis(url, new URL(url).pathname.length > 1 ? options : { ...options, db })
}
