/** What the mirror makes of leases that have lapsed, on a manual clock. */
import t from 'tap'
import type { Policy } from '../../schemas/policy.ts'
import { MemoryLimitsStore } from '../../services/limits/memory-limits-store.ts'
import { LeaseMirror } from '../../services/outage/lease-mirror.ts'
import { memoryPolicySource } from '../../services/policy/memory-policy-source.ts'
import { PolicyCache } from '../../services/policy/policy.ts'
import { LeaseTable } from '../../services/sessions/memory/lease-table.ts'
import { ask, TTL } from '../conformance/words.ts'
import { ManualClock } from '../helpers/manual-clock.ts'

const policy: Policy = {
  enabled: true,
  max_sessions_per_user: 2,
  session_limit_action: 'reject'
}

t.test('that an earlier attempt has ended ends no later one that lapsed', async (t) => {
  const clock = new ManualClock()
  const limits = new MemoryLimitsStore(() => 2, clock.now)
  const cache = new PolicyCache(memoryPolicySource(policy), policy)
  const table = new LeaseTable(clock.now, TTL, () => {}, 10, true)
  const mirror = new LeaseMirror(limits, cache, table)
  await mirror.acquire(ask('alice', 'call', { attempt: 9 }))
  await clock.pass(TTL + 1)
  mirror.forget('call', { username: 'alice', attempt: 0 })
  const late = await mirror.acquire(ask('alice', 'call'))
  t.strictSame(late, { outcome: 'ended' })
  const renewal = { sessionId: 'call', username: 'alice', attempt: 9 }
  t.match(await mirror.renew([renewal], TTL), [{ outcome: 'reregistered' }])
})
