/**
 * What a store promises of attempts at a call, of ends that come before their beginning, and of
 * emergency calls.
 */
import type { Contract } from './contract.ts'
import { admit, ask, everything, fill, hangUp, outcomes, reported, TTL } from './words.ts'

const emergency = { details: { emergency: true } }

export const attempts: Contract = {
  'after a challenge the same id is a new session for a later attempt': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 1 })
    const { sessions } = twin
    await admit(sessions, 'alice', 'call', { attempt: 101 })
    t.match(await sessions.release(hangUp('call', 'alice', { attempt: 101 })), {
      outcome: 'released'
    })
    t.strictSame(await sessions.acquire(ask('alice', 'call', { attempt: 101 })), {
      outcome: 'ended'
    })
    t.strictSame(await sessions.acquire(ask('alice', 'call', { attempt: 7 })), { outcome: 'ended' })
    t.strictSame(await sessions.acquire(ask('alice', 'call')), { outcome: 'ended' })
    const { lease, count } = await admit(sessions, 'alice', 'call', { attempt: 102 })
    t.match({ attempt: lease.attempt, count }, { attempt: 102, count: 1 })
    t.match(await sessions.getSession('call'), { attempt: 102, username: 'alice' })
    t.strictSame(await everything(twin), ['call'])
  },

  'an end of an earlier attempt touches nothing': async (t, start) => {
    const { sessions, pass } = await start({ max_sessions_per_user: 1 })
    const { lease } = await admit(sessions, 'alice', 'call', { attempt: 2, node: 'n1' })
    await pass(5)
    const late = { attempt: 1 }
    t.match(await sessions.release(hangUp('call', 'alice', late)), { outcome: 'unknown' })
    t.match(await sessions.release(hangUp('call', undefined, late)), { outcome: 'unknown' })
    t.strictSame(await sessions.acquire(ask('alice', 'call', late)), { outcome: 'ended' })
    t.strictSame(
      outcomes(await sessions.renew([{ sessionId: 'call', username: 'alice', ...late }], TTL)),
      ['ended']
    )
    t.strictSame(await sessions.getSession('call'), lease)
    t.strictSame(
      outcomes(await sessions.renew([{ sessionId: 'call', username: 'alice' }], TTL)),
      ['renewed'],
      'without an attempt it is whichever is live'
    )
    t.match(await sessions.release(hangUp('call', 'alice')), { outcome: 'released' })
    t.strictSame(await sessions.acquire(ask('alice', 'call', { attempt: 2 })), { outcome: 'ended' })
  },

  'a later attempt takes over the slot of a live one': async (t, start) => {
    const { sessions } = await start({ max_sessions_per_user: 1 })
    const details = { callId: 'c', metadata: { '!': '1 !\n2' } }
    await admit(sessions, 'alice', 'call', { attempt: 1, details, node: 'n1' })
    t.match(await sessions.acquire(ask('alice', 'call', { attempt: 2 })), {
      outcome: 'refreshed',
      count: 1,
      lease: { attempt: 2, details, node: 'n1' }
    })
    t.match(await sessions.release(hangUp('call', 'alice', { attempt: 1 })), {
      outcome: 'unknown'
    })
    const [renewal] = await sessions.renew(
      [{ sessionId: 'call', username: 'alice', attempt: 12, node: 'n2' }],
      TTL
    )
    t.match(renewal, { outcome: 'renewed' })
    t.match(await sessions.getSession('call'), { attempt: 12, details, node: 'n2' })
    t.match(await sessions.release(hangUp('call', 'alice', { attempt: 12 })), {
      outcome: 'released'
    })
  },

  'a later attempt that is refused leaves the id as it was': async (t, start) => {
    const { sessions } = await start({ max_sessions_per_user: 1 })
    await admit(sessions, 'alice', 'alices', { attempt: 3 })
    await sessions.release(hangUp('alices', 'alice', { attempt: 3 }))
    t.match(await sessions.release(hangUp('nobodys', undefined, { attempt: 3 })), {
      outcome: 'unknown'
    })
    await admit(sessions, 'bob', 'up')
    for (const id of ['alices', 'nobodys']) {
      const refused = await sessions.acquire(ask('bob', id, { attempt: 4 }))
      t.match(refused, { outcome: 'limit_reached' }, id)
      for (const user of ['alice', 'bob', 'carol']) {
        const late = await sessions.acquire(ask(user, id, { attempt: 3 }))
        t.match(late, { outcome: 'ended' }, `${id} has ended for ${user}`)
      }
      t.match(await sessions.getSession(id), null)
    }
    await admit(sessions, 'carol', 'nobodys', { attempt: 4 })
    await admit(sessions, 'dora', 'alices', { attempt: 4 })
  },

  'a later attempt at an ended id may be another user\'s': async (t, start) => {
    const { sessions } = await start()
    await admit(sessions, 'alice', 'call', { attempt: 1 })
    t.strictSame(await sessions.acquire(ask('bob', 'call', { attempt: 2 })), {
      outcome: 'conflict'
    })
    await sessions.release(hangUp('call', 'alice'))
    t.strictSame(await sessions.acquire(ask('bob', 'call', { attempt: 1 })), { outcome: 'ended' })
    await admit(sessions, 'bob', 'call', { attempt: 2 })
    t.strictSame(await sessions.acquire(ask('alice', 'call', { attempt: 3 })), {
      outcome: 'conflict'
    })
    t.match(await sessions.getSession('call'), { username: 'bob' })
    t.equal((await sessions.getCount('alice')).count, 0)
  },

  'an end that overtakes its beginning holds, whoever\'s the call would have been': async (
    t,
    start
  ) => {
    const twin = await start()
    const { sessions } = twin
    t.match(await sessions.release(hangUp('c1', undefined, { attempt: 3 })), {
      outcome: 'unknown'
    })
    t.match(await sessions.release(hangUp('c2', 'alice', { attempt: 3 })), { outcome: 'unknown' })
    for (const id of ['c1', 'c2']) {
      for (const username of ['alice', 'bob']) {
        t.strictSame(await sessions.acquire(ask(username, id, { attempt: 3 })), {
          outcome: 'ended'
        })
      }
      t.strictSame(
        outcomes(await sessions.renew([{ sessionId: id, username: 'alice', attempt: 2 }], TTL)),
        ['ended']
      )
    }
    t.strictSame(await everything(twin), [])
    await admit(sessions, 'alice', 'c1', { attempt: 4 })
    await admit(sessions, 'bob', 'c2', { attempt: 4 })
    t.strictSame(await everything(twin), ['c1', 'c2'])
  },

  'an earlier attempt does not come back after a later one that lapsed': async (t, start) => {
    const twin = await start()
    const { sessions, pass } = twin
    await admit(sessions, 'alice', 'call')
    await sessions.release(hangUp('call', 'alice'))
    await admit(sessions, 'alice', 'call', { attempt: 9, ttlMs: 50, node: 'n1' })
    await pass(60)
    for (const more of [{}, { attempt: 8 }, { attempt: 8, dryRun: true }]) {
      t.strictSame(await sessions.acquire(ask('alice', 'call', more)), { outcome: 'ended' })
    }
    const late = { sessionId: 'call', username: 'alice', attempt: 8 }
    t.strictSame(outcomes(await sessions.renew([late], TTL)), ['ended'])
    t.match(await sessions.release(hangUp('call', 'alice', { attempt: 8 })), {
      outcome: 'unknown'
    })
    t.strictSame(await everything(twin), [])
    const again = { sessionId: 'call', username: 'alice', attempt: 9 }
    t.strictSame(outcomes(await sessions.renew([again], 50)), ['reregistered'], 'it may be up yet')
    t.match(await sessions.getSession('call'), { username: 'alice', attempt: 9, node: 'n1' })
    await pass(60)
    await admit(sessions, 'alice', 'call', { attempt: 9, ttlMs: 50 })
    await pass(60)
    await admit(sessions, 'bob', 'call')
    t.strictSame(await everything(twin), ['call'])
    t.match(await sessions.getSession('call'), { username: 'bob', attempt: 0 })
  },

  'a release for a node ends no session of another one': async (t, start) => {
    const { sessions } = await start()
    await admit(sessions, 'alice', 'call', { node: 'n1' })
    await sessions.renew([{ sessionId: 'call', username: 'alice', node: 'n2' }], TTL)
    t.match(await sessions.release(hangUp('call', 'alice', { node: 'n1' })), {
      outcome: 'unknown'
    })
    t.match(await sessions.release(hangUp('call', undefined, { node: 'n1' })), {
      outcome: 'unknown'
    })
    t.match(await sessions.getSession('call'), { node: 'n2' })
    t.match(await sessions.release(hangUp('call', 'alice', { node: 'n2' })), {
      outcome: 'released'
    })
  },

  'an emergency call is not ended to make room': async (t, start) => {
    const twin = await start({
      max_sessions_per_user: 1,
      session_limit_action: 'terminate_oldest'
    })
    const { sessions } = twin
    await fill(twin, 'alice', ['sos'], emergency)
    t.match(await sessions.acquire(ask('alice', 'a')), {
      outcome: 'admitted',
      terminated: [],
      count: 2
    })
    await twin.pass(1)
    t.match(await sessions.acquire(ask('alice', 'b')), {
      outcome: 'admitted',
      terminated: ['a'],
      count: 2
    })
    t.strictSame(await everything(twin), ['b', 'sos'])
    t.match(await sessions.getSession('sos'), { details: { emergency: true } })
    await sessions.renew([{ sessionId: 'sos', username: 'alice', node: 'n2', attempt: 5 }], TTL)
    t.match(await sessions.getSession('sos'), { attempt: 5, details: { emergency: true } })
  },

  'a call that is up becomes an emergency call when it is called one': async (t, start) => {
    const twin = await start({
      max_sessions_per_user: 1,
      session_limit_action: 'terminate_oldest'
    })
    const { sessions } = twin
    await admit(sessions, 'alice', 'a', { details: { callId: 'x' } })
    t.match(await sessions.acquire(ask('alice', 'a', emergency)), {
      outcome: 'refreshed',
      lease: { details: { callId: 'x', emergency: true } }
    })
    t.match(await admit(sessions, 'alice', 'b', { node: 'n1' }), { terminated: [], count: 2 })
    const session = { sessionId: 'b', username: 'alice', ...emergency }
    await sessions.reconcileNode(reported({ node: 'n1', epoch: 1, sessions: [session] }))
    t.match(await admit(sessions, 'alice', 'c'), { terminated: [], count: 3 })
    t.strictSame(await everything(twin), ['a', 'b', 'c'])
    t.match(await sessions.acquire(ask('alice', 'a')), { lease: { details: emergency.details } })
    t.match(await sessions.terminateUser('alice', 'fraud', false), { terminated: ['c'] })
  },

  'emergency calls are spared by the end of all, unless they are meant': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 0 })
    const { sessions } = twin
    await fill(twin, 'alice', ['sos'], emergency)
    await fill(twin, 'alice', ['a', 'b'])
    const first = await sessions.terminateUser('alice', 'fraud', false)
    t.strictSame(first.terminated.sort(), ['a', 'b'])
    t.strictSame(first.spared, ['sos'])
    t.strictSame(await everything(twin), ['sos'])
    t.strictSame(await sessions.terminateUser('alice', 'fraud', true), {
      terminated: ['sos'],
      spared: []
    })
    t.strictSame(await everything(twin), [])
  },

  'who asks again is told again what was ended to make room': async (t, start) => {
    const twin = await start({
      max_sessions_per_user: 2,
      session_limit_action: 'terminate_oldest'
    })
    const { sessions, limits } = twin
    await fill(twin, 'alice', ['a', 'b'])
    await limits.setLimit('alice', 1)
    const { terminated } = await admit(sessions, 'alice', 'c', { details: { callId: 'x' } })
    t.strictSame(terminated, ['a', 'b'])
    const again = await sessions.acquire(ask('alice', 'c'))
    t.match(again, { outcome: 'refreshed', terminated: ['a', 'b'], lease: { attempt: 0 } })
    t.strictSame(again.outcome === 'refreshed' && again.lease.details.callId, 'x')
    t.match(await sessions.acquire(ask('alice', 'c', { attempt: 1 })), {
      outcome: 'refreshed',
      terminated: [],
      lease: { attempt: 1 }
    })
    t.match(await sessions.getSession('c'), { attempt: 1, details: { callId: 'x' } })
  }
}
