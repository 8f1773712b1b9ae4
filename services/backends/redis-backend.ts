/** Everything on Redis, and what keeps admission going while Redis is away. */
import { RedisInspector } from '../health/redis-inspector.ts'
import type { LimitLists } from '../limits/limits-store.ts'
import type { Log } from '../log.ts'
import { GuardedExecutor } from '../outage/guarded-executor.ts'
import { LeaseMirror } from '../outage/lease-mirror.ts'
import { LimitCache, type Reading } from '../outage/limit-cache.ts'
import type { LocalParts, OutageMode } from '../outage/local-acquire.ts'
import { Outbox } from '../outage/outbox.ts'
import { Replay } from '../outage/replay.ts'
import { ResilientLimitsStore } from '../outage/resilient-limits-store.ts'
import { ResilientSessionStore } from '../outage/resilient-session-store.ts'
import { RetryOnce } from '../outage/retry-once.ts'
import { Shards } from '../outage/shards.ts'
import { Watermark } from '../outage/watermark.ts'
import type { PolicyCache } from '../policy/policy.ts'
import { redisPolicySource } from '../policy/redis-policy-source.ts'
import { RedisRequestCount } from '../rate-limit/redis-request-count.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import type { RedisClock } from '../redis/redis-clock.ts'
import { slotOwners } from '../redis/slots.ts'
import { LeaseTable } from '../sessions/memory/lease-table.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import {
  forgetUserEnds,
  shortenLeases,
  WORTH_MENDING_MS
} from '../sessions/redis/redis-set-back.ts'
import { repeatLater, systemTimer, type Repeated } from '../util/repeat.ts'
import { sweptTo, type Backend, type BackendOptions } from './backend.ts'
import { ProbeNotes } from './probe-notes.ts'
import { probe } from './redis-probe.ts'
import { redisStores, type RedisParts } from './redis-stores.ts'

/**
 * How long the mirror remembers an id that has ended, in milliseconds: long enough for a late
 * retry.
 */
const MIRROR_ENDED_MEMORY_MS = 120_000
/** How long a question waits for a connection that was cut, in milliseconds. */
const RECONNECT_WAIT_MS = 100
/** How often Redis is told again what it has refused, in milliseconds. */
const REFUSED_AGAIN_MS = 500
/** The most ids that the mirror remembers to have ended. */
const MIRROR_MOST_ENDED = 300_000

const LIMITS_UNKNOWN =
  'more users have a limit of their own than are remembered for an outage: while Redis is down, ' +
  'some users who have not called lately have the default limit'

/** How long the warning stays that the clock of Redis was set, in milliseconds. */
const STEP_WARNED_MS = 600_000

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
  const watermark = new Watermark(executor.clock.unsteppedMs)
  const told = (): Told => ({ replay, store, mirror: local.mirror })
  const inspector = new RedisInspector(executor, keys, warnings)
  const notes = new ProbeNotes({ keys, inspector, log, warnings }, told)
  const shards = shardsOf({ executor, keys, mode, log }, { notes, watermark }, told)
  const guarded = new GuardedExecutor(executor, shards)
  const policy = policyFrom(redisPolicySource(guarded, keys, defaults, malformed))
  const onSwept = sweptTo(outcomes)
  const parts = { executor, guarded, keys, policy, malformed, onSwept }
  const stores = redisStores({ ...parts, reach: shards })
  const store = stores.sessions
  const restoring = restoringOn(shards, parts)
  const local = localParts(policy, mode, executor.clock)
  const replay = new Replay({ executor, keys, ...restoring, outcomes, ...local })
  const retry = new RetryOnce(shards, async () => await executor.connected(waitMs))
  const telling = tellingRefused(shards, replay, local.outbox)
  heedSteps(executor, keys, options)
  return {
    ...stores,
    policy,
    limits: new ResilientLimitsStore(stores.limits, local.known, retry, shards),
    sessions: new ResilientSessionStore({ store, shards, retry, ...local }),
    requestCount: new RedisRequestCount(guarded, keys),
    latencyMs: () => shards.latencyMs(),
    isPartial: () => shards.someOpen || shards.refusals.areRecent,
    start: async () => {
      await shards.start()
      executor.clock.settle()
      await inspector.start()
      local.known.start(readingOf(stores.limitLists, options))
      telling.start()
    },
    stop: () => {
      for (const one of [telling, shards, inspector, local.known]) one.stop()
    }
  }
}

/** The store that tells what Redis missed, to a part that is coming back, too. */
function restoringOn ({ forReplay: reach }: Shards, parts: RedisParts) {
  return { reach, store: redisStores({ ...parts, reach }).sessions }
}

