/**
 * The policy and the stores: `app.policy`, `app.limitsStore`, `app.sessionStore`, and
 * `app.admission` on top of the last.
 */
import fp from 'fastify-plugin'
import { systemClock, type Clock } from '../services/clock.ts'
import { MemoryLimitsStore } from '../services/limits/memory-limits-store.ts'
import type { LimitsStore } from '../services/limits/limits-store.ts'
import { MalformedValues } from '../services/util/malformed-values.ts'
import { redisStores } from '../services/backends/redis-backend.ts'
import { etcdPolicySource } from '../services/policy/etcd-policy-source.ts'
import { memoryPolicySource } from '../services/policy/memory-policy-source.ts'
import { PolicyCache, type PolicySource } from '../services/policy/policy.ts'
import { redisPolicySource } from '../services/policy/redis-policy-source.ts'
import type { RedisRequestCount } from '../services/rate-limit/redis-request-count.ts'
import { RedisExecutor } from '../services/redis/executor.ts'
import { RedisKeys } from '../services/redis/keys.ts'
import { AdmissionService } from '../services/sessions/admission-service.ts'
import { MemorySessionStore } from '../services/sessions/memory/memory-session-store.ts'
import type { SessionStore } from '../services/sessions/session-store.ts'
import { usesRedis } from './redis.ts'

declare module 'fastify' {
  interface FastifyInstance {
    policy: PolicyCache
    limitsStore: LimitsStore
    sessionStore: SessionStore
    admission: AdmissionService
    malformed: MalformedValues
    /** Looks whether Redis serves, writes included; null on the in-memory store. */
    checkRedis: (() => Promise<unknown>) | null
    /** Counts requests for all replicas; null on the in-memory store. */
    requestCount: RedisRequestCount | null
  }
}

export default fp<{ clock?: Clock }>(
  async (app, { clock = systemClock }) => {
    const { config } = app
    const defaults = {
      enabled: config.ENABLE_SESSION_LIMITS,
      max_sessions_per_user: config.MAX_SESSIONS_PER_USER,
      session_limit_action: config.SESSION_LIMIT_ACTION
    }
    const malformed = new MalformedValues((kind, key, count) =>
      app.log.warn({ kind, key, count }, 'a value without meaning was passed over')
    )
    app.decorate('malformed', malformed)
    const executor = usesRedis(config)
      ? new RedisExecutor(app.redis, config.REDIS_TIMEOUT_MS)
      : null
    const keys = new RedisKeys(config.REDIS_KEY_PREFIX, executor?.isCluster)

    const policy = new PolicyCache(policySource(), defaults, (policy) =>
      app.log.info({ policy }, 'policy in force')
    )
    app.decorate('policy', policy)
    app.addHook(
      'onReady',
      async () =>
        await policy.start((error) =>
          app.log.debug({ err: error }, 'the policy could not be read; the last known one holds')
        )
    )
    app.addHook('onClose', () => policy.stop())

    if (executor === null) {
      app.log.warn(
        'Limits are kept in memory: nothing outlives this process. Set REDIS_URL to keep them.'
      )
      const limits = new MemoryLimitsStore(policy, clock)
      decorate(limits, new MemorySessionStore(limits, policy, clock), null)
      app.decorate('requestCount', null)
    } else {
      const stores = redisStores(executor, keys, policy, malformed, config.OUTAGE_MODE, app.log)
      decorate(stores.limits, stores.sessions, stores.check)
      app.decorate('requestCount', stores.requestCount)
      app.addHook('onReady', stores.start)
      app.addHook('onClose', stores.stop)
    }

    function policySource (): PolicySource {
      if (config.ETCD_POLICY_KEY !== undefined && app.etcd !== null) {
        return etcdPolicySource(app.etcd, config.ETCD_POLICY_KEY, defaults, malformed)
      }
      return executor === null
        ? memoryPolicySource(defaults)
        : redisPolicySource(executor, keys, defaults, malformed)
    }

    function decorate (
      limits: LimitsStore,
      sessions: SessionStore,
      check: (() => Promise<unknown>) | null
    ): void {
      app.decorate('limitsStore', limits)
      app.decorate('sessionStore', sessions)
      app.decorate('checkRedis', check)
      app.decorate(
        'admission',
        new AdmissionService(sessions, {
          status: config.SIP_REJECT_STATUS,
          reason: config.SIP_REJECT_REASON
        })
      )
    }
  },
  { name: 'stores', dependencies: ['config', 'redis', 'etcd'] }
)
