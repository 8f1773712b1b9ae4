import type { AcquireResult } from '../../services/sessions/session-store.ts'
import type { Contract, Twin } from './contract.ts'
import {
  admit,
  ask,
  endOf,
  everything,
  fill,
  FOREVER,
  names,
  outcomes,
  shown,
  strip,
  TTL,
  hangUp, reported
} from './words.ts'

/** What an admission takes, whom it refuses, and whom it ends. */
export const admission: Contract = {
  'acquire takes slots up to the limit and no further': async (t, start) => {
    const { sessions, now } = await start()
    for (let i = 1; i <= 5; i++) {
      t.match(await admit(sessions, 'alice', `a${i}`), {
        count: i,
        limit: 5,
        terminated: [],
        observed: false
      })
    }
    t.strictSame(strip(await sessions.acquire(ask('alice', 'a6'))), {
      outcome: 'limit_reached',
      count: 5,
      limit: 5
    })
    t.equal(await sessions.getSession('a6'), null, 'what was refused is not there')
    t.strictSame(await sessions.getCount('alice'), {
      username: 'alice',
      count: 5,
      limit: 5,
      available: 0,
      leases: 5,
      external: 0
    })
    t.equal(
      (await sessions.acquire(ask('Alice', 'A1'))).outcome,
      'admitted',
      'another user, by case'
    )
    const session = await sessions.getSession('a1')
    const [started, expires, at] = [
      session?.startedMs ?? NaN,
      endOf(session),
      await now()
    ]
    t.equal(expires - started, TTL)
    t.ok(started <= at && started > at - 5000, "the time is the store's")
  },

  'a second acquire of a held id refreshes it, even over the limit, and takes no slot': async (
    t,
    start
  ) => {
    const twin = await start()
    const { sessions, limits, pass } = twin
    const first = await admit(sessions, 'alice', 'a', {
      node: 'n1',
      details: { from: 'sip:x@y', emergency: false }
    })
    await admit(sessions, 'alice', 'b')
    await limits.setLimit('alice', 1)
    await pass(20)
    const again = await sessions.acquire(
      ask('alice', 'a', { ttlMs: 2 * TTL, details: { from: 'other' } })
    )
    if (again.outcome !== 'refreshed') return t.fail(again.outcome)
    t.match(again, { count: 2, limit: 1, terminated: [], observed: false })
    t.match(
      again.lease,
      { startedMs: first.lease.startedMs, node: 'n1', details: { from: 'sip:x@y' } },
      'it stays the call that it was'
    )
    t.ok(
      again.lease.expiresMs - first.lease.expiresMs >=
            TTL + 20
    )
    t.strictSame(shown(await sessions.getSession('a')), shown(again.lease))
    t.equal((await sessions.getCount('alice')).count, 2)
  },

  'a refresh that names no node leaves the lease on its node': async (t, start) => {
    const { sessions, pass } = await start()
    await sessions.reconcileNode(reported({
      node: 'n1',
      epoch: 1,
      sessions: [],
      ttlMs: TTL,
      asOfMs: FOREVER
    }))
    await admit(sessions, 'alice', 'a', { node: 'n1', ttlMs: 200 })
    await sessions.acquire(ask('alice', 'a'))
    await sessions.acquire(ask('alice', 'a', { node: 'n2' }))
    await pass(250)
    t.match((await sessions.listNodes({ cursor: '', count: 10 })).entries, [
      { node: 'n1', sessions: 1 }
    ])
    t.strictSame(await everything({ sessions } as Twin, { node: 'n1' }), ['a'])
    t.strictSame(await everything({ sessions } as Twin, { node: 'n2' }), [])
  },

  'the id of another user is a conflict, and nothing changes': async (t, start) => {
    const { sessions } = await start()
    const { lease } = await admit(sessions, 'alice', 'x')
    t.strictSame(await sessions.acquire(ask('bob', 'x', { ttlMs: 2 * TTL })), {
      outcome: 'conflict'
    })
    t.strictSame(await sessions.acquire(ask('bob', 'x', { dryRun: true })), {
      outcome: 'conflict'
    })
    t.strictSame(await sessions.acquire(ask('bob', 'x', { details: { emergency: true } })), {
      outcome: 'conflict'
    })
    t.strictSame(await sessions.renew([{ sessionId: 'x', username: 'bob' }], TTL), [
      { outcome: 'conflict' }
    ])
    t.strictSame(await sessions.release(hangUp('x', 'bob')), { outcome: 'conflict' })
    t.strictSame(shown(await sessions.getSession('x')), shown(lease))
    t.equal((await sessions.getCount('bob')).count, 0)
  },

  'an id whose lease has expired is free for every user': async (t, start) => {
    const { sessions, pass } = await start({ max_sessions_per_user: 1 })
    await admit(sessions, 'alice', 'x', { ttlMs: 100 })
    await admit(sessions, 'carol', 'y', { ttlMs: 100, details: { from: 'old' } })
    await pass(101)
    t.match(await admit(sessions, 'bob', 'x'), { count: 1, lease: { username: 'bob' } })
    t.equal((await sessions.getCount('alice')).count, 0)
    t.strictSame(await sessions.renew([{ sessionId: 'x', username: 'alice' }], TTL), [
      { outcome: 'conflict' }
    ])
    t.match(await admit(sessions, 'carol', 'y', { details: { from: 'new' } }), {
      count: 1,
      lease: { details: { from: 'new' } }
    })
    t.match(await sessions.getSession('y'), { details: { from: 'new' } })
    t.equal((await sessions.acquire(ask('carol', 'z'))).outcome, 'limit_reached')
  },

  'a dry run answers as an acquire would and takes nothing': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 2 })
    const { sessions, policy } = twin
    const dry = async (id: string) =>
      await sessions.acquire(ask('alice', id, { dryRun: true, node: 'n' }))
    t.match(await dry('a'), { outcome: 'admitted', count: 1, limit: 2, terminated: [] })
    t.match(await dry('a'), { outcome: 'admitted', count: 1 }, 'and has taken nothing before')
    await fill(twin, 'alice', ['a', 'b'])
    const before = await sessions.getSession('a')
    await twin.pass(10)
    t.match(await dry('a'), { outcome: 'refreshed', count: 2 })
    t.strictSame(await sessions.getSession('a'), before, 'nothing was refreshed')
    t.match(await dry('c'), { outcome: 'limit_reached', count: 2, limit: 2 })
    await policy.update({ session_limit_action: 'terminate_oldest' })
    t.match(await dry('c'), { outcome: 'admitted', count: 2, terminated: ['a'] })
    t.strictSame(await everything(twin), ['a', 'b'], 'nobody was ended')
    await policy.update({ session_limit_action: 'observe' })
    t.match(await dry('c'), { outcome: 'admitted', count: 3, observed: true })
    await sessions.release(hangUp('a', 'alice'))
    t.strictSame(await dry('a'), { outcome: 'ended' })
    t.strictSame(await everything(twin), ['b'])
    t.strictSame(await everything(twin, { node: 'n' }), [])
  },

  'an emergency call is always admitted, counts, and ends no other call': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 1 })
    const { sessions, policy } = twin
    const emergency = { details: { emergency: true } }
    await admit(sessions, 'alice', 'a')
    t.match(await admit(sessions, 'alice', 'sos1', emergency), {
      count: 2,
      limit: 1,
      terminated: [],
      observed: false,
      lease: { details: { emergency: true } }
    })
    await policy.update({ session_limit_action: 'terminate_oldest' })
    t.match(await admit(sessions, 'alice', 'sos2', emergency), { count: 3, terminated: [] })
    t.equal((await sessions.getCount('alice')).count, 3)
    await policy.update({ session_limit_action: 'reject' })
    t.match(await sessions.acquire(ask('alice', 'b')), {
      outcome: 'limit_reached',
      count: 3,
      limit: 1
    })
    t.equal(shown(await sessions.getSession('sos1'))?.emergency, true)
  },

  'observe admits and marks what is over the limit; limits that are off only count': async (
    t,
    start
  ) => {
    const { sessions, policy } = await start({
      max_sessions_per_user: 1,
      session_limit_action: 'observe'
    })
    t.match(await admit(sessions, 'alice', 'a'), { observed: false, count: 1 })
    t.match(await admit(sessions, 'alice', 'b'), {
      observed: true,
      count: 2,
      limit: 1,
      terminated: []
    })
    for (const action of ['reject', 'terminate_oldest', 'observe'] as const) {
      await policy.update({ enabled: false, session_limit_action: action })
      t.match(await admit(sessions, 'alice', `off-${action}`), {
        observed: false,
        terminated: []
      })
    }
    t.equal((await sessions.getCount('alice')).count, 5)
    await policy.update({ enabled: true, session_limit_action: 'reject' })
    t.match(await sessions.acquire(ask('alice', 'c')), { outcome: 'limit_reached', count: 5 })
  },

  "a limit of 0 is unlimited, the user's own as well as the policy's": async (t, start) => {
    const { sessions, limits, policy } = await start({ max_sessions_per_user: 1 })
    await limits.setLimit('alice', 0)
    for (const id of names('a', 8)) {
      t.match(await admit(sessions, 'alice', id), { limit: 0, terminated: [], observed: false })
    }
    t.match(await sessions.getCount('alice'), { count: 8, limit: 0, available: null })
    for (const action of ['terminate_oldest', 'observe'] as const) {
      await policy.update({ session_limit_action: action })
      t.match(await admit(sessions, 'alice', action), { terminated: [], observed: false })
    }
    await policy.update({ max_sessions_per_user: 0, session_limit_action: 'reject' })
    for (const id of names('b', 3)) t.match(await admit(sessions, 'bob', id), { limit: 0 })
    await limits.setLimit('bob', 3)
    t.match(
      await sessions.acquire(ask('bob', 'b9')),
      { outcome: 'limit_reached', count: 3, limit: 3 },
      'an own limit goes before'
    )
  },

  "a temporary limit goes before the user's own, and that before the policy": async (t, start) => {
    const { sessions, limits, policy, pass } = await start()
    await fill({ sessions, pass } as Twin, 'alice', names('a', 3))
    const next = async () => {
      const result = await sessions.acquire(ask('alice', 'next', { dryRun: true }))
      return 'limit' in result ? [result.outcome, result.limit] : [result.outcome]
    }
    t.strictSame(await next(), ['admitted', 5])
    await limits.setLimit('alice', 3)
    t.strictSame(await next(), ['limit_reached', 3])
    await limits.setTemporaryLimit('alice', { limit: 4, duration: 1 })
    t.strictSame(await next(), ['admitted', 4])
    await pass(1001)
    t.strictSame(await next(), ['limit_reached', 3], 'until it ends')
    await limits.setTemporaryLimit('alice', { limit: 0, duration: 60 })
    t.strictSame(await next(), ['admitted', 0])
    await limits.setTemporaryLimit('alice', { limit: 2, duration: 60, reason: '9 9 9' })
    t.strictSame(await next(), ['limit_reached', 2])
    await limits.removeTemporaryLimit('alice')
    await limits.removeLimit('alice')
    t.strictSame(await next(), ['admitted', 5])
    await policy.update({ max_sessions_per_user: 1 })
    t.strictSame(await next(), ['limit_reached', 1])
    await limits.setLimit('alice', 1_000_000)
    t.strictSame(await next(), ['admitted', 1_000_000])
  },

  'terminate_oldest ends as many as needed, in the order of their start, and names them': async (
    t,
    start
  ) => {
    const twin = await start({ session_limit_action: 'terminate_oldest' })
    const { sessions, limits } = twin
    await limits.setLimit('alice', 10)
    // In an order that neither the ids nor the ends of the leases give away.
    const ids = ['m', 'c', 'z', 'a', 'k', 'b', 'y', 'd', 'x', 'e']
    for (const [i, id] of ids.entries()) {
      await admit(sessions, 'alice', id, {
        ttlMs: TTL + (i % 2 === 0 ? i : -i) * 1000,
        node: i % 3 === 0 ? 'n1' : undefined
      })
      await twin.pass(2)
    }
    await admit(sessions, 'bob', 'bobs')
    await sessions.renew([{ sessionId: 'm', username: 'alice' }], 10 * TTL)
    await limits.setLimit('alice', 3)
    const result = await admit(sessions, 'alice', 'new')
    t.match({ count: result.count, limit: result.limit }, { count: 3, limit: 3 })
    t.strictSame(result.terminated, ids.slice(0, 8), 'a renewal makes nobody younger')
    t.strictSame(await everything(twin, { username: 'alice' }), ['e', 'new', 'x'])
    t.equal((await sessions.getCount('alice')).count, 3)
    t.strictSame(
      await everything(twin, { node: 'n1' }),
      ['e'],
      'nor are they on their nodes any more'
    )
    for (const id of result.terminated) {
      t.strictSame(await sessions.acquire(ask('alice', id)), { outcome: 'ended' })
    }
    t.strictSame(outcomes(await sessions.renew([{ sessionId: 'm', username: 'alice' }], TTL)), [
      'ended'
    ])
    t.strictSame(
      (await admit(sessions, 'alice', 'new2')).terminated,
      ['x'],
      'at the limit one makes room for one'
    )
    t.strictSame(await everything(twin, { username: 'bob' }), ['bobs'])
  },

  'an id acquired 50 times at once holds one slot': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 3 })
    const { sessions } = twin
    const results = await Promise.all(
      Array.from({ length: 50 }, async () => await sessions.acquire(ask('alice', 'x')))
    )
    const tally = (wanted: AcquireResult['outcome']) =>
      results.filter(({ outcome }) => outcome === wanted).length
    t.strictSame([tally('admitted'), tally('refreshed')], [1, 49])
    t.equal((await sessions.getCount('alice')).count, 1)
    const others = await Promise.all(
      names('y', 40).map(async (id) => await sessions.acquire(ask('alice', id)))
    )
    t.equal(others.filter(({ outcome }) => outcome === 'admitted').length, 2)
    t.equal((await everything(twin)).length, 3)
  }
}
