/** Everything on Redis, and what keeps admission going while Redis is away. */
import { steadyClock } from '../clock.ts'
import { RedisInspector } from '../health/redis-inspector.ts'
import { MemoryLimitsStore } from '../limits/memory-limits-store.ts'
import type { Log } from '../log.ts'
import { Breaker } from '../outage/breaker.ts'
import { GuardedExecutor } from '../outage/guarded-executor.ts'
import { LeaseMirror } from '../outage/lease-mirror.ts'
import { LimitCache } from '../outage/limit-cache.ts'
import type { LocalParts, OutageMode } from '../outage/local-acquire.ts'
import { Outbox } from '../outage/outbox.ts'
import { Prober } from '../outage/prober.ts'
import { Replay } from '../outage/replay.ts'
import { ResilientLimitsStore } from '../outage/resilient-limits-store.ts'
import { ResilientSessionStore } from '../outage/resilient-session-store.ts'
import { RetryOnce } from '../outage/retry-once.ts'
import type { PolicyCache } from '../policy/policy.ts'
import { redisPolicySource } from '../policy/redis-policy-source.ts'
import { RedisRequestCount } from '../rate-limit/redis-request-count.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { LeaseTable } from '../sessions/memory/lease-table.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import { LEARNING_MS } from '../sessions/timing.ts'
import { expiredTo, type Backend, type BackendOptions } from './backend.ts'
import { probe } from './redis-probe.ts'
import { redisStores } from './redis-stores.ts'

/**
 * How long the mirror remembers an id that has ended, in milliseconds: long enough for a late
 * retry.
 */
const MIRROR_ENDED_MEMORY_MS = 120_000
/** How long a question waits for a connection that was cut, in milliseconds. */
const RECONNECT_WAIT_MS = 100
/** How far a replica that takes over may have been behind its master, in milliseconds. */
const REPLICATION_LAG_MS = 10_000

/** The Redis, and what is done while it is away. */
export interface RedisOptions {
  executor: RedisExecutor
  keys: RedisKeys
  mode: OutageMode
  /** How long a question waits for a connection that was cut, in milliseconds. */
  reconnectWaitMs?: number
}

/** Builds the stores on Redis, with breaker, mirror, outbox and replay around them. */
export function redisBackend (redis: RedisOptions, options: BackendOptions): Backend {
  const { executor, keys, mode, reconnectWaitMs = RECONNECT_WAIT_MS } = redis
  const { defaults, policyFrom, malformed, outcomes, log, warnings } = options
  const breaker = breakerOf(mode, log, () => ({ replay, store }))
  const guarded = new GuardedExecutor(executor, breaker)
  const policy = policyFrom(redisPolicySource(guarded, keys, defaults, malformed))
  const onExpired = expiredTo(outcomes)
  const stores = redisStores({ executor, guarded, keys, policy, malformed, onExpired })
  const store = stores.sessions
  const local = localParts(policy, mode)
  const replay = new Replay({ executor, keys, store, outcomes, ...local })
  const retry = new RetryOnce(breaker, async () => await executor.connected(reconnectWaitMs))
  const inspector = new RedisInspector(executor, keys, warnings)
  const prober = proberOf(executor, keys, { breaker, inspector, store, log })
  return {
    ...stores,
    policy,
    limits: new ResilientLimitsStore(stores.limits, local.known, retry),
    sessions: new ResilientSessionStore({ store, breaker, retry, ...local }),
    requestCount: new RedisRequestCount(guarded, keys),
    latencyMs: () => prober.latencyMs(),
    start: async () => {
      await prober.start()
      await inspector.start()
      local.known.start(stores.limitLists, (error) =>
        log.info({ err: error }, 'could not read all limits in advance; trying again soon')
      )
    },
    stop: () => {
      prober.stop()
      inspector.stop()
      local.known.stop()
    }
  }
}

/** Probes for the breaker, for health, and for what has to be mended. */
function proberOf (
  executor: RedisExecutor,
  keys: RedisKeys,
  told: { breaker: Breaker; inspector: RedisInspector; store: RedisSessionStore; log: Log }
) {
  const { breaker, inspector, store, log } = told
  return new Prober({
    probe: async () =>
      await probe(executor, keys, {
        onLearning: (learning) => learn(store, learning, log),
        onRefused: (commands) => inspector.probed(commands)
      }),
    onServed: (seen) => {
      void breaker.served(seen)
    },
    onFailed: (error) => {
      inspector.failed(error)
      breaker.trip(error)
    }
  })
}

/** What decides while Redis is away, by the policy in force. */
function localParts (policy: PolicyCache, mode: OutageMode): LocalParts {
  const limits = new MemoryLimitsStore(() => policy.current.max_sessions_per_user, steadyClock)
  const table = new LeaseTable(steadyClock, MIRROR_ENDED_MEMORY_MS)
  return {
    mirror: new LeaseMirror(limits, policy, table),
    known: new LimitCache(limits, steadyClock),
    outbox: new Outbox(),
    mode
  }
}

/** @param parts - what is made only after the breaker, and used only after that */
function breakerOf (
  mode: OutageMode,
  log: Log,
  parts: () => { replay: Replay; store: RedisSessionStore }
): Breaker {
  const breaker: Breaker = new Breaker({
    recover: async (lostItsData) => {
      const withinMs = lostItsData ? Infinity : breaker.openForMs + REPLICATION_LAG_MS
      const told = await parts().replay.run(withinMs)
      if (told.ended + told.restored > 0) log.info(told, 'wrote to Redis what it missed')
    },
    settle: async () => await parts().replay.settle(),
    onGeneration: (generation) => {
      parts().store.generation = generation
    },
    onChange: (open, cause) =>
      open
        ? log.warn({ err: cause, outage_mode: mode }, 'Redis is down: deciding without it')
        : log.info({}, 'Redis works: asking it again')
  })
  return breaker
}

/** Notes whether Redis began so short a time ago that it may not know of every call. */
function learn (store: RedisSessionStore, learning: boolean, log: Log): void {
  if (learning && !store.learning) {
    log.warn(
      { at_most_seconds: LEARNING_MS / 1000 },
      'Redis is empty or new: calls that are up are unknown until they are renewed'
    )
  } else if (!learning && store.learning) {
    log.info({}, 'Redis knows all calls again: each has had time to be renewed')
  }
  store.learning = learning
}
