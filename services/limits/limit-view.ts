/** Limits as the API shows them: the one place that knows the core's names and the wire's. */
import type { Limit } from '../../schemas/limits.ts'
import { toTimestamp } from '../clock.ts'
import type { LimitInForce } from './limit-value.ts'

/** A limit as the API shows it; what does not apply is left out. */
export function limitView ({ expiresAtMs, staleMs, ...limit }: LimitInForce): Limit {
  return {
    ...limit,
    ...(expiresAtMs !== undefined && { expires_at: toTimestamp(expiresAtMs) }),
    ...(staleMs !== undefined && { stale_ms: staleMs })
  }
}

/** A temporary limit that was set, as the API answers it. */
export function temporaryLimitView (username: string, limit: number, expiresAtMs: number) {
  return { success: true, username, limit, expires_at: toTimestamp(expiresAtMs) }
}
