/** Everything on Redis, and what keeps admission going while Redis is away. */
import { steadyClock } from '../clock.ts'
import { RedisInspector } from '../health/redis-inspector.ts'
import type { LimitLists } from '../limits/limits-store.ts'
import type { Log } from '../log.ts'
import { Breaker } from '../outage/breaker.ts'
import { GuardedExecutor } from '../outage/guarded-executor.ts'
import { LeaseMirror } from '../outage/lease-mirror.ts'
import { LimitCache, type Reading } from '../outage/limit-cache.ts'
import type { LocalParts, OutageMode } from '../outage/local-acquire.ts'
import { Outbox } from '../outage/outbox.ts'
import { Prober } from '../outage/prober.ts'
import { Replay } from '../outage/replay.ts'
import { ResilientLimitsStore } from '../outage/resilient-limits-store.ts'
import { ResilientSessionStore } from '../outage/resilient-session-store.ts'
import { RetryOnce } from '../outage/retry-once.ts'
import { Watermark } from '../outage/watermark.ts'
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
/** The most ids that the mirror remembers to have ended. */
const MIRROR_MOST_ENDED = 300_000

const LIMITS_UNKNOWN =
  'more users have a limit of their own than are remembered for an outage: while Redis is down, ' +
  'some users who have not called lately have the default limit'
const ENDS_FORGOTTEN =
  'more sessions end than are remembered: if Redis loses its data now, some that have ended may ' +
  'take a slot again until their time to live is over'

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
  const { executor, keys, mode, reconnectWaitMs: waitMs = RECONNECT_WAIT_MS } = redis
  const { defaults, policyFrom, malformed, outcomes, log, warnings } = options
  const watermark = new Watermark(steadyClock)
  const breaker = breakerOf(mode, log, () => ({ replay, store, watermark }))
  const guarded = new GuardedExecutor(executor, breaker)
  const policy = policyFrom(redisPolicySource(guarded, keys, defaults, malformed))
  const onExpired = expiredTo(outcomes)
  const stores = redisStores({ executor, guarded, keys, policy, malformed, onExpired })
  const store = stores.sessions
  const local = localParts(policy, mode)
  const replay = new Replay({ executor, keys, store, outcomes, ...local })
  const retry = new RetryOnce(breaker, async () => await executor.connected(waitMs))
  const inspector = new RedisInspector(executor, keys, warnings)
  const told = { breaker, watermark, inspector, store, local }
  const prober = proberOf(executor, keys, told, options)
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
      local.known.start(readingOf(stores.limitLists, options))
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
  told: {
    breaker: Breaker
    watermark: Watermark
    inspector: RedisInspector
    store: RedisSessionStore
    local: LocalParts
  },
  { log, warnings }: BackendOptions
) {
  const { breaker, watermark, inspector, store, local } = told
  return new Prober({
    probe: async () =>
      await probe(executor, keys, { watermark, isAsked: !breaker.open }, {
        onLearning: (learning) => learn(store, learning, log),
        onRefused: (commands) => inspector.probed(commands)
      }),
    onServed: (seen) => {
      void breaker.served(seen)
      if (local.mirror.forgotten > 0) warnings.raise('ends_forgotten', ENDS_FORGOTTEN)
    },
    onFailed: (error) => {
      inspector.failed(error)
      breaker.trip(error)
    }
  })
}

/** How limits are read in advance. */
function readingOf (lists: LimitLists, { log, warnings }: BackendOptions): Reading {
  const code = 'limits_unknown_in_an_outage'
  return {
    lists,
    onError: (error) =>
      log.info({ err: error }, 'could not read all limits in advance; trying again soon'),
    onFull: (isFull) => isFull ? warnings.raise(code, LIMITS_UNKNOWN) : warnings.clear(code)
  }
}

/** What decides while Redis is away, by the policy in force. */
function localParts (policy: PolicyCache, mode: OutageMode): LocalParts {
  const known = new LimitCache(() => policy.current.max_sessions_per_user, steadyClock)
  const table = new LeaseTable(steadyClock, MIRROR_ENDED_MEMORY_MS, () => {}, MIRROR_MOST_ENDED)
  return {
    mirror: new LeaseMirror(known, policy, table),
    known,
    outbox: new Outbox(),
    mode
  }
}

/** @param parts - what is made only after the breaker, and used only after that */
function breakerOf (
  mode: OutageMode,
  log: Log,
  parts: () => { replay: Replay; store: RedisSessionStore; watermark: Watermark }
): Breaker {
  return new Breaker({
    recover: async (lostItsData) => {
      const { replay, watermark } = parts()
      const told = await replay.run(lostItsData ? -Infinity : watermark.sinceMs)
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
