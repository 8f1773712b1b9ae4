import { MemoryLimitsStore } from '../../services/limits/memory-limits-store.ts'
import { memoryPolicySource } from '../../services/policy/memory-policy-source.ts'
import { PolicyCache } from '../../services/policy/policy.ts'
import type { Policy } from '../../schemas/policy.ts'
import { MemorySessionStore } from '../../services/sessions/memory/memory-session-store.ts'
import { MemorySessionLists } from '../../services/sessions/memory/memory-session-lists.ts'
import { LeaseTable } from '../../services/sessions/memory/lease-table.ts'
import { ENDED_MEMORY_MS } from '../../services/sessions/timing.ts'
import { inOne, type SessionStore } from '../helpers/one-store.ts'
import type { LimitsStore } from '../../services/limits/limits-store.ts'

/** A store under test, with a time that can be moved on. Its time of 0 is when it was made. */
export interface Subject {
  sessions: SessionStore
  limits: LimitsStore
  policy: PolicyCache
  /** Lets time go by. */
  pass(ms: number): Promise<void>
  /** The store's time as it says it, in milliseconds since the epoch, as time since it was made. */
  sinceStart(ms: number): number
  /** The way back. */
  storeTime(sinceStartMs: number): number
  /**
   * How far the store's times may lie behind what they would be if no command took any time; 0 for
   * a clock that stands still.
   */
  driftMs: number
}

/** A store in memory, on a clock that only `pass` moves. */
export function memorySubject (policyAtFirst: Policy): Subject {
  const base = Date.parse('2026-01-01T00:00:00Z')
  let now = base
  const policy = new PolicyCache(memoryPolicySource(policyAtFirst), policyAtFirst)
  const limits = new MemoryLimitsStore(() => policy.current.max_sessions_per_user, () => now)
  const table = new LeaseTable(() => now, ENDED_MEMORY_MS)
  const lists = new MemorySessionLists(table, limits)
  return {
    sessions: inOne(new MemorySessionStore(limits, policy, table), lists, lists),
    limits,
    policy,
    pass: async (ms) => {
      now += ms
    },
    sinceStart: (ms) => ms - base,
    storeTime: (ms) => ms + base,
    driftMs: 0
  }
}
