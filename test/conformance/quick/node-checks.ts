import type { Check } from './check-store.ts'
import { onRedis } from './redis-checks.ts'

/** Promises about the reports of switch nodes. */
export const nodeChecks: Record<string, Check> = {
  'the report of a node is the truth about its sessions': async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1' })
    await store.acquire('ann', 's1', { node: 'n2' })
    await store.acquire('bob', 's2', { node: 'n1' })
    is(
      await store.report('n1', 5, [
        ['bob', 's2'],
        ['cid', 's3'],
        ['cid', 's1']
      ]),
      '1/1/1, s1 conflict'
    )
    is(await store.report('n2', 1, [['ann', 's1']]), '1/0/0')
    is(await store.nodes(), { n1: 2, n2: 1 })
    is(await store.sessions('ann'), ['s1'])
    is(await store.report('n1', 4, []), 'stale, 5 is known')
    is(await store.report('n1', 5, [['bob', 's2']]), '1/0/1')
    is(await store.report('n1', 6, []), '0/0/1')
    is(await store.nodes(), { n1: 0, n2: 1 })
  },
  'a lower epoch is stale for the time to live of the last report': async (store, is) => {
    await store.report('n1', 6, [], { ttlMs: 96_000 })
    await store.pass(64)
    is(await store.report('n1', 4, []), 'stale, 6 is known')
    is(await store.report('n1', 7, [], { ttlMs: 96_000 }), '0/0/0')
    await store.pass(64)
    is(await store.report('n1', 6, []), 'stale, 7 is known')
    await store.pass(64)
    is(await store.report('n1', 4, []), '0/0/0')
    is(await store.report('n1', 3, []), 'stale, 4 is known')
    await store.pass(64)
    is(await store.report('n1', 3, []), '0/0/0')
    await store.pass(86_432)
    is(await store.nodes(), {})
  },
  'a session that its node does not report has no slot, and has not ended': async (store, is) => {
    const known = { node: 'n1', ttlMs: 96_000, details: { from: 'sip:ann@example.net' } }
    await store.acquire('ann', 's0', known)
    await store.pass(32)
    const start = await store.start('s0')
    is(await store.report('n1', 1, []), '0/0/1')
    is([await store.count('ann'), await store.view('s0')], ['0+0/2', null])
    is(await store.report('n1', 1, []), '0/0/0')
    is(await store.report('n1', 1, [['ann', 's0']]), '0/1/0')
    is([(await store.view('s0'))?.from, await store.start('s0')], ['sip:ann@example.net', start])
    is(await store.report('n1', 1, []), '0/0/1')
    is(await store.acquire('bob', 's0'), 'admitted 1/2')
  },
  // The model takes no details in reports.
  'a session that its node calls an emergency becomes one': onRedis(async (store, is) => {
    const details = { from: 'sip:ann@example.net' }
    const seen = async () => {
      const { emergency, attempt, node, from } = (await store.view('s0')) ?? {}
      return [emergency, attempt, node, from]
    }
    const report = async (node: string, more: object) =>
      await store.report(node, 1, [], {
        sessions: [{ username: 'ann', sessionId: 's0', ...more }]
      })
    await store.acquire('ann', 's0', { node: 'n1', details })
    is(await report('n1', { details: { to: 'sip:bob@example.net' } }), '1/0/0')
    is(await seen(), [false, 0, 'n1', details.from])
    is(await report('n1', { details: { emergency: true } }), '1/0/0')
    is(await seen(), [true, 0, 'n1', details.from])
    is(await report('n1', {}), '1/0/0')
    is(await seen(), [true, 0, 'n1', details.from])
    await store.release('s0')
    await store.acquire('ann', 's0', { node: 'n1', attempt: 1, details })
    is(await report('n2', { attempt: 2, details: { emergency: true } }), '1/0/0')
    is(await seen(), [true, 2, 'n2', details.from])
  }),
  'what its node does not report is remembered for the grace time': async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1', ttlMs: 96_000 })
    const start = await store.start('s0')
    is(await store.report('n1', 1, []), '0/0/1')
    await store.pass(64)
    is(await store.renew('ann', 's0'), 'reregistered')
    is((await store.start('s0')) === start, false)
  },
  'a session moves with its node, and only its node releases it': async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1' })
    is(await store.renew('ann', 's0', { node: 'n2' }), 'renewed')
    is(await store.report('n1', 1, []), '0/0/0')
    is(await store.report('n2', 1, [['ann', 's0']]), '1/0/0')
    is(await store.nodes(), { n1: 0, n2: 1 })
    is(await store.release('s0'), 'released')
    is(await store.nodes(), { n1: 0, n2: 0 })
  },
  'a session that comes back on another node belongs to that node': async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1' })
    await store.pass(64)
    is(await store.acquire('ann', 's0', { node: 'n2' }), 'admitted 1/2')
    is(await store.report('n1', 1, []), '0/0/0')
    is(await store.report('n2', 1, [['ann', 's0']]), '1/0/0')
    is(await store.nodes(), { n1: 0, n2: 1 })
  },
  'an expired session that its node reports is registered again': async (
    store,
    is
  ) => {
    await store.acquire('ann', 's0', { node: 'n1' })
    await store.pass(64)
    is(await store.report('n1', 1, [['ann', 's0']]), '0/1/0')
    await store.pass(64)
    is(await store.report('n1', 1, []), '0/0/0')
    is(await store.report('n1', 1, [['ann', 's0']]), '0/1/0')
    is(await store.report('n1', 1, [['ann', 's0']]), '1/0/0')
  },
  'a session that its node does not report lapses, whatever its lease': async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1', ttlMs: 96_000 })
    await store.acquire('ann', 's1', { node: 'n1', ttlMs: 24_000 })
    is(await store.report('n1', 1, [['bob', 's2']]), '0/1/2')
    await store.acquire('bob', 's3', { node: 'n1' })
    is(
      await store.report('n1', 1, [
        ['bob', 's2'],
        ['bob', 's2']
      ]),
      '2/0/1'
    )
    is(await store.nodes(), { n1: 1 })
  },
  'a session that began after the list was taken stays until a later list': async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1' })
    await store.pass(32)
    await store.acquire('ann', 's1', { node: 'n1' })
    const start = (await store.start('s1')) ?? 0
    const asOfMs = store.subject.storeTime(start - 16_000)
    is(await store.report('n1', 1, [], { asOfMs }), '0/0/1')
    is(await store.sessions('ann'), ['s1'])
    is(await store.nodes(), { n1: 1 })
    is(await store.report('n1', 1, []), '0/0/1')
  }
}
