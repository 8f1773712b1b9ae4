/** A policy that lives as long as the process. */
import type { Policy } from '../../schemas/policy.ts'
import type { PolicySource } from './policy.ts'

/** Keeps the policy in memory, beginning with the given one. */
export function memoryPolicySource (initial: Policy): PolicySource {
  let policy = initial
  return {
    async read () {
      return policy
    },
    async update (change) {
      return (policy = { ...policy, ...change })
    }
  }
}
