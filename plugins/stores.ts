/** The policy and the stores: `app.policy`, `app.limitsStore`, `app.sessionStore`, and `app.admission` on top of the last. */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { systemClock, type Clock } from '../services/clock.ts'
import { MemoryLimitsStore } from '../services/limits/memory-limits-store.ts'
import { RedisLimitsStore } from '../services/limits/redis-limits-store.ts'
import type { LimitsStore } from '../services/limits/limits-store.ts'
import { Oddities } from '../services/oddities.ts'
import { memoryPolicySource } from '../services/policy/memory-policy-source.ts'
import { PolicyCache, type PolicySource } from '../services/policy/policy.ts'
import { redisPolicySource } from '../services/policy/redis-policy-source.ts'
import { Admission } from '../services/sessions/admission.ts'
import { RedisGate } from '../services/redis/redis-gate.ts'
import { RedisKeys } from '../services/redis/redis-keys.ts'
import { MemorySessionStore } from '../services/sessions/memory-session-store.ts'
import { RedisSessionStore } from '../services/sessions/redis-session-store.ts'
import type { SessionStore } from '../services/sessions/session-store.ts'
import { usesRedis } from './redis.ts'

declare module 'fastify' {
  interface FastifyInstance {
    policy: PolicyCache
    limitsStore: LimitsStore
    sessionStore: SessionStore
    admission: Admission
    oddities: Oddities
    /** The door to Redis, or null on the in-memory store. */
    redisGate: RedisGate | null
  }
}

export default fp<{ clock?: Clock }>(async (app, { clock = systemClock }) => {
  const { config } = app
  const defaults = {
    enabled: config.ENABLE_SESSION_LIMITS,
    max_sessions_per_user: config.MAX_SESSIONS_PER_USER,
    session_limit_action: config.SESSION_LIMIT_ACTION
  }
  const oddities = new Oddities((kind, key, count) => app.log.warn({ kind, key, count }, 'a value without meaning was passed over'))
  const policyFrom = (source: PolicySource) => new PolicyCache(source, defaults, (policy) => app.log.info({ policy }, 'policy in force'))
  app.decorate('oddities', oddities)

  if (!usesRedis(config)) {
    const policy = policyFrom(memoryPolicySource(defaults))
    const limits = new MemoryLimitsStore(policy, clock)
    app.log.warn('Limits are kept in memory: nothing outlives this process. Set REDIS_URL to keep them.')
    app.decorate('redisGate', null)
    app.decorate('policy', policy)
    app.decorate('limitsStore', limits)
    decorateSessions(app, new MemorySessionStore(limits, policy, clock))
    return
  }

  const gate = new RedisGate(app.redis, config.REDIS_TIMEOUT_MS)
  const keys = new RedisKeys(config.REDIS_KEY_PREFIX)
  const policy = policyFrom(redisPolicySource(gate, keys, defaults, oddities))
  const limits = new RedisLimitsStore(gate, keys, policy, oddities)
  app.decorate('redisGate', gate)
  app.decorate('policy', policy)
  app.decorate('limitsStore', limits)
  decorateSessions(app, new RedisSessionStore(gate, keys, policy, limits, oddities))
  app.addHook('onReady', async () => await policy.start((error) =>
    app.log.debug({ err: error }, 'the policy could not be read; the last known one holds')))
  app.addHook('onClose', () => policy.stop())
}, { name: 'stores', dependencies: ['config', 'redis'] })

function decorateSessions (app: FastifyInstance, store: SessionStore): void {
  app.decorate('sessionStore', store)
  app.decorate('admission', new Admission(store, { status: app.config.SIP_REJECT_STATUS, reason: app.config.SIP_REJECT_REASON }))
}
