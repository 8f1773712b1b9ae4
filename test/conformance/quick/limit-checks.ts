import type { Check } from './check-store.ts'

/** Promises about limits, and about what happens at them. */
export const limitChecks: Record<string, Check> = {
  'the temporary limit outranks the own limit, and that outranks the policy': async (store, is) => {
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
  'a limit of 0 limits nobody': async (store, is) => {
    await store.subject.limits.setLimit('ann', 0)
    for (let i = 0; i < 5; i++) is(await store.acquire('ann', `s${i}`), `admitted ${i + 1}/0`)
  },
  'an emergency call is admitted and counted': async (store, is) => {
    for (const session_limit_action of ['reject', 'terminate_oldest'] as const) {
      const user = session_limit_action === 'reject' ? 'ann' : 'bob'
      await store.subject.policy.update({ max_sessions_per_user: 1, session_limit_action })
      is(await store.acquire(user, `${user}-0`), 'admitted 1/1')
      is(await store.acquire(user, `${user}-1`, { details: { emergency: true } }), 'admitted 2/1')
      is(await store.count(user), '2+0/1')
    }
  },
  'limits that are switched off refuse nobody, and sessions still count': async (store, is) => {
    await store.subject.policy.update({ max_sessions_per_user: 1, enabled: false })
    is(await store.acquire('ann', 's0'), 'admitted 1/1')
    is(await store.acquire('ann', 's1'), 'admitted 2/1')
    is(await store.count('ann'), '2+0/1')
  },
  'observing refuses nobody, and says who would have been refused': async (store, is) => {
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
  'an expired lease is not terminated in place of a live one': async (store, is) => {
    await store.subject.policy.update({ session_limit_action: 'terminate_oldest' })
    await store.acquire('ann', 's0')
    await store.pass(64)
    for (const id of ['s1', 's2']) await store.acquire('ann', id)
    is(await store.acquire('ann', 's3'), 'admitted 2/2 ending s1')
    is(await store.renew('ann', 's0'), 'reregistered')
  },
  'as many of the oldest sessions as necessary are terminated, for good': async (store, is) => {
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
