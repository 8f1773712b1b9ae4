/** Limits as the API shows them: the one place that knows the core's names and the wire's. */
import type { Limit } from '../../schemas/limits.ts'
import { toTimestamp } from '../clock.ts'
import type { Bar } from './bar.ts'
import type { LimitInForce } from './limit-value.ts'

/** A limit as the API shows it; what does not apply is left out. */
export function limitView ({ expiresAtMs, staleMs, bar, ...limit }: LimitInForce): Limit {
  return {
    ...limit,
    barred: bar !== undefined,
    ...(bar !== undefined && { bar: barView(bar) }),
    ...(expiresAtMs !== undefined && { expires_at: toTimestamp(expiresAtMs) }),
    ...(staleMs !== undefined && { stale_ms: staleMs })
  }
}

/** A bar as the API shows it. */
export function barView ({ reason, expiresMs }: Bar) {
  return {
    ...(reason !== '' && { reason }),
    ...(expiresMs !== undefined && { expires_at: toTimestamp(expiresMs) })
  }
}

/** A temporary limit that was set, as the API answers it. */
export function temporaryLimitView (username: string, limit: number, expiresAtMs: number) {
  return { success: true, username, limit, expires_at: toTimestamp(expiresAtMs) }
}
