/**
 * A policy in etcd, where Voice Ferry keeps its configuration: JSON under one key, with the members
 * of the API.
 */
import { POLICY_FIELDS, type Policy } from '../../schemas/policy.ts'
import { outcomeUnknown, storeUnavailable } from '../errors.ts'
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
/** How many versions back the last usable value is looked for. */
const VERSIONS_BACK = 20

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
  const put = async (value: string, revision: number) =>
    await etcd.putIfUnchanged(key, value, revision, AbortSignal.timeout(DEADLINE_MS))
  const stored = new LastUsable(etcd, key, malformed)
  const whole = (policy: StoredPolicy): Policy => ({ ...defaults, ...policyIn(policy) })
  return {
    async read () {
      try {
        return whole((await stored.read()).policy)
      } catch (error) {
        const { before } = stored
        if (error instanceof InvalidPolicyError) error.before = before && whole(before)
        throw error
      }
    },
    async update (change) {
      let isSent = false
      try {
        for (let i = 0; i < TRIES; i++) {
          const { policy, revision } = await stored.readOrLast()
          const changed = { ...policy, ...change }
          isSent = true
          if (await put(JSON.stringify(changed), revision)) {
            stored.before = changed
            return whole(changed)
          }
          isSent = false
        }
      } catch (error) {
        throw isSent ? outcomeUnknown(error) : storeUnavailable(error)
      }
      throw storeUnavailable(new Error(`${key} was changed by others ${TRIES} times meanwhile`))
    }
  }
}

/** Reads the stored policy, and knows the last one that could be used. */
class LastUsable {
  /** The last one that could be used, where one is known. */
  before: StoredPolicy | undefined
  #etcd: EtcdClient
  #key: string
  #malformed: MalformedValues
  #notedRevision: number | undefined

  constructor (etcd: EtcdClient, key: string, malformed: MalformedValues) {
    this.#etcd = etcd
    this.#key = key
    this.#malformed = malformed
  }

  /** @throws InvalidPolicyError when it cannot be used */
  async read (): Promise<{ policy: StoredPolicy; revision: number }> {
    const { value, revision } = await this.#get()
    try {
      this.before = parse(value)
      return { policy: this.before, revision }
    } catch (error) {
      if (revision !== this.#notedRevision) {
        this.#malformed.note('etcd_policy_without_meaning', this.#key)
        this.#notedRevision = revision
        // A process that began after the slip of the pen goes by what the others go by.
        this.before ??= await lastUsable(this.#etcd, this.#key, revision)
      }
      throw error
    }
  }

  /** What is stored, for a change on top of it, or the last usable where it cannot be used. */
  async readOrLast (): Promise<{ policy: StoredPolicy; revision: number }> {
    const { value, revision } = await this.#get()
    return { policy: parsedOr(this.before ?? {}, value), revision }
  }

  async #get () {
    return await this.#etcd.get(this.#key, AbortSignal.timeout(DEADLINE_MS))
  }
}

/** The last usable value before a revision, as far as etcd still knows. */
async function lastUsable (
  etcd: EtcdClient,
  key: string,
  revision: number
): Promise<StoredPolicy | undefined> {
  let at = revision - 1
  for (let i = 0; i < VERSIONS_BACK && at > 0; i++) {
    const signal = AbortSignal.timeout(DEADLINE_MS)
    const found = await etcd.get(key, signal, at).catch(() => undefined)
    if (found === undefined) return undefined
    try {
      return parse(found.value)
    } catch {
      at = found.revision - 1
    }
  }
  return undefined
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
