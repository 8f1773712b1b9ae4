/**
 * A policy in one Redis hash, a field a setting, so that two changes of different settings do not
 * undo each other.
 */
import { SESSION_LIMIT_ACTIONS, type Policy } from '../../schemas/policy.ts'
import { parseLimit } from '../limits/limit-value.ts'
import type { MalformedValues } from '../util/malformed-values.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { isWrongType } from '../redis/replies.ts'
import type { PolicySource } from './policy.ts'

/**
 * Keeps the policy in Redis. A field that is missing, or holds what no policy may hold, falls back
 * to the settings.
 * @param defaults - what the settings say, for what is not stored
 */
export function redisPolicySource (
  executor: RedisExecutor,
  keys: RedisKeys,
  defaults: Policy,
  malformed: MalformedValues
): PolicySource {
  const read = async () => {
    const fields = await executor
      .run(executor.client.hgetall(keys.policy))
      .catch((error: unknown) => {
        if (!isWrongType(error)) throw error
        malformed.note('policy_wrong_type', keys.policy)
        return {}
      })
    return policyOf(fields)
  }
  const policyOf = (fields: Record<string, string>) =>
    policyFromFields(fields, defaults, (field) => malformed.note('policy_without_meaning', field))
  return {
    read,
    async update (change) {
      const fields = Object.entries(change).flat().map(String)
      const stored = (await executor.write(
        executor.scripts.updatePolicy([keys.policy], [executor.deadline(), ...fields])
      )) as string[]
      const pairs = stored.flatMap((field, i) => (i % 2 === 0 ? [[field, stored[i + 1]]] : []))
      return policyOf(Object.fromEntries(pairs))
    }
  }
}

/** What each field may hold, as text. */
const meanings: { [F in keyof Policy]: (text: string) => Policy[F] | undefined } = {
  enabled: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
  max_sessions_per_user: (text) => {
    const limit = parseLimit(text)
    return limit === undefined ? undefined : Math.max(0, limit)
  },
  session_limit_action: (text) => SESSION_LIMIT_ACTIONS.find((action) => action === text)
}

/**
 * The policy that stored fields describe; `onMalformed` hears of each field that was passed over.
 */
function policyFromFields (
  fields: Record<string, string>,
  defaults: Policy,
  onMalformed: (field: string) => void
): Policy {
  const policy: Record<string, unknown> = { ...defaults }
  for (const [field, meaning] of Object.entries(meanings)) {
    const text = fields[field]
    if (text === undefined) continue
    const value = meaning(text)
    if (value === undefined) onMalformed(field)
    else policy[field] = value
  }
  return policy as Policy
}
