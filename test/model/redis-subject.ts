import { readFileSync } from 'node:fs'
import type { Policy } from '../../schemas/policy.ts'
import { RedisLimitsStore } from '../../services/limits/redis-limits-store.ts'
import { Oddities } from '../../services/oddities.ts'
import { PolicyCache } from '../../services/policy/policy.ts'
import { redisPolicySource } from '../../services/policy/redis-policy-source.ts'
import type { RedisGate } from '../../services/redis/redis-gate.ts'
import { RedisKeys } from '../../services/redis/redis-keys.ts'
import { RedisSessionStore } from '../../services/sessions/redis-session-store.ts'
import { IDS, NODES, USERS } from './commands.ts'
import type { Subject } from './subject.ts'

const age = readFileSync(new URL('age.lua', import.meta.url), 'utf8')

/**
 * A store on Redis, under a prefix of its own. The clock of Redis cannot be moved on, so all that the store has written
 * is made older instead: to whoever looks at it that is the same.
 */
export async function redisSubject (gate: RedisGate, prefix: string, policyAtFirst: Policy): Promise<Subject> {
  const [keys, oddities] = [new RedisKeys(prefix), new Oddities()]
  const policy = new PolicyCache(redisPolicySource(gate, keys, policyAtFirst, oddities), policyAtFirst)
  const limits = new RedisLimitsStore(gate, keys, policy, oddities)
  const written = [
    keys.nodes,
    ...USERS.flatMap((user) => [keys.user('user-leases', user), keys.user('user-temporary-limit', user)]),
    ...IDS.map((id) => keys.lease('', id)),
    ...NODES.map((node) => keys.nodeLeases(node))
  ]
  const base = await gate.nowMs()
  let passed = 0
  return {
    sessions: new RedisSessionStore(gate, keys, policy, limits, oddities),
    limits,
    policy,
    async pass (ms) {
      passed += ms
      await gate.client.eval(age, written.length, ...written, ms)
    },
    sinceStart: (ms) => ms - base + passed,
    storeTime: (ms) => ms + base - passed,
    driftMs: 11_000
  }
}
