import type { Check } from './check-store.ts'

/** Promises about leases: who has one, and for how long. */
export const leaseChecks: Record<string, Check> = {
  'the limit is met exactly': async (store, is) => {
    is(await store.acquire('ann', 's0'), 'admitted 1/2')
    is(await store.acquire('ann', 's1'), 'admitted 2/2')
    is(await store.acquire('ann', 's2'), 'limit_reached 2/2')
    is(await store.acquire('bob', 's3'), 'admitted 1/2')
    is(await store.count('ann'), '2+0/2')
    is(await store.sessions('ann'), ['s0', 's1'])
  },
  'a lease expires, not too early, and frees its slot': async (store, is) => {
    await store.subject.limits.setLimit('ann', 1)
    is(await store.acquire('ann', 's0'), 'admitted 1/1')
    await store.pass(32)
    is(await store.acquire('ann', 's1'), 'limit_reached 1/1')
    is(await store.count('ann'), '1+0/1')
    await store.pass(32)
    is(await store.count('ann'), '0+0/1')
    is(await store.acquire('ann', 's1'), 'admitted 1/1')
    is(await store.count('ann'), '1+0/1')
    is(await store.sessions('ann'), ['s1'])
    is(await store.acquire('ann', 's0'), 'limit_reached 1/1')
    is(await store.release('s0', 'ann'), 'unknown')
    is(await store.renew('ann', 's0'), 'ended')
    is(await store.renew('ann', 's2'), 'reregistered')
  },
  'an id holds one slot, however often it is acquired, even over the limit': async (store, is) => {
    is(await store.acquire('ann', 's0'), 'admitted 1/2')
    is(await store.acquire('ann', 's1'), 'admitted 2/2')
    await store.subject.limits.setLimit('ann', 1)
    is(await store.acquire('ann', 's0'), 'refreshed 2/1')
    is(await store.acquire('ann', 's0'), 'refreshed 2/1')
    is(await store.count('ann'), '2+0/1')
  },
  'acquiring a held id prolongs its lease, any number of times': async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1' })
    await store.report('n1', 1, [['ann', 's0']])
    const start = await store.start('s0')
    for (let i = 0; i < 5; i++) {
      await store.pass(32)
      is(await store.acquire('ann', 's0', { node: 'n2' }), 'refreshed 1/2')
    }
    is(await store.start('s0'), start)
    is(await store.nodes(), { n1: 1 })
    await store.report('n2', 1, [])
    is(await store.nodes(), { n1: 1, n2: 0 })
  },
  'a renewal prolongs a lease, any number of times': async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1' })
    const start = await store.start('s0')
    for (let i = 0; i < 5; i++) {
      await store.pass(32)
      is(await store.renew('ann', 's0'), 'renewed')
    }
    is(await store.start('s0'), start)
    is(await store.count('ann'), '1+0/2')
    await store.report('n2', 1, [])
    is(await store.report('n1', 1, []), '0/0/1')
  },
  'an expired lease comes back with its start and details while its record is kept': async (
    store,
    is
  ) => {
    await store.acquire('ann', 's0', { details: { from: 'sip:ann@example.net' } })
    const start = await store.start('s0')
    await store.pass(64)
    is(await store.renew('ann', 's0', { node: 'n1' }), 'reregistered')
    is(await store.start('s0'), start)
    is((await store.view('s0'))?.from, 'sip:ann@example.net')
    is(await store.renew('ann', 's0'), 'renewed')
    await store.pass(128)
    is(await store.renew('ann', 's0'), 'reregistered')
    is((await store.start('s0')) === start, false)
    is(await store.renew('ann', 's9'), 'reregistered')
    is(await store.count('ann'), '2+0/2')
  },
  'a renewal registers sessions over the limit, and answers in order': async (store, is) => {
    await store.subject.limits.setLimit('ann', 1)
    await store.acquire('bob', 's1')
    await store.acquire('bob', 's2')
    await store.release('s2')
    const requests = ['s0', 's1', 's2', 's3', 's0'].map((sessionId) => ({
      username: 'ann',
      sessionId
    }))
    const results = await store.subject.sessions.renew(requests, 48_000)
    is(
      results.map(({ outcome }) => outcome),
      ['reregistered', 'conflict', 'ended', 'reregistered', 'renewed']
    )
    is(await store.count('ann'), '2+0/1')
  },
  'a released id stays ended': async (store, is) => {
    await store.acquire('ann', 's0')
    is(await store.release('s0', 'ann'), 'released')
    is(await store.count('ann'), '0+0/2')
    is(await store.release('s0', 'ann'), 'unknown')
    is(await store.release('s9', 'ann'), 'unknown')
    for (const user of ['ann', 'bob']) {
      is(await store.acquire(user, 's0'), 'ended')
      is(await store.renew(user, 's0'), 'ended')
      is(await store.count(user), '0+0/2')
    }
    await store.pass(3584)
    is(await store.acquire('ann', 's0'), 'ended')
    await store.pass(64)
    is(await store.renew('ann', 's0'), 'ended')
    await store.pass(3584)
    is(await store.acquire('ann', 's0'), 'ended')
    await store.pass(3616)
    is(await store.acquire('ann', 's0'), 'admitted 1/2')
  },
  'an id stays ended at least until its lease would have expired': async (store, is) => {
    for (const id of ['s0', 's1']) await store.acquire('ann', id, { ttlMs: 7_216_000 })
    is(await store.release('s0', 'ann'), 'released')
    await store.subject.policy.update({
      max_sessions_per_user: 1,
      session_limit_action: 'terminate_oldest'
    })
    is(await store.acquire('ann', 's2'), 'admitted 1/1 ending s1')
    is([await store.acquire('ann', 's0'), await store.renew('ann', 's1')], ['ended', 'ended'])
    await store.pass(3616)
    is([await store.acquire('ann', 's0'), await store.acquire('ann', 's1')], ['ended', 'ended'])
  },
  'no user can touch the session of another user': async (store, is) => {
    await store.acquire('ann', 's0')
    is(await store.acquire('bob', 's0'), 'conflict')
    is(await store.renew('bob', 's0'), 'conflict')
    is(await store.release('s0', 'bob'), 'conflict')
    is([await store.count('ann'), await store.count('bob')], ['1+0/2', '0+0/2'])
    await store.acquire('ann', 's1')
    await store.pass(64)
    is(await store.release('s1', 'bob'), 'unknown')
    is(await store.acquire('ann', 's1'), 'ended')
    is(await store.acquire('bob', 's0'), 'admitted 1/2')
    is(await store.acquire('ann', 's0'), 'conflict')
    await store.pass(64)
    is(await store.renew('ann', 's0'), 'reregistered')
    is(await store.sessions('ann'), ['s0'])
  },
  'all sessions of a user can be terminated at once': async (store, is) => {
    await store.acquire('ann', 's0')
    await store.acquire('ann', 's1')
    await store.acquire('bob', 's2')
    const { terminated } = await store.subject.sessions.terminateUser('ann', 'fraud', false)
    is(terminated.sort(), ['s0', 's1'])
    is([await store.count('ann'), await store.count('bob')], ['0+0/2', '1+0/2'])
    is(await store.acquire('ann', 's0'), 'ended')
  }
}
