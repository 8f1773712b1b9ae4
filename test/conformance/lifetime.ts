import type { SessionStore } from '../helpers/one-store.ts'
import type { Contract } from './contract.ts'
import {
  admit,
  ask,
  everything,
  HOUR,
  FOREVER,
  names,
  outcomes,
  shown,
  TTL,
  hangUp, reported
} from './words.ts'

/** How a session goes on, ends, and stays ended. */
export const lifetime: Contract = {
  'an ended id stays ended for as long as its lease could have lasted': async (t, start) => {
    const policy = { session_limit_action: 'terminate_oldest', max_sessions_per_user: 1 } as const
    const ends: Array<(sessions: SessionStore) => Promise<unknown>> = [
      async (sessions) => await sessions.release(hangUp('long')),
      async (sessions) => await admit(sessions, 'alice', 'other')
    ]
    for (const end of ends) {
      const { sessions, age } = await start(policy)
      await admit(sessions, 'alice', 'long', { ttlMs: 24 * HOUR })
      await end(sessions)
      t.strictSame(await sessions.acquire(ask('carol', 'long')), { outcome: 'ended' }, 'soon after')
      await age('long', 23 * HOUR)
      t.strictSame(
        outcomes(await sessions.renew([{ sessionId: 'long', username: 'alice' }], TTL)),
        ['ended'],
        'a day later'
      )
    }
  },

  'renew prolongs a lease': async (t, start) => {
    const { sessions, now, pass } = await start()
    const { lease } = await admit(sessions, 'alice', 'a', {
      details: { to: 'sip:b@c' },
      node: 'n1'
    })
    await pass(5)
    const before = await now()
    const [result] = await sessions.renew([{ sessionId: 'a', username: 'alice' }], 2 * TTL)
    const after = await now()
    if (result?.outcome !== 'renewed') return t.fail(result?.outcome ?? 'nothing')
    const renewed = result.lease()
    t.equal(renewed.expiresMs, result.expiresMs)
    t.ok(renewed.expiresMs >= before + 2 * TTL && renewed.expiresMs <= after + 2 * TTL)
    t.strictSame(shown({ ...renewed, expiresMs: 0 }), shown({ ...lease, expiresMs: 0 }))
    t.strictSame(shown(await sessions.getSession('a')), shown(renewed))
    const [shorter] = await sessions.renew([{ sessionId: 'a', username: 'alice' }], 10_000)
    t.ok(
      shorter?.outcome === 'renewed' && shorter.expiresMs < before + TTL,
      'a shorter one counts as well'
    )
    t.strictSame(await sessions.renew([], TTL), [])
  },

  'renew registers an unknown session, even over the limit, and an expired one as it was': async (
    t,
    start
  ) => {
    const { sessions, pass } = await start({ max_sessions_per_user: 1 })
    await admit(sessions, 'alice', 'a')
    const { lease } = await admit(sessions, 'bob', 'b', {
      ttlMs: 50,
      details: { from: 'sip:b@x', metadata: { k: 'v' } },
      node: 'n1'
    })
    await pass(60)
    const [unknown, expired] = await sessions.renew(
      [
        { sessionId: 'u', username: 'alice', node: 'n2', details: { callId: 'c' } },
        { sessionId: 'b', username: 'bob' }
      ],
      TTL
    )
    if (unknown?.outcome !== 'reregistered' || expired?.outcome !== 'reregistered') {
      return t.fail(`${unknown?.outcome} and ${expired?.outcome}`)
    }
    t.match(unknown.lease(), {
      sessionId: 'u',
      username: 'alice',
      node: 'n2',
      details: { callId: 'c' }
    })
    t.match(shown(expired.lease()), { ...shown(lease), expires_at: String })
    t.match(await sessions.getCount('alice'), { count: 2, limit: 1, available: 0 })
    t.strictSame(outcomes(await sessions.renew([{ sessionId: 'u', username: 'alice' }], TTL)), [
      'renewed'
    ])
    t.match(await sessions.acquire(ask('alice', 'v')), {
      outcome: 'limit_reached',
      count: 2,
      limit: 1
    })
  },

  'a batch of renewals has one result per item, in order': async (t, start) => {
    const { sessions } = await start({ max_sessions_per_user: 0 })
    await admit(sessions, 'alice', 'known')
    await admit(sessions, 'bob', 'bobs')
    await admit(sessions, 'alice', 'gone')
    await sessions.release(hangUp('gone'))
    t.strictSame(
      outcomes(
        await sessions.renew(
          [
            { sessionId: 'gone', username: 'alice' },
            { sessionId: 'known', username: 'alice' },
            { sessionId: 'bobs', username: 'alice' },
            { sessionId: 'new', username: 'alice' },
            { sessionId: 'new', username: 'alice' },
            { sessionId: 'new', username: 'bob' },
            {
              sessionId: 'bobs',
              username: 'bob'
            }
          ],
          TTL
        )
      ),
      ['ended', 'renewed', 'conflict', 'reregistered', 'renewed', 'conflict', 'renewed']
    )
    const many = Array.from({ length: 1001 }, (_, i) => ({
      sessionId: `s${i}`,
      username: `u${i % 7}`
    }))
    const results = await sessions.renew(many, TTL)
    t.strictSame(
      results.map((result) => result.outcome === 'reregistered' && result.lease().sessionId),
      many.map(({ sessionId }) => sessionId)
    )
    t.strictSame(
      new Set(outcomes(await sessions.renew(many.reverse(), TTL))),
      new Set(['renewed'])
    )
  },

  'release ends a session once, and an unknown id from then on': async (t, start) => {
    const { sessions, pass } = await start({ max_sessions_per_user: 1 })
    await admit(sessions, 'alice', 'a', { node: 'n1' })
    t.match(await sessions.release(hangUp('a', 'alice')), { outcome: 'released' })
    t.match(await sessions.release(hangUp('a', 'alice')), { outcome: 'unknown' })
    t.match(await sessions.release(hangUp('a')), { outcome: 'unknown' })
    t.match(await sessions.release(hangUp('never', 'alice')), { outcome: 'unknown' })
    t.match(await sessions.release(hangUp('never')), { outcome: 'unknown' })
    t.equal(await sessions.getSession('a'), null)
    t.equal((await sessions.getCount('alice')).count, 0)
    t.strictSame(
      (await sessions.listSessions({ node: 'n1' }, { cursor: '', count: 9 })).entries,
      []
    )
    await admit(sessions, 'alice', 'b', { ttlMs: 50 })
    await pass(51)
    t.match(
      await sessions.release(hangUp('b')),
      { outcome: 'unknown' },
      'an expired one was not up either'
    )
    for (const id of ['never', 'b']) {
      t.strictSame(await sessions.acquire(ask('alice', id)), { outcome: 'ended' })
    }
  },

  'an ended id stays ended for an hour after the last attempt to use it': async (t, start) => {
    const { sessions, age } = await start()
    await admit(sessions, 'alice', 'a')
    await sessions.release(hangUp('a'))
    const tries: Array<() => Promise<{ outcome: string } | undefined>> = [
      async () => await sessions.acquire(ask('alice', 'a')),
      async () => await sessions.acquire(ask('bob', 'a')),
      async () => await sessions.acquire(ask('alice', 'a', { details: { emergency: true } })),
      async () => (await sessions.renew([{ sessionId: 'a', username: 'alice' }], TTL))[0],
      async () => (await sessions.renew([{ sessionId: 'a', username: 'bob' }], TTL))[0]
    ]
    for (const attempt of tries) {
      await age('a', HOUR - 5000)
      t.strictSame(await attempt(), { outcome: 'ended' })
    }
    t.match(
      await sessions.reconcileNode(reported({
        node: 'n',
        epoch: 1,
        sessions: [{ sessionId: 'a', username: 'alice' }],
        ttlMs: TTL,
        asOfMs: FOREVER
      })),
      { ended: ['a'] }
    )
    t.equal((await sessions.getCount('alice')).count, 0)
    await age('a', HOUR - 5000)
    await sessions.release(hangUp('a', 'alice'))
    await sessions.acquire(ask('alice', 'a', { dryRun: true }))
    await age('a', 6000)
    await admit(sessions, 'alice', 'a')
    t.pass('an hour after the last try the id is free')
  },

  'terminating a user ends all its sessions and no other': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 0 })
    const { sessions, pass } = twin
    const ids = names('a', 300)
    await Promise.all(ids.map(async (id) => await admit(sessions, 'alice', id, { node: 'n1' })))
    await admit(sessions, 'bob', 'b', { node: 'n1' })
    await admit(sessions, 'alice', 'expired', { ttlMs: 20 })
    await pass(21)
    t.strictSame((await sessions.terminateUser('alice', 'fraud', false)).terminated.sort(), ids)
    t.strictSame(await sessions.terminateUser('alice', 'fraud', false), {
      terminated: [],
      spared: []
    })
    t.strictSame(await everything(twin), ['b'])
    t.strictSame(await everything(twin, { node: 'n1' }), ['b'])
    t.equal((await sessions.getCount('alice')).count, 0)
    t.strictSame(await sessions.acquire(ask('alice', ids[0] ?? '')), { outcome: 'ended' })
  },

  'a lease ends no earlier than its time after the last renewal, and within a second of it': async (
    t,
    start
  ) => {
    const { sessions, now, pass } = await start()
    const ttlMs = 300
    const takes: Array<() => Promise<unknown>> = [
      async () => await sessions.acquire(ask('alice', 'x', { ttlMs })),
      async () => await sessions.acquire(ask('alice', 'x', { ttlMs })),
      async () => await sessions.renew([{ sessionId: 'x', username: 'alice' }], ttlMs),
      async () =>
        await sessions.reconcileNode(reported({
          node: 'n',
          epoch: 1,
          sessions: [{ sessionId: 'x', username: 'alice' }],
          ttlMs,
          asOfMs: FOREVER
        }))
    ]
    let [from, to] = [0, 0]
    for (const take of takes) {
      from = await now()
      await take()
      to = await now()
      await pass(200)
      t.ok((await sessions.getSession('x')) ?? (await now()) >= from + ttlMs, 'up')
    }
    for (let up = true; up;) {
      const before = await now()
      up = (await sessions.getSession('x')) !== null
      const [counted, after] = [(await sessions.getCount('alice')).count, await now()]
      if (up && before > to + ttlMs + 1000) {
        return t.fail(`up ${before - to} ms after it was renewed for ${ttlMs}`)
      }
      if ((!up || counted === 0) && after < from + ttlMs) {
        return t.fail(`gone ${after - from} ms after it was renewed for ${ttlMs}`)
      }
      await pass(1)
    }
    t.strictSame(await sessions.listSessions({}, { cursor: '', count: 9 }), {
      entries: [],
      next_cursor: null
    })
  }
}
