import type { Check } from './check-store.ts'
import { onRedis } from './redis-checks.ts'

const n1 = { node: 'n1' }
const n2 = { node: 'n2' }
const bound1 = { ...n1, boundTo: 'n1' }
const bound2 = { ...n2, boundTo: 'n2' }
/** A release that names no node, by a caller that is bound to one. */
const by2 = { boundTo: 'n2' }

/** Promises about callers that are bound to a switch node. */
export const boundChecks: Record<string, Check> = {
  'a bound caller touches no session of another node': onRedis(async (store, is) => {
    await store.acquire('ann', 's0', n1)
    is(await store.acquire('ann', 's0', bound2), 'forbidden')
    is(await store.acquire('bob', 's0', bound2), 'forbidden')
    is(await store.renew('ann', 's0', bound2), 'forbidden')
    is(await store.renew('bob', 's0', bound2), 'forbidden')
    is(await store.release('s0', 'ann', by2), 'forbidden')
    is(await store.release('s0', undefined, by2), 'forbidden')
    is(await store.release('s0', 'bob', by2), 'forbidden')
    const sessions = [{ username: 'ann', sessionId: 's0', ...by2 }]
    is(await store.report('n2', 1, [], { sessions }), 'forbidden')
    is(await store.sessions('ann'), ['s0'])
    is((await store.view('s0'))?.node, 'n1')
    is(await store.acquire('ann', 's0', bound1), 'refreshed 1/2')
    is(await store.acquire('bob', 's0', bound1), 'conflict')
    is(await store.renew('ann', 's0', bound1), 'renewed')
    is(await store.release('s0', 'ann', { boundTo: 'n1' }), 'released')
    is(await store.acquire('ann', 's0', n2), 'ended')
  }),
  'an unknown id that a bound caller ends has ended for its node': onRedis(async (store, is) => {
    is(await store.release('s0', 'ann', by2), 'unknown')
    is(await store.acquire('ann', 's0', n2), 'ended')
    is(await store.renew('ann', 's0', n2), 'ended')
    is(await store.acquire('ann', 's0', n1), 'admitted 1/2')
    await store.release('s1', 'ann', by2)
    is(await store.renew('ann', 's1', n1), 'reregistered')
  }),
  'an end for one node becomes one for all nodes, and not the reverse': onRedis(
    async (store, is) => {
      await store.release('s0', 'ann', { ...by2, attempt: 2 })
      await store.release('s0', 'ann', { ...by2, attempt: 3 })
      is(await store.acquire('ann', 's0', { ...n2, attempt: 3 }), 'ended')
      await store.release('s0', 'ann', { attempt: 1 })
      is(await store.acquire('ann', 's0', { ...n1, attempt: 3 }), 'ended')
      await store.release('s0', 'ann', { ...by2, attempt: 9 })
      is(await store.acquire('ann', 's0', { ...n1, attempt: 3 }), 'ended')
      is(await store.acquire('ann', 's0', { ...n1, attempt: 4 }), 'admitted 1/2')
      await store.release('s1', 'ann', { ...by2, attempt: 1 })
      await store.release('s1', 'ann', { boundTo: 'n1', attempt: 9 })
      is(await store.acquire('ann', 's1', { ...n1, attempt: 1 }), 'admitted 2/2')
    }
  ),
  'a call that lapsed is left to its own node': onRedis(async (store, is) => {
    await store.acquire('ann', 's0', { ...n1, details: { from: 'a' } })
    await store.pass(64)
    is(await store.release('s0', 'ann', by2), 'unknown')
    is(await store.renew('ann', 's0', bound1), 'reregistered')
    is((await store.view('s0'))?.from, 'a')
    await store.pass(64)
    is(await store.acquire('ann', 's0', bound2), 'admitted 1/2')
  })
}
