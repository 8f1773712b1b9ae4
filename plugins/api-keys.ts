/** The API keys, as `app.apiKeys`: in Redis, or in a file without it. */
import fp from 'fastify-plugin'
import { FileApiKeyStore } from '../services/auth/api-keys/file-api-key-store.ts'
import { ApiKeyRing } from '../services/auth/api-keys/api-key-ring.ts'
import { RedisApiKeyStore } from '../services/auth/api-keys/redis-api-key-store.ts'
import { systemClock, type Clock } from '../services/clock.ts'
import { RedisExecutor } from '../services/redis/executor.ts'
import { RedisKeys } from '../services/redis/keys.ts'
import { usesRedis } from './redis.ts'

export default fp<{ clock?: Clock }>(
  async (app, { clock = systemClock }) => {
    const ring = new ApiKeyRing(usesRedis(app.config) ? onRedis() : inFile(), clock, (outcome) => {
      if ('keys' in outcome) app.log.info(outcome, 'the API keys can be read again')
      else {
        app.log.warn(
          { err: outcome.error },
          'could not read the API keys; the last known keys stay in use'
        )
      }
    })
    app.apiKeys = ring
    app.addHook('onReady', async () => await ring.start())
    // Before Redis is left, so that the last uses are still written.
    app.addHook('preClose', async () => await ring.stop())

    function onRedis (): RedisApiKeyStore {
      const { REDIS_KEY_PREFIX: prefix, REDIS_TIMEOUT_MS: deadlineMs } = app.config
      const executor = new RedisExecutor(app.redis, deadlineMs)
      return new RedisApiKeyStore(executor, new RedisKeys(prefix, executor.isCluster))
    }

    function inFile (): FileApiKeyStore {
      return new FileApiKeyStore(app.config.API_KEYS_FILE)
    }
  },
  { name: 'api-keys', dependencies: ['config', 'auth', 'redis'] }
)
