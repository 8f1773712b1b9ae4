/** Renewals and releases over HTTP, on the memory store and on Redis. */
import t from 'tap'
import { ADMIN, as, startApp, startOwnApp } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import { RFC3339, isProblem, bare, timeless, newUser, admission } from './api.ts'

const redis = await startRedis(t)

const apps = {
  memory: await startApp(t),
  redis: await startOwnApp(t, redis)
}

for (const [store, app] of Object.entries(apps)) {
  const send = as(app, ADMIN)
  const acquire = async (username: string, id: string, more: object = {}) =>
    await send('POST', admission, {
      username,
      session_id: id,
      ...more
    })

  t.test(`${store}: renewing`, async (t) => {
    t.test(
      'one is 200 with the session, also for one that is unknown, even over the limit',
      async (t) => {
        const user = newUser()
        const {
          body: { session }
        } = await acquire(user, `${user}-1`, { ttl: 10, node: 'pbx-1' })
        const renewed = await send('POST', `${admission}/${user}-1/renew`, {
          username: user,
          ttl: 3600
        })
        t.equal(renewed.status, 200)
        t.strictSame(
          { ...renewed.body, session: null },
          { session: null, reregistered: false, degraded: false }
        )
        t.strictSame(
          { ...renewed.body.session, expires_at: null },
          { ...session, expires_at: null }
        )
        const longer = Date.parse(renewed.body.session.expires_at) - Date.parse(session.expires_at)
        t.ok(longer >= 3590_000 && longer < 3650_000, `ends ${longer} ms later`)
        await send('PUT', `/api/sessions/limits/${user}`, { limit: 1 })
        const { status, body } = await send('POST', `${admission}/${user}-2/renew`, {
          username: user
        })
        t.equal(status, 200)
        t.strictSame(
          { ...body, session: timeless(t, body.session) },
          {
            session: bare(user, `${user}-2`),
            reregistered: true,
            degraded: false
          }
        )
        t.equal((await send('GET', `/api/sessions/counts/${user}`)).body.count, 2)
      }
    )

    t.test('a session of another user is 409, an ended one 410', async (t) => {
      const user = newUser()
      await acquire(user, `${user}-1`)
      isProblem(
        t,
        await send('POST', `${admission}/${user}-1/renew`, { username: 'other' }),
        {
          status: 409,
          code: 'session_id_conflict'
        },
        "another user's"
      )
      await send('DELETE', `${admission}/${user}-1`)
      isProblem(
        t,
        await send('POST', `${admission}/${user}-1/renew`, { username: user }),
        { status: 410, code: 'session_ended' },
        'ended'
      )
      isProblem(
        t,
        await send('POST', `${admission}/${user}-1/renew`, { username: 'other' }),
        {
          status: 410,
          code: 'session_ended'
        },
        'ended, by another'
      )
    })

    t.test('a batch has one result per item, in order', async (t) => {
      const [alice, bob] = [newUser(), newUser()]
      await acquire(alice, `${alice}-known`)
      await acquire(alice, `${alice}-ended`)
      await send('DELETE', `${admission}/${alice}-ended`)
      const items = [
        ['ended', alice],
        ['known', bob],
        ['known', alice],
        ['new', alice],
        ['new', alice]
      ].map(([name, username]) => ({ session_id: `${alice}-${name}`, username }))
      const { status, body } = await send('POST', `${admission}/renew`, {
        sessions: items,
        ttl: 60
      })
      t.equal(status, 200)
      const results = ['session_ended', 'session_id_conflict', 'renewed', 'reregistered', 'renewed']
      t.strictSame(
        body.results.map(({ expires_at: _end, ...rest }: { expires_at: unknown }) => rest),
        items.map((item, i) => ({ ...item, outcome: results[i], result: results[i] }))
      )
      t.match(
        body.results.map(({ expires_at: end }: { expires_at: unknown }) => end),
        [null, null, RFC3339, RFC3339, RFC3339]
      )
      t.strictSame(Object.keys(body), ['results', 'degraded'])
      t.strictSame((await send('POST', `${admission}/renew`, { sessions: [] })).body, {
        results: [],
        degraded: false
      })
    })

    t.test('a batch names an item that is not valid, and takes the others', async (t) => {
      const user = newUser()
      const good = { session_id: `${user}-1`, username: user }
      const bad = [
        null,
        5,
        {},
        { session_id: `${user}-2` },
        { ...good, username: 'constructor' },
        { ...good, session_id: 'a b' },
        { ...good, extra: 1 },
        { ...good, attempt: '1' }
      ]
      const { status, body } = await send('POST', `${admission}/renew`, {
        sessions: [...bad, good]
      })
      t.equal(status, 200)
      t.equal(body.results.length, bad.length + 1)
      for (const [i, item] of bad.entries()) {
        const { session_id: id = null, username = null } = (item ?? {}) as Record<string, unknown>
        const { detail, ...rest } = body.results[i]
        const invalid = { outcome: 'invalid', result: 'invalid', expires_at: null }
        t.strictSame(rest, { session_id: id, username, ...invalid }, JSON.stringify(item))
        t.match(detail, /\S/, 'and says why')
      }
      t.match(body.results.at(-1), { ...good, outcome: 'reregistered', expires_at: RFC3339 })
      t.equal((await send('GET', `/api/sessions/counts/${user}`)).body.count, 1)
    })

    t.test('a batch of 5,000 is taken, one of 5,001 is 400', async (t) => {
      const user = newUser()
      const items = Array.from({ length: 5001 }, (_, i) => ({
        session_id: `${user}-${i}`,
        username: user
      }))
      t.equal((await send('POST', `${admission}/renew`, { sessions: items })).status, 400)
      t.equal((await send('GET', `/api/sessions/counts/${user}`)).body.count, 0)
      const { status, body } = await send('POST', `${admission}/renew`, {
        sessions: items.slice(1)
      })
      t.strictSame(
        [status, body.results.length, body.results[4999].session_id],
        [200, 5000, `${user}-5000`]
      )
      t.strictSame(
        (await send('DELETE', `/api/sessions/users/${user}/sessions`)).body.terminated.length,
        5000
      )
    })

    t.test('is 400 for a malformed request', async (t) => {
      for (const body of [
        {},
        '',
        { username: '_default' },
        { username: 'a b' },
        { username: 'a', ttl: 9 },
        {
          username: 'a',
          ttl: 86_401
        },
        { username: 'a', node: 'a b' },
        { username: 'a', attempt: -1 },
        { sessions: [] }
      ]) {
        t.match(
          await send('POST', `${admission}/x/renew`, body),
          { status: 400, body: { code: 'invalid_input' } },
          JSON.stringify(body)
        )
      }
      const item = { session_id: 'x', username: 'a' }
      for (const body of [
        {},
        '',
        [],
        { sessions: {} },
        { sessions: [item], node: 'a b' },
        { sessions: [item], ttl: 9 },
        {
          sessions: [item],
          extra: 1
        }
      ]) {
        t.match(
          await send('POST', `${admission}/renew`, body),
          { status: 400, body: { code: 'invalid_input' } },
          JSON.stringify(body)
        )
      }
      for (const id of ['a%20b', '%00', 'i'.repeat(513), '%E4%BE%8B', '%7F']) {
        isProblem(
          t,
          await send('POST', `${admission}/${id}/renew`, { username: 'a' }),
          {
            status: 400,
            code: 'invalid_input'
          },
          id.slice(0, 20)
        )
        isProblem(
          t,
          await send('GET', `${admission}/${id}`),
          { status: 400, code: 'invalid_input' },
          id.slice(0, 20)
        )
        isProblem(
          t,
          await send('DELETE', `${admission}/${id}`),
          { status: 400, code: 'invalid_input' },
          id.slice(0, 20)
        )
      }
      t.equal((await send('GET', `${admission}/x`)).status, 404)
    })
  })

  t.test(`${store}: DELETE /api/sessions/:session_id`, async (t) => {
    t.test('has its fixed shape, with and without body, username and reason', async (t) => {
      const user = newUser()
      const path = `${admission}/${user}-1`
      const variants: Array<[query: string, body: object | string | undefined]> = [
        ['', undefined],
        ['', {}],
        ['', { reason: 'hangup' }],
        [`?username=${user}`, undefined],
        [`?username=${user}`, { reason: '' }],
        ['', { reason: 'line\nbreak "ü" \u0000' }],
        ['', { reason: 'r'.repeat(257) }],
        ['?attempt=0', undefined],
        ['', '']
      ]
      for (const [i, [query, body]] of variants.entries()) {
        const id = `${user}-${i}`
        t.equal((await acquire(user, id)).status, 201)
        for (const released of [true, false]) {
          const { status, text, headers } = await send('DELETE', `${admission}/${id}${query}`, body)
          t.strictSame(
            [status, text],
            [200, `{"success":true,"session_id":"${id}","released":${released},"degraded":false}`]
          )
          t.equal(headers['content-type'], 'application/json; charset=utf-8')
        }
      }
      t.equal((await send('GET', path)).status, 404)
      const { status, text } = await send('DELETE', `${admission}/${user}-never`)
      t.strictSame(
        [status, text],
        [200, `{"success":true,"session_id":"${user}-never","released":false,"degraded":false}`]
      )
    })

    t.test('is 409 for a session of another user, 400 for a malformed request', async (t) => {
      const user = newUser()
      await acquire(user, `${user}-1`)
      isProblem(
        t,
        await send('DELETE', `${admission}/${user}-1?username=other`),
        {
          status: 409,
          code: 'session_id_conflict'
        },
        "another user's"
      )
      for (const query of [
        '?username=',
        '?username=a%20b',
        '?username=_default',
        '?user=x',
        `?username=${user}&username=${user}`
      ]) {
        t.match(
          await send('DELETE', `${admission}/${user}-1${query}`),
          { status: 400, body: { code: 'invalid_input' } },
          query
        )
      }
      for (const body of [
        { reason: 5 },
        { extra: 1 },
        '[]',
        '5',
        '{'
      ]) {
        t.match(
          await send('DELETE', `${admission}/${user}-1`, body),
          {
            status: 400,
            body: { code: 'invalid_input' }
          },
          JSON.stringify(body).slice(0, 50)
        )
      }
      t.equal((await send('GET', `${admission}/${user}-1`)).status, 200, 'it is up still')
    })
  })
}
