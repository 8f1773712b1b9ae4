/** The settings that say where Redis is and how to reach it. */
import { Type } from '@sinclair/typebox'
import { HOST_LIST, flag, optional, text } from './setting-forms.ts'

const hostList = { pattern: HOST_LIST, title: 'host:port pairs, separated by commas' }

export const redisSettings = {
  REDIS_URL: optional(
    text(
      'The URL of Redis: `redis://user:password@host:6379/0`, or `rediss://` for TLS. ' +
        'Takes precedence over REDIS_HOST.',
      {
        pattern: '^rediss?://',
        title: 'a URL that begins with redis:// or rediss://',
        examples: ['redis://redis:6379/0']
      }
    )
  ),
  REDIS_HOST: optional(
    text(
      'The host of Redis, when REDIS_URL is not set. ' +
        'Without either, everything is kept in memory, which production refuses unless ' +
        'MOCK_SESSION_LIMITS is true.'
    )
  ),
  REDIS_PORT: Type.Integer({
    description: 'The port of Redis on REDIS_HOST.',
    minimum: 1,
    maximum: 65535,
    default: 6379
  }),
  REDIS_USERNAME: optional(text('The ACL user to log in to Redis as.')),
  REDIS_PASSWORD: optional(text('The password for Redis.')),
  REDIS_DB: Type.Integer({
    description: 'The number of the Redis database.',
    minimum: 0,
    maximum: 1_000_000,
    default: 0
  }),
  REDIS_SENTINELS: optional(
    text(
      'Sentinels, separated by commas: `sentinel-0:26379,sentinel-1:26379`. ' +
        'Takes precedence over REDIS_URL.',
      { ...hostList, examples: ['sentinel-0:26379,sentinel-1:26379'] }
    )
  ),
  REDIS_SENTINEL_MASTER: text('The name of the master that the Sentinels watch.', {
    default: 'mymaster'
  }),
  REDIS_SENTINEL_USERNAME: optional(text('The ACL user to log in to the Sentinels as.')),
  REDIS_SENTINEL_PASSWORD: optional(
    text('The password for the Sentinels. REDIS_PASSWORD is for Redis itself.')
  ),
  REDIS_CLUSTER_NODES: optional(
    text(
      'Some nodes of a Redis Cluster, separated by commas: `redis-0:6379,redis-1:6379`. ' +
        'Takes precedence over REDIS_SENTINELS.',
      { ...hostList, examples: ['redis-0:6379,redis-1:6379'] }
    )
  ),
  REDIS_TLS: flag(
    'Whether to use TLS to Redis, the Sentinels and the Cluster nodes. ' +
      'A REDIS_URL that begins with `rediss://` uses it anyway.',
    false
  ),
  REDIS_TLS_CA: optional(
    text("A PEM file with the certificate authority that signed Redis' certificate.")
  ),
  REDIS_TLS_CERT: optional(text('A PEM file with the client certificate to show to Redis.')),
  REDIS_TLS_KEY: optional(text('A PEM file with the key of the client certificate.')),
  REDIS_KEY_PREFIX: text(
    'What every Redis key begins with. The switch reads keys that begin with the default.',
    { default: 'voice-ferry-c4:' }
  ),
  REDIS_TIMEOUT_MS: Type.Integer({
    description: 'How long to wait for one answer from Redis, in milliseconds.',
    minimum: 20,
    maximum: 10_000,
    default: 200
  }),
  MOCK_SESSION_LIMITS: flag('Keep everything in memory, even if Redis is configured.', false)
}
