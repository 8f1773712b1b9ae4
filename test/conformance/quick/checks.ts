import { attemptChecks } from './attempt-checks.ts'
import { boundChecks } from './bound-checks.ts'
import { barChecks } from './bar-checks.ts'
import type { Check } from './check-store.ts'
import { leaseChecks } from './lease-checks.ts'
import { limitChecks } from './limit-checks.ts'
import { nodeChecks } from './node-checks.ts'
import { partChecks } from './part-checks.ts'
import { redisChecks } from './redis-checks.ts'

/** Every promise of a session store, each with a short check. */
export const checks: Record<string, Check> = {
  ...leaseChecks,
  ...attemptChecks,
  ...limitChecks,
  ...barChecks,
  ...nodeChecks,
  ...partChecks,
  ...boundChecks,
  ...redisChecks
}
