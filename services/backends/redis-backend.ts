/** Puts the stores on Redis together with what keeps them going while Redis is away. */
import { randomUUID } from 'node:crypto'
import { RedisLimitsStore } from '../limits/redis-limits-store.ts'
import { MemoryLimitsStore } from '../limits/memory-limits-store.ts'
import type { MalformedValues } from '../util/malformed-values.ts'
import type { PolicyCache } from '../policy/policy.ts'
import { RedisRequestCount } from '../rate-limit/redis-request-count.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import type { Log } from '../log.ts'
import { MemorySessionStore } from '../sessions/memory/memory-session-store.ts'
import { RedisClusterSessionStore } from '../sessions/redis/redis-cluster-session-store.ts'
import { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import { LEARNING_MS } from '../sessions/timing.ts'
import { Breaker } from '../outage/breaker.ts'
import { LimitCache } from '../outage/limit-cache.ts'
import { Outbox } from '../outage/outbox.ts'
import { Replay } from '../outage/replay.ts'
import { ResilientLimitsStore } from '../outage/resilient-limits-store.ts'
import { ResilientSessionStore, type OutageMode } from '../outage/resilient-session-store.ts'

/**
 * How long the mirror remembers an id that has ended, in milliseconds: long enough for a late
 * retry.
 */
const MIRROR_ENDED_MEMORY_MS = 120_000
/** How long a question waits for a connection that was cut, in milliseconds. */
const RECONNECT_WAIT_MS = 100

/** How far a replica that takes over may have been behind its master, in milliseconds. */
const REPLICATION_LAG_MS = 10_000

/** The mirror's clock: one that only goes forward, whatever happens to the machine's. */
const steadyClock = () => performance.timeOrigin + performance.now()

/** The stores on Redis, and what starts and stops them. */
export function redisStores (
  executor: RedisExecutor,
  keys: RedisKeys,
  policy: PolicyCache,
  malformed: MalformedValues,
  mode: OutageMode,
  log: Log
) {
  const limits = new RedisLimitsStore(executor, keys, policy, malformed)
  const store = new (executor.isCluster ? RedisClusterSessionStore : RedisSessionStore)(
    executor,
    keys,
    policy,
    limits,
    malformed
  )
  const known = new LimitCache(new MemoryLimitsStore(policy, steadyClock), steadyClock)
  const mirror = new MemorySessionStore(known.mirror, policy, steadyClock, MIRROR_ENDED_MEMORY_MS)
  const outbox = new Outbox()
  const replay = new Replay(executor, keys, store, mirror, outbox)
  const check = async () => {
    // A new one each time: the generation that this process began may be lost, too.
    const begun = randomUUID()
    const probes = keys.generations.map(
      async (key) => (await executor.scripts.probe([key], [begun])) as [string, number, string]
    )
    const seen = await executor.run(Promise.all(probes))
    learn(Math.min(...seen.map(([, ageMs]) => ageMs)) < LEARNING_MS)
    return {
      generation: seen.map(([generation]) => generation).join(' '),
      servers: [...new Set(seen.map(([, , server]) => server))].sort().join(' ')
    }
  }
  const learn = (learning: boolean) => {
    if (learning && !store.learning) {
      log.warn(
        { at_most_seconds: LEARNING_MS / 1000 },
        'Redis began anew: calls that are up may not be known until they are renewed'
      )
    } else if (!learning && store.learning) {
      log.info({}, 'every call that is up has had time to be renewed: Redis knows them again')
    }
    store.learning = learning
  }
  const breaker: Breaker = new Breaker({
    probe: check,
    recover: async (lostItsData) => {
      const told = await replay.run(lostItsData ? Infinity : breaker.openForMs + REPLICATION_LAG_MS)
      if (told.ended + told.restored > 0) log.info(told, 'Redis was told what it missed')
    },
    settle: async () => await replay.settle(),
    onGeneration: (generation) => {
      store.generation = generation
    },
    onChange: (open, cause) =>
      open
        ? log.warn({ err: cause, outage_mode: mode }, 'Redis is away: going on without it')
        : log.info({}, 'Redis is back')
  })
  return {
    limits: new ResilientLimitsStore(limits, known, breaker),
    sessions: new ResilientSessionStore({
      store,
      mirror,
      known,
      outbox,
      breaker,
      mode,
      reconnected: async () => await executor.connected(RECONNECT_WAIT_MS)
    }),
    check,
    requestCount: new RedisRequestCount(executor, keys, () => breaker.open),
    start: async () => {
      await breaker.start()
      known.start(limits, (error) =>
        log.info({ err: error }, 'the limits could not be read ahead; the next try comes by itself')
      )
    },
    stop: () => {
      breaker.stop()
      known.stop()
    }
  }
}
