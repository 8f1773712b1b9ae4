/** A policy in etcd, where Voice Ferry keeps its configuration: JSON under one key, with the members of the API. */
import { POLICY_FIELDS, type Policy } from '../../schemas/policy.ts'
import { storeUnavailable } from '../errors.ts'
import type { EtcdClient } from '../etcd-client.ts'
import type { Oddities } from '../oddities.ts'
import { InvalidPolicyError, type PolicySource } from './policy.ts'

/** How long one question to etcd may take, in milliseconds: so that a change is in force everywhere within a second. */
const DEADLINE_MS = 400
/** How often a change is tried when others change the policy at the same time. */
const TRIES = 5

/**
 * Keeps the policy in etcd. What is missing falls back to the settings; a value that cannot be used is noted, and
 * refused as a whole, so that a slip of the pen changes nothing.
 * @param defaults - what the settings say, for what is not stored
 */
export function etcdPolicySource (etcd: EtcdClient, key: string, defaults: Policy, oddities: Oddities): PolicySource {
  const get = async () => await etcd.get(key, AbortSignal.timeout(DEADLINE_MS))
  return {
    async read () {
      const { value } = await get()
      return { ...defaults, ...checked(value, key, oddities) }
    },
    async update (change) {
      try {
        for (let i = 0; i < TRIES; i++) {
          const { value, revision } = await get()
          const stored = { ...orNothing(value), ...change }
          const put = await etcd.putIfUnchanged(key, JSON.stringify(stored), revision, AbortSignal.timeout(DEADLINE_MS))
          if (put) return { ...defaults, ...stored }
        }
      } catch (error) {
        throw storeUnavailable(error)
      }
      throw storeUnavailable(new Error(`${key} was changed by others ${TRIES} times meanwhile`))
    }
  }
}

function checked (text: string | undefined, key: string, oddities: Oddities): Partial<Policy> {
  try {
    return parse(text)
  } catch (error) {
    oddities.note('etcd_policy_without_meaning', key)
    throw error
  }
}

/** What is stored, for a change on top of it; what cannot be used is replaced. */
function orNothing (text: string | undefined): Partial<Policy> {
  try {
    return parse(text)
  } catch (error) {
    if (error instanceof InvalidPolicyError) return {}
    throw error
  }
}

/** @throws InvalidPolicyError when the text is no policy; members that are none of a policy's are passed over */
function parse (text: string | undefined): Partial<Policy> {
  if (text === undefined) return {}
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new InvalidPolicyError('not JSON', { cause })
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new InvalidPolicyError('not an object')
  const policy: Record<string, unknown> = {}
  for (const [field, isValid] of Object.entries(POLICY_FIELDS)) {
    const value = (json as Record<string, unknown>)[field]
    if (value === undefined) continue
    if (!isValid(value)) throw new InvalidPolicyError(`${field} cannot be used`)
    policy[field] = value
  }
  return policy
}
