/**
 * A policy in etcd, where Voice Ferry keeps its configuration: JSON under one key, with the members
 * of the API.
 */
import { POLICY_FIELDS, type Policy } from '../../schemas/policy.ts'
import { storeUnavailable } from '../errors.ts'
import type { EtcdClient } from '../etcd/etcd-client.ts'
import type { MalformedValues } from '../util/malformed-values.ts'
import { InvalidPolicyError, type PolicySource } from './policy.ts'

/**
 * How long one question to etcd may take, in milliseconds: so that a change is in force everywhere
 * within a second.
 */
const DEADLINE_MS = 400
/** How often a change is tried when others change the policy at the same time. */
const TRIES = 5

/**
 * Keeps the policy in etcd. What is missing falls back to the settings; a value that cannot be used
 * is noted once, and refused as a whole, so that a slip of the pen changes nothing.
 * @param defaults - what the settings say, for what is not stored
 */
export function etcdPolicySource (
  etcd: EtcdClient,
  key: string,
  defaults: Policy,
  malformed: MalformedValues
): PolicySource {
  const get = async () => await etcd.get(key, AbortSignal.timeout(DEADLINE_MS))
  const put = async (value: string, revision: number) =>
    await etcd.putIfUnchanged(key, value, revision, AbortSignal.timeout(DEADLINE_MS))
  let lastGood: StoredPolicy = {}
  let notedRevision: number | undefined
  return {
    async read () {
      const { value, revision } = await get()
      try {
        lastGood = parse(value)
      } catch (error) {
        if (revision !== notedRevision) malformed.note('etcd_policy_without_meaning', key)
        notedRevision = revision
        throw error
      }
      return { ...defaults, ...policyIn(lastGood) }
    },
    async update (change) {
      try {
        for (let i = 0; i < TRIES; i++) {
          const { value, revision } = await get()
          const stored = { ...parsedOr(lastGood, value), ...change }
          if (await put(JSON.stringify(stored), revision)) {
            lastGood = stored
            return { ...defaults, ...policyIn(stored) }
          }
        }
      } catch (error) {
        throw storeUnavailable(error)
      }
      throw storeUnavailable(new Error(`${key} was changed by others ${TRIES} times meanwhile`))
    }
  }
}

/** A policy as it is stored: members that are none of ours are others', and kept. */
type StoredPolicy = Partial<Policy> & Record<string, unknown>

/**
 * What is stored, for a change on top of it; in place of what cannot be used, what could be used
 * last.
 */
function parsedOr (lastGood: StoredPolicy, text: string | undefined): StoredPolicy {
  try {
    return parse(text)
  } catch (error) {
    if (error instanceof InvalidPolicyError) return lastGood
    throw error
  }
}

/** The members that are a policy's. */
function policyIn (stored: StoredPolicy): Partial<Policy> {
  return Object.fromEntries(
    Object.keys(POLICY_FIELDS).flatMap((field) =>
      stored[field] === undefined ? [] : [[field, stored[field]]]
    )
  )
}

/** @throws InvalidPolicyError when the text is no policy */
function parse (text: string | undefined): StoredPolicy {
  if (text === undefined) return {}
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new InvalidPolicyError('not JSON', { cause })
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new InvalidPolicyError('not an object')
  }
  const stored = json as StoredPolicy
  for (const [field, isValid] of Object.entries(POLICY_FIELDS)) {
    if (stored[field] !== undefined && !isValid(stored[field])) {
      throw new InvalidPolicyError(`${field} cannot be used`)
    }
  }
  return stored
}
