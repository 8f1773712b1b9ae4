/** Everything in memory: for a first try and for development. Nothing outlives the process. */
import { MemoryLimitsStore } from '../limits/memory-limits-store.ts'
import { memoryPolicySource } from '../policy/memory-policy-source.ts'
import { LeaseTable } from '../sessions/memory/lease-table.ts'
import { MemorySessionLists } from '../sessions/memory/memory-session-lists.ts'
import { MemorySessionStore } from '../sessions/memory/memory-session-store.ts'
import { ENDED_MEMORY_MS } from '../sessions/timing.ts'
import { sweptTo, type Backend, type BackendOptions } from './backend.ts'

/** Builds the stores in memory. */
export function memoryBackend (options: BackendOptions): Backend {
  const { clock, defaults, policyFrom, outcomes } = options
  const policy = policyFrom(memoryPolicySource(defaults))
  const limits = new MemoryLimitsStore(() => policy.current.max_sessions_per_user, clock)
  const table = new LeaseTable(clock, ENDED_MEMORY_MS, sweptTo(outcomes))
  const lists = new MemorySessionLists(table, limits)
  return {
    policy,
    limits,
    limitLists: limits,
    sessions: new MemorySessionStore(limits, policy, table),
    sessionLists: lists,
    sweeper: lists,
    requestCount: null,
    latencyMs: null,
    isPartial: () => false,
    start: async () => {},
    stop: () => {}
  }
}
