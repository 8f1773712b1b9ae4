import type { Check } from './check-store.ts'
import { redisChecks } from './redis-checks.ts'

const leases: Record<string, Check> = {
  'the limit is met exactly': async (store, is) => {
    is(await store.acquire('ann', 's0'), 'admitted 1/2')
    is(await store.acquire('ann', 's1'), 'admitted 2/2')
    is(await store.acquire('ann', 's2'), 'limit_reached 2/2')
    is(await store.acquire('bob', 's3'), 'admitted 1/2')
    is(await store.count('ann'), '2+0/2')
    is(await store.sessions('ann'), ['s0', 's1'])
  },
  'a lease ends by itself, not too early, and frees its slot': async (store, is) => {
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
    is(await store.renew('ann', 's0'), 'reregistered')
  },
  'an id holds one slot, however often it asks, even over the limit': async (store, is) => {
    is(await store.acquire('ann', 's0'), 'admitted 1/2')
    is(await store.acquire('ann', 's1'), 'admitted 2/2')
    await store.subject.limits.setLimit('ann', 1)
    is(await store.acquire('ann', 's0'), 'refreshed 2/1')
    is(await store.acquire('ann', 's0'), 'refreshed 2/1')
    is(await store.count('ann'), '2+0/1')
  },
  'to ask again prolongs, for as long as one likes': async (store, is) => {
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
  'a renewal prolongs, for as long as one likes': async (store, is) => {
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
  'one that has expired comes back as the call that it was, within its grace': async (
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
  'a renewal registers over the limit, and answers in order': async (store, is) => {
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
  'an id stays ended for as long as its lease would have lasted': async (store, is) => {
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
  'nobody can touch the session of another user': async (store, is) => {
    await store.acquire('ann', 's0')
    is(await store.acquire('bob', 's0'), 'conflict')
    is(await store.renew('bob', 's0'), 'conflict')
    is(await store.release('s0', 'bob'), 'conflict')
    is([await store.count('ann'), await store.count('bob')], ['1+0/2', '0+0/2'])
    await store.pass(64)
    is(await store.release('s0', 'bob'), 'unknown')
    is(await store.acquire('bob', 's0'), 'admitted 1/2')
    is(await store.acquire('ann', 's0'), 'conflict')
    await store.pass(64)
    is(await store.renew('ann', 's0'), 'reregistered')
    is(await store.sessions('ann'), ['s0'])
  },
  'all sessions of a user end at once': async (store, is) => {
    await store.acquire('ann', 's0')
    await store.acquire('ann', 's1')
    await store.acquire('bob', 's2')
    is((await store.subject.sessions.terminateUser('ann', 'fraud')).terminated.sort(), ['s0', 's1'])
    is([await store.count('ann'), await store.count('bob')], ['0+0/2', '1+0/2'])
    is(await store.acquire('ann', 's0'), 'ended')
  }
}

const limits: Record<string, Check> = {
  'the temporary limit goes before the own one, and that before the policy': async (store, is) => {
    const { limits, policy } = store.subject
    await policy.update({ max_sessions_per_user: 1 })
    is(await store.acquire('ann', 's0'), 'admitted 1/1')
    is(await store.acquire('ann', 's1'), 'limit_reached 1/1')
    await limits.setLimit('ann', 2)
    is(await store.acquire('ann', 's1'), 'admitted 2/2')
    await limits.setTemporaryLimit('ann', { limit: 3, duration: 16 })
    is(await store.acquire('ann', 's2'), 'admitted 3/3')
    is(await store.acquire('ann', 's3'), 'limit_reached 3/3')
    is(await store.count('ann'), '3+0/3')
    await store.pass(32)
    is(await store.count('ann'), '3+0/2')
    is(await store.acquire('ann', 's3'), 'limit_reached 3/2')
    await limits.removeLimit('ann')
    is(await store.count('ann'), '3+0/1')
  },
  'no limit is no limit': async (store, is) => {
    await store.subject.limits.setLimit('ann', 0)
    for (let i = 0; i < 5; i++) is(await store.acquire('ann', `s${i}`), `admitted ${i + 1}/0`)
  },
  'an emergency is let in and counted': async (store, is) => {
    for (const session_limit_action of ['reject', 'terminate_oldest'] as const) {
      const user = session_limit_action === 'reject' ? 'ann' : 'bob'
      await store.subject.policy.update({ max_sessions_per_user: 1, session_limit_action })
      is(await store.acquire(user, `${user}-0`), 'admitted 1/1')
      is(await store.acquire(user, `${user}-1`, { details: { emergency: true } }), 'admitted 2/1')
      is(await store.count(user), '2+0/1')
    }
  },
  'limits that are off refuse nobody, and count': async (store, is) => {
    await store.subject.policy.update({ max_sessions_per_user: 1, enabled: false })
    is(await store.acquire('ann', 's0'), 'admitted 1/1')
    is(await store.acquire('ann', 's1'), 'admitted 2/1')
    is(await store.count('ann'), '2+0/1')
  },
  'to observe refuses nobody, and says whom it would have': async (store, is) => {
    await store.subject.policy.update({ max_sessions_per_user: 1, session_limit_action: 'observe' })
    is(await store.acquire('ann', 's0'), 'admitted 1/1')
    is(await store.acquire('ann', 's1'), 'admitted 2/1 observed')
  },
  'a dry run changes nothing': async (store, is) => {
    const dryRun = true
    is(await store.acquire('ann', 's0', { dryRun }), 'admitted 1/2')
    is(await store.count('ann'), '0+0/2')
    is(await store.start('s0'), null)
    await store.acquire('ann', 's0')
    await store.pass(32)
    is(await store.acquire('ann', 's0', { dryRun }), 'refreshed 1/2')
    await store.acquire('ann', 's1')
    is(await store.acquire('ann', 's2', { dryRun }), 'limit_reached 2/2')
    await store.subject.policy.update({ session_limit_action: 'terminate_oldest' })
    is(await store.acquire('ann', 's2', { dryRun }), 'admitted 2/2 ending s0')
    is(await store.sessions('ann'), ['s0', 's1'])
    await store.pass(32)
    is(await store.sessions('ann'), ['s1'])
    await store.release('s1')
    await store.pass(3584)
    is(await store.acquire('ann', 's1', { dryRun }), 'ended')
    await store.pass(32)
    is(await store.acquire('ann', 's1'), 'admitted 1/2')
  },
  'what has expired is not ended in place of what is up': async (store, is) => {
    await store.subject.policy.update({ session_limit_action: 'terminate_oldest' })
    await store.acquire('ann', 's0')
    await store.pass(64)
    for (const id of ['s1', 's2']) await store.acquire('ann', id)
    is(await store.acquire('ann', 's3'), 'admitted 2/2 ending s1')
    is(await store.renew('ann', 's0'), 'reregistered')
  },
  'the oldest end, as many as must, and for good': async (store, is) => {
    await store.subject.policy.update({
      max_sessions_per_user: 4,
      session_limit_action: 'terminate_oldest'
    })
    for (const id of ['s3', 's1', 's2', 's0']) {
      await store.acquire('ann', id, { ttlMs: 7_216_000, node: 'n1' })
      await store.pass(32)
    }
    await store.report('n2', 1, [])
    await store.renew('ann', 's3', { ttlMs: 7_216_000 })
    is(await store.acquire('ann', 's4'), 'admitted 4/4 ending s3')
    await store.subject.limits.setLimit('ann', 2)
    is(await store.acquire('ann', 's5'), 'admitted 2/2 ending s1 s2 s0')
    is(await store.count('ann'), '2+0/2')
    is(await store.sessions('ann'), ['s4', 's5'])
    for (const id of ['s0', 's1', 's2', 's3']) is(await store.acquire('ann', id), 'ended')
    await store.report('n1', 1, [['bob', 's9']])
    is(await store.nodes(), { n1: 1, n2: 0 })
  }
}

const nodes: Record<string, Check> = {
  'what a node reports is the truth about it': async (store, is) => {
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
    is(await store.acquire('ann', 's0'), 'ended')
    is(await store.report('n1', 4, []), 'stale, 5 is known')
    is(await store.report('n1', 6, []), '0/0/2')
    is(await store.nodes(), { n1: 0, n2: 1 })
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
  "a session that comes back on another node is that node's": async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1' })
    await store.pass(64)
    is(await store.acquire('ann', 's0', { node: 'n2' }), 'admitted 1/2')
    is(await store.report('n1', 1, []), '0/0/0')
    is(await store.report('n2', 1, [['ann', 's0']]), '1/0/0')
    is(await store.nodes(), { n1: 0, n2: 1 })
  },
  'what has expired on its node is registered again, whether the node was told or not': async (
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
  'what its node no longer has goes, whenever its lease would have ended': async (store, is) => {
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
  'what began after the list was taken stays, until a later list': async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1' })
    await store.pass(32)
    await store.acquire('ann', 's1', { node: 'n1' })
    const start = (await store.start('s1')) ?? 0
    is(await store.report('n1', 1, [], store.subject.storeTime(start - 16_000)), '0/0/1')
    is(await store.sessions('ann'), ['s1'])
    is(await store.nodes(), { n1: 1 })
    is(await store.report('n1', 1, []), '0/0/1')
  }
}

/** Every promise of a session store, as briefly as it can be seen. */
export const checks: Record<string, Check> = { ...leases, ...limits, ...nodes, ...redisChecks }
