/**
 * The policy in force: read from where it is kept, at hand without waiting, and the same on every
 * replica within a second.
 */
import type { Policy, PolicyChange } from '../../schemas/policy.ts'
import { repeat, type Repeated } from '../util/repeat.ts'

/** Where a policy is kept. */
export interface PolicySource {
  /** The policy as it is stored, what is missing filled up from the settings. */
  read(): Promise<Policy>
  /** Stores a change and returns the whole policy that is in force then. */
  update(change: PolicyChange): Promise<Policy>
}

/** A stored policy that cannot be used. The one before it stays in force. */
export class InvalidPolicyError extends Error {
  /** The one before it, where it is known from elsewhere than from an earlier reading. */
  before: Policy | undefined
}

/**
 * How sure the policy in force is: as stored, as last read from a source that is away, or as it was
 * before a value that cannot be used.
 */
export type PolicyStatus = 'current' | 'stale' | 'invalid'

/** How often a replica reads the policy anew, in milliseconds: well within the promised second. */
export const POLICY_REFRESH_MS = 500

/** Holds the last known policy, so that no request has to wait for it. */
export class PolicyCache {
  /** Told of each change of the status. */
  onStatus: (status: PolicyStatus) => void = () => {}
  #source: PolicySource
  #current: Policy
  #told = ''
  #writes = 0
  #refreshing: Repeated | undefined
  #status: PolicyStatus = 'current'
  #onChange: (policy: Policy) => void

  /**
   * @param source - where the policy is kept
   * @param initial - what holds until the source has answered once
   * @param onChange - told of the policy at the start, and of each that differs from the one before
   */
  constructor (
    source: PolicySource,
    initial: Policy,
    onChange: (policy: Policy) => void = () => {}
  ) {
    this.#source = source
    this.#current = initial
    this.#onChange = onChange
  }

  /** How sure the policy in force is. */
  get status (): PolicyStatus {
    return this.#status
  }

  /** The policy in force. */
  get current (): Policy {
    return this.#current
  }

  /**
   * Changes the policy where it is kept, and here at once.
   * @throws ServiceError `store_unavailable` when it could not be stored
   */
  async update (change: PolicyChange): Promise<Policy> {
    const policy = await this.#source.update(change)
    this.#writes++
    this.#take(policy)
    return policy
  }

  /** Reads the policy anew. A change made here meanwhile is newer than what was read, and stays. */
  async refresh (): Promise<void> {
    const writes = this.#writes
    const policy = await this.#source.read().catch((error: unknown) => {
      const isInvalid = error instanceof InvalidPolicyError
      this.#setStatus(isInvalid ? 'invalid' : 'stale')
      if (isInvalid && error.before !== undefined) this.#take(error.before)
      throw error
    })
    this.#setStatus('current')
    if (writes === this.#writes) this.#take(policy)
  }

  /**
   * Reads the policy now and from then on; while its source does not answer, the last known one
   * holds. Resolves after the first reading, whatever came of it.
   */
  async start (onError: (error: unknown) => void): Promise<void> {
    const work = async () => await this.refresh()
    this.#refreshing = repeat({ work, onError, everyMs: POLICY_REFRESH_MS })
    await this.#refreshing.first
    this.#tell()
  }

  /** Ends the reading. */
  stop (): void {
    this.#refreshing?.stop()
  }

  #setStatus (status: PolicyStatus): void {
    if (status === this.#status) return
    this.#status = status
    this.onStatus(status)
  }

  #take (policy: Policy): void {
    this.#current = policy
    this.#tell()
  }

  #tell (): void {
    const policy = JSON.stringify(this.#current)
    if (policy === this.#told) return
    this.#told = policy
    this.#onChange(this.#current)
  }
}
