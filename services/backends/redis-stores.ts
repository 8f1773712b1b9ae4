/** The stores on Redis by themselves, without what keeps them going while Redis is away. */
import { RedisLimitLists } from '../limits/redis-limit-lists.ts'
import { RedisLimitsStore } from '../limits/redis-limits-store.ts'
import { StoredLimits } from '../limits/stored-limits.ts'
import type { PolicyCache } from '../policy/policy.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import type { Reach } from '../redis/reach.ts'
import { WalkTurns } from '../redis/walk-turns.ts'
import { RedisClusterSessionStore } from '../sessions/redis/redis-cluster-session-store.ts'
import { RedisSessionLists } from '../sessions/redis/redis-session-lists.ts'
import { RedisSessionReads } from '../sessions/redis/redis-session-reads.ts'
import { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import { RedisSweep } from '../sessions/redis/redis-sweep.ts'
import type { OnSwept } from '../sessions/session-lists.ts'
import type { MalformedValues } from '../util/malformed-values.ts'

/** What the stores are made of. */
export interface RedisParts {
  executor: RedisExecutor
  /** For lists and sweeps; the same one where nothing guards them. */
  guarded?: RedisExecutor
  keys: RedisKeys
  /** For keys that may be out while users' are not; all alike by default. */
  reach?: Reach
  policy: PolicyCache
  malformed: MalformedValues
  onSwept?: OnSwept
}

/** Builds the stores on one server, or on a Cluster. */
export function redisStores (parts: RedisParts) {
  const { executor, guarded = executor, keys, reach, policy, malformed, onSwept } = parts
  const turns = new WalkTurns()
  const stored = new StoredLimits(keys, malformed, () => policy.current.max_sessions_per_user)
  const reads = new RedisSessionReads(executor, keys, stored, malformed)
  const Store = executor.isCluster ? RedisClusterSessionStore : RedisSessionStore
  const sessions = new Store(executor, keys, policy, reads, reach)
  return {
    limits: new RedisLimitsStore(executor, keys, stored),
    limitLists: new RedisLimitLists(guarded, keys, stored, turns),
    sessions,
    sessionLists: new RedisSessionLists(
      guarded,
      keys,
      new RedisSessionReads(guarded, keys, stored, malformed),
      new RedisLimitsStore(guarded, keys, stored),
      turns
    ),
    sweeper: new RedisSweep(guarded, keys, sessions, onSwept)
  }
}
