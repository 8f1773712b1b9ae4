import { readFileSync } from 'node:fs'
import type { Policy } from '../../schemas/policy.ts'
import { redisStores } from '../../services/backends/redis-stores.ts'
import { MalformedValues } from '../../services/util/malformed-values.ts'
import { PolicyCache } from '../../services/policy/policy.ts'
import { redisPolicySource } from '../../services/policy/redis-policy-source.ts'
import type { RedisExecutor } from '../../services/redis/executor.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import { wholeStores } from '../helpers/one-store.ts'
import { IDS, NODES, USERS } from './commands.ts'
import type { Subject } from './subject.ts'

const age = readFileSync(new URL('age.lua', import.meta.url), 'utf8')

/**
 * A store on Redis, under a prefix of its own. The clock of Redis cannot be moved on, so all that
 * the store has written is made older instead: to whoever looks at it that is the same.
 */
export async function redisSubject (
  executor: RedisExecutor,
  prefix: string,
  policyAtFirst: Policy
): Promise<Subject> {
  const [keys, malformed] = [new RedisKeys(prefix), new MalformedValues()]
  const policy = new PolicyCache(
    redisPolicySource(executor, keys, policyAtFirst, malformed),
    policyAtFirst
  )
  const written = [
    ...NODES.map((node) => keys.nodeEpoch(node)),
    ...USERS.flatMap((user) => [
      keys.user('user-leases', user),
      keys.user('user-temporary-limit', user),
      keys.user('user-bar', user)
    ]),
    ...IDS.map((id) => keys.lease('', id)),
    ...NODES.map((node) => keys.nodeLeases(node))
  ]
  const base = await executor.nowMs('')
  let passed = 0
  return {
    ...wholeStores(redisStores({ executor, keys, policy, malformed })),
    policy,
    async pass (ms) {
      passed += ms
      await executor.client.eval(age, written.length, ...written, ms)
    },
    sinceStart: (ms) => ms - base + passed,
    storeTime: (ms) => ms + base - passed,
    driftMs: 11_000
  }
}
