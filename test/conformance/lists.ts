import { encodeCursor } from '../../services/util/cursor.ts'
import type { Contract } from './contract.ts'
import {
  admit,
  everything,
  idsOf,
  names,
  pages,
  shown,
  TTL,
  hangUp
} from './words.ts'

/** What single sessions, lists, pages and counts show. */
export const lists: Contract = {
  'lists have every session exactly once, whatever the page size': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 0 })
    const { sessions } = twin
    const [alices, bobs] = [names('a', 40), names('b', 7)]
    await Promise.all(
      alices.map(
        async (id, i) => await admit(sessions, 'alice', id, { node: i % 4 === 0 ? 'n1' : 'n2' })
      )
    )
    await Promise.all(bobs.map(async (id) => await admit(sessions, 'bob', id, { node: 'n1' })))
    await sessions.release(hangUp('a01', 'alice'))
    const up = alices.filter((id) => id !== 'a01')
    const onN1 = alices.filter((_id, i) => i % 4 === 0)
    const wanted: Array<[{ username?: string; node?: string }, string[]]> = [
      [{}, [...up, ...bobs]],
      [{ username: 'alice' }, up],
      [{ username: 'bob' }, bobs],
      [{ node: 'n1' }, [...onN1, ...bobs]],
      [{ username: 'alice', node: 'n1' }, onN1],
      [{ username: 'bob', node: 'n2' }, []],
      [{ username: 'nobody' }, []],
      [{ node: 'none' }, []]
    ]
    for (const [filter, ids] of wanted) {
      for (const count of [1, 2, 1000]) {
        const got = await pages(async (page) => await sessions.listSessions(filter, page), count)
        t.ok(
          got.every((page) => page.length <= count),
          'no page is longer than asked for'
        )
        t.strictSame(idsOf(got.flat()), ids, `${JSON.stringify(filter)} in pages of ${count}`)
      }
    }
    const [session] = (await sessions.listSessions({ username: 'bob' }, { cursor: '', count: 1 }))
      .entries
    t.strictSame(
      session,
      await sessions.getSession(session?.sessionId ?? ''),
      'a listed session is whole'
    )
  },

  'a cursor fits into a query, even with the longest names': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 0 })
    const { sessions } = twin
    const [username, node] = [`u@${'d'.repeat(126)}`, 'n'.repeat(128)]
    for (const [user, size] of [
      [username, 60],
      [username, 250],
      ['u', 60]
    ] as const) {
      const ids = names('i'.repeat(size - 4) + (user.length % 9), 100)
      await Promise.all(ids.map(async (id) => await admit(sessions, user, id, { node })))
      const got = await pages(
        async (page) => await sessions.listSessions({ username: user }, page),
        7
      )
      t.strictSame(idsOf(got.flat()), ids, `ids of ${size} characters`)
      await sessions.listSessions({ node }, { cursor: '', count: 1 })
      t.equal(
        (await pages(async (page) => await sessions.listSessions({ node }, page), 30)).flat()
          .length,
        100
      )
      await sessions.terminateUser(user, 'r', false)
    }
  },

  'users are listed in the order of their sessions, with limits and total': async (t, start) => {
    const { sessions, limits } = await start({ max_sessions_per_user: 0 })
    const sizes = { alice: 3, bob: 1, carol: 5, dave: 3, erin: 1 }
    for (const [user, n] of Object.entries(sizes)) {
      for (const id of names(user, n)) await admit(sessions, user, id)
    }
    await admit(sessions, 'gone', 'g')
    await sessions.release(hangUp('g'))
    await limits.setLimit('alice', 9)
    await limits.setTemporaryLimit('bob', { limit: 2, duration: 60 })
    const list = async (
      offset: number,
      limit: number,
      sort: 'sessions_desc' | 'sessions_asc' = 'sessions_desc'
    ) => {
      const { users, total } = await sessions.listUsers({ offset, limit, sort })
      return [total, ...users.map(({ username, sessions: n }) => `${username} ${n}`)]
    }
    t.strictSame(await list(0, 50), [5, 'carol 5', 'alice 3', 'dave 3', 'bob 1', 'erin 1'])
    t.strictSame(await list(0, 50, 'sessions_asc'), [
      5,
      'bob 1',
      'erin 1',
      'alice 3',
      'dave 3',
      'carol 5'
    ])
    t.strictSame(await list(0, 2), [5, 'carol 5', 'alice 3'])
    t.strictSame(await list(2, 2), [5, 'dave 3', 'bob 1'])
    t.strictSame(await list(4, 2), [5, 'erin 1'])
    t.strictSame(await list(6, 2), [5])
    t.strictSame(
      (await sessions.listUsers({ offset: 0, limit: 4, sort: 'sessions_desc' })).users,
      [
        { username: 'carol', sessions: 5, limit: 0, unlimited: true, source: 'default' },
        { username: 'alice', sessions: 3, limit: 9, unlimited: false, source: 'user' },
        { username: 'dave', sessions: 3, limit: 0, unlimited: true, source: 'default' },
        { username: 'bob', sessions: 1, limit: 2, unlimited: false, source: 'temporary' }
      ]
    )
  },

  'counts are those of live leases, for one user, in pages, and for all': async (t, start) => {
    const { sessions, pass } = await start({ max_sessions_per_user: 0 })
    const expected: Array<[string, number]> = names('user', 12).map((user, i) => [
      user,
      (i % 3) + 1
    ])
    for (const [user, n] of expected) {
      for (const id of names(`${user}-`, n)) await admit(sessions, user, id)
    }
    await admit(sessions, 'gone', 'g1')
    await sessions.release(hangUp('g1'))
    await admit(sessions, 'expired', 'e1', { ttlMs: 30 })
    await admit(sessions, 'user000', 'e2', { ttlMs: 500 })
    t.match(await sessions.getCount('user000'), { count: 2, leases: 2 })
    await pass(501)
    t.match(await sessions.getCount('user000'), {
      count: 1,
      leases: 1,
      external: 0,
      available: null
    })
    const byName = (entries: Array<[string, number]>) =>
      entries.sort(([a], [b]) => (a < b ? -1 : 1))
    for (const count of [1, 5, 1000]) {
      t.strictSame(
        byName((await pages(async (page) => await sessions.listCounts(page), count)).flat()),
        expected
      )
    }
    const all: Array<[string, number]> = []
    for await (const batch of sessions.allCounts()) all.push(...batch)
    t.strictSame(byName(all), expected)
    await sessions.sweep(1)
    t.match(await sessions.getCount('user002'), { count: 3 })
  },

  'a session reads back as it was given': async (t, start) => {
    const { sessions } = await start()
    const details = {
      callId: '7f3a b@pbx "1"\\',
      from: '"Ölga 😀" <sip:ö@例え.jp>;tag=+1 - x',
      to: 'line\nbreak\ttab\u0000nul\u2028',
      direction: 'outbound' as const,
      metadata: {
        text: '',
        long: 'x'.repeat(256),
        number: -1.5e-7,
        big: 2 ** 53 - 1,
        yes: true,
        no: false,
        __proto__x: '{}',
        'ключ ': '- + 1 2'
      }
    }
    const { lease } = await admit(sessions, 'alice@example.net', 'a:b~c+d@e.f-g_h', {
      node: 'n:1',
      details
    })
    t.strictSame(
      { ...lease, startedMs: 0, expiresMs: 0 },
      {
        sessionId: 'a:b~c+d@e.f-g_h',
        username: 'alice@example.net',
        attempt: 0,
        node: 'n:1',
        startedMs: 0,
        expiresMs: 0,
        details
      }
    )
    t.strictSame(shown(await sessions.getSession('a:b~c+d@e.f-g_h')), shown(lease))
    const [renewal] = await sessions.renew(
      [{ sessionId: 'a:b~c+d@e.f-g_h', username: 'alice@example.net', node: 'n:2' }],
      TTL
    )
    if (renewal?.outcome !== 'renewed') return t.fail(renewal?.outcome ?? 'nothing')
    t.match(shown(renewal.lease()), { ...shown(lease), node: 'n:2', expires_at: String })
    t.strictSame(
      shown((await admit(sessions, '123', '456')).lease),
      shown(await sessions.getSession('456'))
    )
    t.match(shown(await sessions.getSession('456')), {
      username: '123',
      node: null,
      call_id: null,
      from: null,
      to: null,
      direction: null,
      emergency: false,
      metadata: {},
      source: 'lease'
    })
    const own = JSON.parse('{"__proto__":"x","constructor":"y","toString":1}') as Record<
        string,
        string
      >
    await admit(sessions, 'm', 'm', { details: { metadata: own } })
    t.equal(JSON.stringify(shown(await sessions.getSession('m'))?.metadata), JSON.stringify(own))
  },

  'names such as toString are names like any other': async (t, start) => {
    const twin = await start()
    for (const name of ['toString', 'hasOwnProperty', 'valueOf', '__defineGetter__']) {
      t.match(await admit(twin.sessions, name, `${name}-1`), { count: 1, limit: 5 })
      t.match(await admit(twin.sessions, name, name), { count: 2 })
      t.strictSame(await everything(twin, { username: name }), [`${name}-1`, name].sort())
    }
  },

  'a cursor that no list gave is refused': async (t, start) => {
    const { sessions } = await start()
    for (const cursor of [
      'x',
      'bnVsbA',
      encodeCursor({}),
      encodeCursor([0, 'x', []]),
      encodeCursor([-1, '0', []]),
      encodeCursor([0, '0', [5]]),
      encodeCursor([0, '0'])
    ]) {
      for (const read of [
        async () => await sessions.listSessions({}, { cursor, count: 1 }),
        async () => await sessions.listSessions({ username: 'a' }, { cursor, count: 1 }),
        async () => await sessions.listNodes({ cursor, count: 1 }),
        async () => await sessions.listCounts({ cursor, count: 1 })
      ] satisfies Array<() => Promise<unknown>>) {
        await t.rejects(read() as Promise<unknown>, { code: 'invalid_input' })
      }
    }
  }
}