/** Tells Redis now and then what it refused before, while no part of it is out. */
function tellingRefused (shards: Shards, replay: Replay, outbox: Outbox) {
  let telling: Repeated | undefined
  const work = async () => {
    const isLeft = outbox.size > 0 || outbox.refused.size > 0
    if (isLeft && !shards.someOpen) await replay.tellRefused(shards.whole)
  }
  return {
    // Health says what is refused.
    start: () => { telling = repeatLater({ work, onError: () => {}, everyMs: REFUSED_AGAIN_MS }) },
    stop: () => telling?.stop()
  }
}

/** How limits are read in advance. */
function readingOf (lists: LimitLists, { log, warnings }: BackendOptions): Reading {
  const code = 'limits_unknown_in_an_outage'
  let failed = false
  return {
    lists,
    onError: (error) => {
      if (!failed) log.info({ err: error }, 'could not read all limits in advance; trying again')
      failed = true
    },
    onFull: (isFull) => {
      failed = false
      if (isFull) warnings.raise(code, LIMITS_UNKNOWN)
      else warnings.clear(code)
    }
  }
}

/** Says that the clock of Redis was set, and mends what that leaves behind in Redis. */
function heedSteps (
  executor: RedisExecutor,
  keys: RedisKeys,
  { log, warnings }: BackendOptions
): void {
  const { clock } = executor
  let cancel = () => {}
  clock.onStep = (byMs) => {
    warnings.raise(
      'redis_clock',
      'The clock of Redis was set, which ends leases early or late; what is up is told to it ' +
        'again. Let a time service (NTP) slew that clock instead of setting it.',
      { by_seconds: Math.round(byMs / 1000) }
    )
    cancel()
    cancel = systemTimer(() => warnings.clear('redis_clock'), STEP_WARNED_MS)
  }
  clock.onStepEnded = (byMs, key) => {
    if (byMs >= 0) return
    void forgetUserEnds(executor, keys, key).catch((error: unknown) =>
      log.warn({ err: error }, 'calls may be ended that began after all of their user were')
    )
    if (byMs > -WORTH_MENDING_MS) return
    void shortenLeases(executor, keys, -byMs).catch((error: unknown) =>
      log.warn({ err: error }, 'leases from before the clock was set back may last too long')
    )
  }
}

/** What decides while Redis is away, by the policy in force. */
function localParts (policy: PolicyCache, mode: OutageMode, clock: RedisClock): LocalParts {
  const memory = [MIRROR_ENDED_MEMORY_MS, () => {}, MIRROR_MOST_ENDED, true] as const
  const { unsteppedMs } = clock
  const known = new LimitCache(() => policy.current.max_sessions_per_user, unsteppedMs)
  const table = new LeaseTable(unsteppedMs, ...memory)
  return {
    clock,
    mirror: new LeaseMirror(known, policy, table, clock),
    known,
    outbox: new Outbox(),
    mode
  }
}

/** What is told to a Redis that is back, and what has to know of it. */
interface Told {
  replay: Replay
  store: RedisSessionStore
  mirror: LeaseMirror
}

/** @param told - what is made only after the shards, and used only after that */
function shardsOf (
  { executor, keys, mode, log }: Omit<RedisOptions, 'reconnectWaitMs'> & { log: Log },
  { notes, watermark }: { notes: ProbeNotes; watermark: Watermark },
  told: () => Told
): Shards {
  return new Shards({
    keys,
    owners: slotOwners(executor.client),
    probe: async (key, asked) => ({
      ...(await notes.of(key, () => probe(executor, keys, key, { watermark, asked }))),
      losses: watermark.losses(key.key)
    }),
    recover: async (part, lostItsData, probes) => {
      const sinceMs = lostItsData ? -Infinity : watermark.sinceMs(probes.map(({ key }) => key))
      const sum = await told().replay.run(part, sinceMs)
      if (sum.ended + sum.restored > 0) log.info(sum, 'wrote to Redis what it missed')
    },
    settle: async (part) => await told().replay.settle(part),
    onKnown: ({ generations }) => {
      told().store.generation = generations[keys.generation]
    },
    onChange: ({ breaker, size }, cause) => {
      const slots = keys.cluster && { slots: size }
      if (breaker.open) {
        log.warn(
          { err: cause, outage_mode: mode, ...slots },
          keys.cluster
            ? 'a part of Redis is down: deciding without it'
            : 'Redis is down: deciding without it'
        )
      } else log.info({ ...slots }, 'Redis works: asking it again')
    }
  })
}
