/**
 * The policy, the stores and admission: picks a backend, and gives its parts to the application.
 */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Policy } from '../schemas/policy.ts'
import { memoryBackend } from '../services/backends/memory-backend.ts'
import type { Backend, BackendOptions } from '../services/backends/backend.ts'
import { redisBackend } from '../services/backends/redis-backend.ts'
import { systemClock, type Clock } from '../services/clock.ts'
import type { LimitLists, LimitsStore } from '../services/limits/limits-store.ts'
import { etcdPolicySource } from '../services/policy/etcd-policy-source.ts'
import { PolicyCache, type PolicySource } from '../services/policy/policy.ts'
import { RedisExecutor } from '../services/redis/executor.ts'
import { RedisKeys } from '../services/redis/keys.ts'
import { AdmissionService } from '../services/sessions/admission-service.ts'
import { logOutcome } from '../services/sessions/outcome-log.ts'
import { Outcomes } from '../services/sessions/outcomes.ts'
import type { SessionReader, SessionVerbs } from '../services/sessions/session-store.ts'
import type { SessionLists, Sweeper } from '../services/sessions/session-lists.ts'
import { MalformedValues } from '../services/util/malformed-values.ts'
import { usesRedis } from './redis.ts'

declare module 'fastify' {
  interface FastifyInstance {
    policy: PolicyCache
    limitsStore: LimitsStore
    limitLists: LimitLists
    /** Takes, renews and ends sessions, and tells observers. */
    admission: AdmissionService
    /** Reads one session or one count. Sessions are changed through `admission` only. */
    sessions: SessionReader & Pick<SessionVerbs, 'learning'>
    sessionLists: SessionLists
    sweeper: Sweeper
    malformed: MalformedValues
    /** The latency of Redis as last seen; throws while it does not serve. Null without Redis. */
    redisLatencyMs: Backend['latencyMs']
    /** Whether a part of Redis is out. */
    redisIsPartial: Backend['isPartial']
    /** Counts requests for all replicas; null where each counts for itself. */
    requestCount: Backend['requestCount']
  }
}

/** What a test may put in place of the real thing. */
export interface StoresOptions {
  clock?: Clock
  backend?: (options: BackendOptions) => Backend
}

const INVALID_POLICY =
  'The policy in etcd cannot be used: correct it. The last usable one is in force, as far as it ' +
  'is known, or else that of the settings.'

export default fp<StoresOptions>(
  async (app, { clock = systemClock, backend: given }) => {
    const { config, log, warnings } = app
    const malformed = new MalformedValues((kind, key, count) =>
      log.warn({ kind, key, count }, 'ignored a malformed stored value')
    )
    const outcomes = new Outcomes(log)
    outcomes.observe(logOutcome)
    const defaults = {
      enabled: config.ENABLE_SESSION_LIMITS,
      max_sessions_per_user: config.MAX_SESSIONS_PER_USER,
      session_limit_action: config.SESSION_LIMIT_ACTION
    }
    const policyFrom = (own: PolicySource) => {
      const source = etcdSource(app, defaults, malformed) ?? own
      return policyCache(app, source, defaults)
    }
    const options = { clock, defaults, policyFrom, malformed, outcomes, log, warnings }
    const backend = given?.(options) ?? configured(app, options)

    app.decorate('malformed', malformed)
    decorate(app, backend)
    const sip = { status: config.SIP_REJECT_STATUS, reason: config.SIP_REJECT_REASON }
    app.decorate('admission', new AdmissionService(backend.sessions, outcomes, sip))

    app.addHook('onReady', async () => {
      await backend.policy.start((error) =>
        log.debug({ err: error }, 'could not read the policy; the last known one stays in force')
      )
      await backend.start()
    })
    app.addHook('onClose', () => {
      backend.policy.stop()
      backend.stop()
    })
  },
  { name: 'stores', dependencies: ['config', 'warnings', 'redis', 'etcd'] }
)

/** The policy in force; a stored one that cannot be used is said in health. */
function policyCache (
  { log, warnings }: FastifyInstance,
  source: PolicySource,
  defaults: Policy
): PolicyCache {
  const cache = new PolicyCache(source, defaults, (policy) => {
    if (policy.enabled && policy.session_limit_action !== 'observe') {
      log.info({ policy }, 'policy in force')
    } else log.warn({ policy }, 'policy in force: it refuses nobody')
  })
  cache.onStatus = (status) => {
    if (status === 'invalid') warnings.raise('policy', INVALID_POLICY)
    else if (status === 'current') warnings.clear('policy')
  }
  return cache
}

/** The policy in etcd; undefined if the settings name no key for it. */
function etcdSource (
  { config, etcd }: FastifyInstance,
  defaults: Policy,
  malformed: MalformedValues
): PolicySource | undefined {
  const { ETCD_POLICY_KEY: key } = config
  if (key === undefined || etcd === null) return undefined
  return etcdPolicySource(etcd, key, defaults, malformed)
}

/** The backend that the settings ask for. */
function configured ({ config, log, redis }: FastifyInstance, options: BackendOptions): Backend {
  if (!usesRedis(config)) {
    log.warn(
      'everything is kept in memory and lost when this process ends; set REDIS_URL to keep it'
    )
    return memoryBackend(options)
  }
  const executor = new RedisExecutor(redis, config.REDIS_TIMEOUT_MS)
  const keys = new RedisKeys(config.REDIS_KEY_PREFIX, executor.isCluster)
  return redisBackend({ executor, keys, mode: config.OUTAGE_MODE }, options)
}

function decorate (app: FastifyInstance, backend: Backend): void {
  app.decorate('policy', backend.policy)
  app.decorate('limitsStore', backend.limits)
  app.decorate('limitLists', backend.limitLists)
  app.decorate('sessions', backend.sessions)
  app.decorate('sessionLists', backend.sessionLists)
  app.decorate('sweeper', backend.sweeper)
  app.decorate('redisLatencyMs', backend.latencyMs)
  app.decorate('redisIsPartial', () => backend.isPartial())
  app.decorate('requestCount', backend.requestCount)
}
