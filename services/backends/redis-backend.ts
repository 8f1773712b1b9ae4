/** Everything on Redis, and what keeps admission going while Redis is away. */
import { randomUUID } from 'node:crypto'
import { steadyClock } from '../clock.ts'
import { MemoryLimitsStore } from '../limits/memory-limits-store.ts'
import type { Log } from '../log.ts'
import { Breaker, type Seen } from '../outage/breaker.ts'
import { GuardedExecutor } from '../outage/guarded-executor.ts'
import { LeaseMirror } from '../outage/lease-mirror.ts'
import { LimitCache } from '../outage/limit-cache.ts'
import type { OutageMode } from '../outage/local-acquire.ts'
import { Outbox } from '../outage/outbox.ts'
import { Prober } from '../outage/prober.ts'
import { Replay } from '../outage/replay.ts'
import { ResilientLimitsStore } from '../outage/resilient-limits-store.ts'
import { ResilientSessionStore } from '../outage/resilient-session-store.ts'
import { RetryOnce } from '../outage/retry-once.ts'
import { redisPolicySource } from '../policy/redis-policy-source.ts'
import { RedisRequestCount } from '../rate-limit/redis-request-count.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { LeaseTable } from '../sessions/memory/lease-table.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import { LEARNING_MS } from '../sessions/timing.ts'
import { expiredTo, type Backend, type BackendOptions } from './backend.ts'
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
  const { defaults, policyFrom, malformed, outcomes, log } = options
  const breaker = makeBreaker(mode, log, () => ({ replay, store: stores.sessions }))
  const guarded = new GuardedExecutor(executor, breaker)
  const policy = policyFrom(redisPolicySource(guarded, keys, defaults, malformed))
  const onExpired = expiredTo(outcomes)
  const stores = redisStores({ executor, guarded, keys, policy, malformed, onExpired })
  const defaultLimit = () => policy.current.max_sessions_per_user
  const mirrorOfLimits = new MemoryLimitsStore(defaultLimit, steadyClock)
  const table = new LeaseTable(steadyClock, MIRROR_ENDED_MEMORY_MS)
  const mirror = new LeaseMirror(mirrorOfLimits, policy, table)
  const known = new LimitCache(mirrorOfLimits, steadyClock)
  const outbox = new Outbox()
  const replay = new Replay({ executor, keys, store: stores.sessions, mirror, outbox, outcomes })
  const retry = new RetryOnce(breaker, async () => await executor.connected(reconnectWaitMs))
  const prober = makeProber(breaker, async () => await probe(executor, keys, stores.sessions, log))
  const parts = { store: stores.sessions, mirror, known, outbox, breaker, retry, mode }
  return {
    policy,
    limits: new ResilientLimitsStore(stores.limits, known, retry),
    limitLists: stores.limitLists,
    sessions: new ResilientSessionStore(parts),
    sessionLists: stores.sessionLists,
    sweeper: stores.sweeper,
    requestCount: new RedisRequestCount(guarded, keys),
    latencyMs: () => prober.latencyMs(),
    start: async () => {
      await prober.start()
      known.start(stores.limitLists, (error) =>
        log.info({ err: error }, 'could not read all limits in advance; trying again soon')
      )
    },
    stop: () => {
      prober.stop()
      known.stop()
    }
  }
}

/**
 * The breaker, and what happens when it opens and closes.
 * @param later - the replay and the store; they need the breaker and are made after it
 */
function makeBreaker (
  mode: OutageMode,
  log: Log,
  later: () => { replay: Replay; store: RedisSessionStore }
): Breaker {
  const breaker: Breaker = new Breaker({
    recover: async (lostItsData) => {
      const sinceMs = lostItsData ? Infinity : breaker.openForMs + REPLICATION_LAG_MS
      const told = await later().replay.run(sinceMs)
      if (told.ended + told.restored > 0) log.info(told, 'wrote to Redis what it missed')
    },
    settle: async () => await later().replay.settle(),
    onGeneration: (generation) => {
      later().store.generation = generation
    },
    onChange: (open, cause) =>
      open
        ? log.warn({ err: cause, outage_mode: mode }, 'Redis is down: deciding without it')
        : log.info({}, 'Redis works: asking it again')
  })
  return breaker
}

/** The prober that opens and closes the breaker. */
function makeProber (breaker: Breaker, ask: () => Promise<Seen>): Prober<Seen> {
  return new Prober({
    probe: ask,
    onServed: (seen) => {
      void breaker.served(seen)
    },
    onFailed: (error) => breaker.trip(error)
  })
}

/** Asks every master for what the service needs, a write included. */
async function probe (
  executor: RedisExecutor,
  keys: RedisKeys,
  store: RedisSessionStore,
  log: Log
): Promise<Seen> {
  // A new one each time: the generation that this process began may be lost, too.
  const begun = randomUUID()
  const seen = await executor.run(
    Promise.all(
      keys.generations.map(
        async (key) => (await executor.scripts.probe([key], [begun])) as [string, number, string]
      )
    )
  )
  learn(store, Math.min(...seen.map(([, ageMs]) => ageMs)) < LEARNING_MS, log)
  return {
    generation: seen.map(([generation]) => generation).join(' '),
    servers: [...new Set(seen.map(([, , server]) => server))].sort().join(' ')
  }
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
