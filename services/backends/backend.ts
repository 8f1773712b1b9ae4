/** What a backend is: everything that the service keeps, wherever it keeps it. */
import type { Policy } from '../../schemas/policy.ts'
import type { Clock } from '../clock.ts'
import type { LimitLists, LimitsStore } from '../limits/limits-store.ts'
import type { Warnings } from '../health/warnings.ts'
import type { Log } from '../log.ts'
import type { PolicyCache, PolicySource } from '../policy/policy.ts'
import type { RedisRequestCount } from '../rate-limit/redis-request-count.ts'
import type { Outcomes } from '../sessions/outcomes.ts'
import type { SessionReader, SessionVerbs } from '../sessions/session-store.ts'
import type { OnSwept, SessionLists, Sweeper } from '../sessions/session-lists.ts'
import type { MalformedValues } from '../util/malformed-values.ts'

/** What every backend is built from; one that needs more takes it besides. */
export interface BackendOptions {
  clock: Clock
  /** What the settings say, where no policy is stored. */
  defaults: Policy
  /** Makes the policy in force; the backend offers a source, which the settings may outrank. */
  policyFrom: (source: PolicySource) => PolicyCache
  malformed: MalformedValues
  /** Told of what happens to sessions without a caller: expiry and replay. */
  outcomes: Outcomes
  log: Log
  /** Told of what an operator has to mend. */
  warnings: Warnings
}

/** The stores, and what starts and stops them. */
export interface Backend {
  policy: PolicyCache
  limits: LimitsStore
  limitLists: LimitLists
  sessions: SessionVerbs & SessionReader
  sessionLists: SessionLists
  sweeper: Sweeper
  /** Counts requests for all replicas; null where there is only this one. */
  requestCount: Pick<RedisRequestCount, 'add'> | null
  /**
   * The latency in milliseconds of the server that keeps the data, as last seen; throws while it
   * does not serve. Null where there is no such server.
   */
  latencyMs: (() => number) | null
  /** Whether a part of that server's data cannot be reached, or is not trusted yet. */
  isPartial(): boolean
  /** Resolves when it is known whether the data can be reached. */
  start(): Promise<void>
  stop(): void
}

/** Why a lease was removed. */
const SWEPT_FOR = { expired: 'not renewed in time', released: 'ended before' }

/** Tells observers of leases that a sweep removed. */
export function sweptTo (outcomes: Outcomes): OnSwept {
  return (what, username, sessionIds) => {
    if (!outcomes.observed) return
    const about = { username, node: undefined, by: 'sweep' as const, reason: SWEPT_FOR[what] }
    for (const sessionId of sessionIds) {
      outcomes.tell({ what, sessionId, ...about, degraded: false })
    }
  }
}
