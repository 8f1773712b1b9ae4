/** A user's count, as the API shows it. */
import type { Count } from '../../schemas/counts.ts'
import type { LimitInForce } from '../limits/limit-value.ts'

/** Puts a limit and the sessions that are up side by side. */
export function toCount (
  { username, limit, unlimited }: LimitInForce,
  leases: number,
  external: number
): Count {
  const count = leases + external
  return {
    username,
    count,
    limit,
    available: unlimited ? null : Math.max(0, limit - count),
    leases,
    external
  }
}
