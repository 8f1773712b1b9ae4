import { randomUUID } from 'node:crypto'
import { loadConfig } from '../../config.ts'
import type { PolicyChange } from '../../schemas/policy.ts'
import { redisStores } from '../../services/backends/redis-stores.ts'
import { MemoryLimitsStore } from '../../services/limits/memory-limits-store.ts'
import { memoryPolicySource } from '../../services/policy/memory-policy-source.ts'
import { PolicyCache } from '../../services/policy/policy.ts'
import { connectRedis } from '../../services/redis/client.ts'
import { RedisExecutor } from '../../services/redis/executor.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import { LeaseTable } from '../../services/sessions/memory/lease-table.ts'
import { MemorySessionLists } from '../../services/sessions/memory/memory-session-lists.ts'
import { MemorySessionStore } from '../../services/sessions/memory/memory-session-store.ts'
import { ENDED_MEMORY_MS } from '../../services/sessions/timing.ts'
import { MalformedValues } from '../../services/util/malformed-values.ts'
import { inOne, wholeStores } from '../helpers/one-store.ts'
import type { Teardown } from '../helpers/process.ts'
import { waitFor } from '../helpers/wait.ts'
import type { Twin } from './contract.ts'

/** A store on Redis, and what it has written there. */
export interface RedisTwin extends Twin {
  /** What all its keys begin with. */
  prefix: string
  /** Its keys, without that. */
  keys(): Promise<string[]>
}

/** A store in memory, on a clock that only `pass` and `age` move. */
export async function startInMemory (change: PolicyChange = {}): Promise<Twin> {
  let now = Date.parse('2026-11-22T10:00:00Z')
  const clock = () => now
  const advance = async (ms: number) => {
    now += ms
  }
  const policy = policyOf(change)
  const limits = new MemoryLimitsStore(() => policy.current.max_sessions_per_user, clock)
  const table = new LeaseTable(clock, ENDED_MEMORY_MS)
  const lists = new MemorySessionLists(table, limits)
  return {
    sessions: inOne(new MemorySessionStore(limits, policy, table), lists, lists),
    limits,
    policy,
    partitioned: false,
    now: async () => now,
    pass: advance,
    age: async (_id, ms) => await advance(ms)
  }
}

/**
 * A store on a Redis that others use, too, under a key prefix of its own.
 * @param options.through - what the store sends its commands by; `executor` serves the test itself
 * @param options.prefix - that of another store, to share its keys
 */
export async function startOnRedis (
  executor: RedisExecutor,
  change: PolicyChange = {},
  { through = executor, prefix = `${randomUUID()}:` } = {}
): Promise<RedisTwin> {
  const { client } = executor
  const [keys, policy, malformed] = [new RedisKeys(prefix), policyOf(change), new MalformedValues()]
  return {
    ...wholeStores(redisStores({ executor: through, keys, policy, malformed })),
    policy,
    partitioned: false,
    ...clockOf(executor),
    async age (id, ms) {
      const key = keys.lease('', id)
      await client.pexpire(key, (await client.pttl(key)) - ms)
    },
    prefix,
    keys: async () =>
      (await client.keys(`${prefix}*`)).map((key) => key.slice(prefix.length)).sort()
  }
}

/** A store on a Cluster that others use, too, under a key prefix of its own. */
export async function startOnCluster (
  executor: RedisExecutor,
  change: PolicyChange = {}
): Promise<Twin & { keys: RedisKeys }> {
  const { client } = executor
  const keys = new RedisKeys(`${randomUUID()}:`, true)
  const [policy, malformed] = [policyOf(change), new MalformedValues()]
  return {
    ...wholeStores(redisStores({ executor, keys, policy, malformed })),
    policy,
    partitioned: true,
    keys,
    ...clockOf(executor),
    async age (id, ms) {
      const key = keys.lease((await client.get(keys.holder(id))) ?? '', id)
      await client.pexpire(key, (await client.pttl(key)) - ms)
    }
  }
}

/** Runs commands on a Redis by a client as the service makes it, with more time than there. */
export async function executorOn (
  t: Teardown,
  env: NodeJS.ProcessEnv
): Promise<RedisExecutor> {
  const config = loadConfig({ REDIS_TIMEOUT_MS: '10000', ...env })
  const client = connectRedis(config, {})
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  await client.connect()
  return new RedisExecutor(client, config.REDIS_TIMEOUT_MS)
}

/** The time by Redis' clock, and how to wait until some of it has gone by. */
function clockOf (executor: RedisExecutor): Pick<Twin, 'now' | 'pass'> {
  const now = async () => await executor.nowMs('')
  return {
    now,
    async pass (ms) {
      const until = (await now()) + ms
      await waitFor(async () => (await now()) >= until, {
        what: `${ms} ms to pass on Redis`,
        deadlineMs: ms + 30_000,
        everyMs: 2
      })
    }
  }
}

function policyOf (change: PolicyChange): PolicyCache {
  const policy = {
    enabled: true,
    max_sessions_per_user: 5,
    session_limit_action: 'reject' as const,
    ...change
  }
  return new PolicyCache(memoryPolicySource(policy), policy)
}
