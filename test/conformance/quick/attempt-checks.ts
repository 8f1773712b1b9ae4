import type { Check } from './check-store.ts'

/**
 * Promises about attempts at a call, about ends that come before their beginning, and about
 * emergency sessions.
 */
export const attemptChecks: Record<string, Check> = {
  'a later attempt at an ended id is a new session, and no other is': async (store, is) => {
    await store.acquire('ann', 's0', { attempt: 2 })
    is(await store.release('s0'), 'released')
    for (const attempt of [0, 1, 2]) {
      is(await store.acquire('ann', 's0', { attempt }), 'ended')
      is(await store.renew('ann', 's0', { attempt }), 'ended')
    }
    is(await store.renew('ann', 's0'), 'ended')
    is(await store.acquire('bob', 's0', { attempt: 3 }), 'admitted 1/2')
    is(await store.release('s0', 'bob', { attempt: 3 }), 'released')
    is(await store.renew('ann', 's0', { attempt: 4 }), 'reregistered')
    is(await store.sessions('ann'), ['s0'])
  },
  'an earlier attempt touches nothing': async (store, is) => {
    const earlier = { attempt: 1 }
    await store.acquire('ann', 's0', { attempt: 2, node: 'n1' })
    await store.pass(32)
    is(await store.acquire('ann', 's0', earlier), 'ended')
    is(await store.renew('ann', 's0', { attempt: 1, node: 'n2' }), 'ended')
    is(await store.release('s0', 'ann', earlier), 'unknown')
    is(await store.sessions('ann'), ['s0'])
    is((await store.view('s0'))?.node, 'n1')
    await store.pass(96)
    is(await store.acquire('bob', 's0'), 'admitted 1/2')
  },
  'an earlier attempt does not take the place of a later one that lapsed': async (store, is) => {
    await store.acquire('ann', 's0', { attempt: 2 })
    await store.pass(64)
    is(await store.acquire('ann', 's0', { attempt: 1 }), 'ended')
    is(await store.renew('ann', 's0', { attempt: 1 }), 'ended')
    is(await store.acquire('ann', 's0', { attempt: 2 }), 'admitted 1/2')
    await store.pass(64)
    is(await store.acquire('bob', 's0'), 'admitted 1/2')
  },
  'the live attempt is refreshed, renewed and ended': async (store, is) => {
    const live = { attempt: 2 }
    await store.acquire('ann', 's0', live)
    is(await store.acquire('ann', 's0', live), 'refreshed 1/2')
    is(await store.renew('ann', 's0', live), 'renewed')
    is(await store.release('s0', 'ann', live), 'released')
  },
  'a later attempt takes over a live session, with all that is known of it': async (store, is) => {
    await store.acquire('ann', 's0', { node: 'n1', details: { from: 'sip:ann@example.net' } })
    const start = await store.start('s0')
    const known = async () => {
      const { attempt, from, node } = (await store.view('s0')) ?? {}
      return [attempt, from, node, await store.start('s0')]
    }
    is(await store.acquire('ann', 's0', { attempt: 1, dryRun: true }), 'refreshed 1/2')
    is(await known(), [0, 'sip:ann@example.net', 'n1', start])
    is(await store.acquire('ann', 's0', { attempt: 12 }), 'refreshed 1/2')
    is(await known(), [12, 'sip:ann@example.net', 'n1', start])
    is(await store.acquire('ann', 's0', { attempt: 13 }), 'refreshed 1/2')
    is(await known(), [13, 'sip:ann@example.net', 'n1', start])
    is(await store.renew('ann', 's0', { attempt: 14, node: 'n2' }), 'renewed')
    is(await known(), [14, 'sip:ann@example.net', 'n2', start])
    is(await store.renew('ann', 's0', { attempt: 15 }), 'renewed')
    is(await known(), [15, 'sip:ann@example.net', 'n2', start])
    is(await store.release('s0', 'ann', { attempt: 14 }), 'unknown')
    is(await store.sessions('ann'), ['s0'])
  },
  'an end holds that comes before its beginning, for its attempt and earlier ones': async (
    store,
    is
  ) => {
    is(await store.release('s0'), 'unknown')
    is(await store.acquire('ann', 's0'), 'ended')
    is(await store.release('s1', 'ann', { attempt: 3 }), 'unknown')
    is(await store.acquire('ann', 's1', { attempt: 3 }), 'ended')
    is(await store.renew('bob', 's1', { attempt: 3 }), 'ended')
    is(await store.release('s1', 'ann', { attempt: 2 }), 'unknown')
    is(await store.acquire('ann', 's1', { attempt: 3 }), 'ended')
    is(await store.release('s1', 'ann', { attempt: 5 }), 'unknown')
    is(await store.acquire('ann', 's1', { attempt: 5 }), 'ended')
    is(await store.acquire('ann', 's1', { attempt: 6 }), 'admitted 1/2')
  },
  'the end of a later attempt ends the earlier one and is remembered': async (store, is) => {
    await store.acquire('ann', 's0', { attempt: 1, ttlMs: 7_216_000 })
    is(await store.release('s0', 'ann', { attempt: 3 }), 'released')
    is(await store.acquire('ann', 's0', { attempt: 3 }), 'ended')
    is(await store.release('s0', 'ann', { attempt: 4 }), 'unknown')
    await store.pass(3616)
    is(await store.acquire('ann', 's0', { attempt: 4 }), 'ended')
  },
  'an end holds though the lease of another user has expired': async (store, is) => {
    await store.acquire('ann', 's0', { attempt: 5 })
    await store.pass(64)
    is(await store.release('s0', 'bob', { attempt: 3 }), 'unknown')
    is(await store.acquire('bob', 's0', { attempt: 3 }), 'ended')
  },
  'a session that is ended to make room is ended for its attempt': async (store, is) => {
    await store.subject.policy.update({
      max_sessions_per_user: 1,
      session_limit_action: 'terminate_oldest'
    })
    await store.acquire('ann', 's0', { attempt: 2 })
    is(await store.acquire('ann', 's1'), 'admitted 1/1 ending s0')
    is(await store.acquire('ann', 's0', { attempt: 2 }), 'ended')
    is(await store.acquire('ann', 's0', { attempt: 3 }), 'admitted 1/1 ending s1')
  },
  'who asks again is told again what was ended, until a later attempt': async (store, is) => {
    await store.subject.policy.update({ session_limit_action: 'terminate_oldest' })
    for (const id of ['s0', 's1']) await store.acquire('ann', id)
    await store.subject.limits.setLimit('ann', 1)
    for (const id of ['s2', 's3']) {
      const ending = id === 's2' ? 's0 s1' : 's2'
      is(await store.acquire('ann', id), `admitted 1/1 ending ${ending}`)
      for (let i = 0; i < 2; i++) {
        is(await store.acquire('ann', id), `refreshed 1/1 ending ${ending}`)
      }
    }
    is(await store.acquire('ann', 's3', { attempt: 1 }), 'refreshed 1/1')
    is(await store.acquire('ann', 's4'), 'admitted 1/1 ending s3')
    is(await store.renew('ann', 's4', { attempt: 1 }), 'renewed')
    is(await store.acquire('ann', 's4', { attempt: 1 }), 'refreshed 1/1')
  },
  'an emergency session is not ended to make room, and its user\'s other sessions are': async (
    store,
    is
  ) => {
    await store.subject.policy.update({
      max_sessions_per_user: 1,
      session_limit_action: 'terminate_oldest'
    })
    await store.acquire('ann', 's0', { details: { emergency: true } })
    is(await store.acquire('ann', 's1'), 'admitted 2/1')
    is(await store.renew('ann', 's0', { attempt: 1 }), 'renewed')
    is(await store.acquire('ann', 's2'), 'admitted 2/1 ending s1')
    is(await store.sessions('ann'), ['s0', 's2'])
  },
  'a session that is up becomes an emergency session when it is called one': async (store, is) => {
    await store.subject.policy.update({
      max_sessions_per_user: 1,
      session_limit_action: 'terminate_oldest'
    })
    const seen = async (id: string) => {
      const { emergency, attempt, from } = (await store.view(id)) ?? {}
      return [emergency, attempt, from]
    }
    const urgent = { emergency: true }
    await store.acquire('ann', 's0', { details: { from: 'sip:ann@example.net' } })
    is(await store.acquire('ann', 's0', { details: urgent, dryRun: true }), 'refreshed 1/1')
    is(await store.acquire('ann', 's0'), 'refreshed 1/1')
    is(await seen('s0'), [false, 0, 'sip:ann@example.net'])
    for (let i = 0; i < 2; i++) {
      is(await store.acquire('ann', 's0', { details: urgent }), 'refreshed 1/1')
      is(await seen('s0'), [true, 0, 'sip:ann@example.net'])
    }
    is(await store.acquire('ann', 's1', { attempt: 3 }), 'admitted 2/1')
    is(await store.acquire('ann', 's1', { attempt: 4, details: urgent }), 'refreshed 2/1')
    is(await seen('s1'), [true, 4, null])
    is(await store.acquire('ann', 's1', { attempt: 5 }), 'refreshed 2/1')
    is(await seen('s1'), [true, 5, null])
    is(await store.acquire('ann', 's2'), 'admitted 3/1')
    is(await store.sessions('ann'), ['s0', 's1', 's2'])
  },
  'the end of all sessions spares emergency ones, unless they are meant': async (store, is) => {
    const { sessions } = store.subject
    await store.acquire('ann', 's0', { details: { emergency: true } })
    await store.acquire('ann', 's1')
    is(await sessions.terminateUser('ann', 'fraud', false), { terminated: ['s1'], spared: ['s0'] })
    is(await store.sessions('ann'), ['s0'])
    is(await sessions.terminateUser('ann', 'fraud', true), { terminated: ['s0'], spared: [] })
    is(await store.count('ann'), '0+0/2')
  }
}
