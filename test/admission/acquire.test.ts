/** Admission over HTTP, on the memory store and on Redis. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { ADMIN, as, startApp, startOwnApp } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import {
  listed,
  withPolicy,
  isProblem,
  RFC3339,
  bare,
  timeless,
  newUser,
  admission
} from './api.ts'

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

  t.test(`${store}: POST /api/sessions`, async (t) => {
    t.test('is 201 with the session, its count and the limit', async (t) => {
      const user = newUser()
      const { status, body, headers } = await acquire(user, `${user}-1`)
      t.equal(status, 201)
      t.equal(headers['content-type'], 'application/json; charset=utf-8')
      const { session, ...rest } = body
      t.strictSame(rest, { allowed: true, count: 1, limit: 5, terminated: [], degraded: false })
      t.strictSame(timeless(t, session), bare(user, `${user}-1`))

      const details = {
        node: 'pbx-1',
        call_id: '7f3a@pbx1.example.net',
        from: '"Ölga 😀" <sip:ö@例え.jp>',
        to: 'sip:+14155550100@carrier.example.net',
        direction: 'outbound',
        metadata: { trunk: 'carrier-a', attempt: 2, rate: 0.5, video: false }
      }
      const full = await acquire(user, `${user}-2`, { ...details, ttl: 86_400 })
      t.strictSame(
        timeless(t, full.body.session, 86_400),
        bare(user, `${user}-2`, details),
        'what is given is shown'
      )
      t.equal(full.body.count, 2)
      t.strictSame((await send('GET', `${admission}/${user}-2`)).body, full.body.session)
      t.strictSame(
        timeless(t, (await acquire(user, `${user}-3`, { ttl: 10 })).body.session, 10),
        bare(user, `${user}-3`)
      )
    })

    t.test(
      'is 200 with the same body for an id that this user holds, even over the limit',
      async (t) => {
        const user = newUser()
        const first = await acquire(user, `${user}-1`)
        await acquire(user, `${user}-2`)
        await send('PUT', `/api/sessions/limits/${user}`, { limit: 1 })
        const {
          status,
          body: { session, ...rest }
        } = await acquire(user, `${user}-1`, { from: 'sip:other@x' })
        t.equal(status, 200)
        t.strictSame(rest, { allowed: true, count: 2, limit: 1, terminated: [], degraded: false })
        t.match(session, { ...first.body.session, expires_at: RFC3339 })
      }
    )

    t.test(
      'is 409 session_limit_reached at the limit, with what a switch is to answer',
      async (t) => {
        const user = newUser()
        for (let i = 0; i < 5; i++) t.equal((await acquire(user, `${user}-${i}`)).status, 201)
        isProblem(
          t,
          await acquire(user, `${user}-5`),
          {
            status: 409,
            code: 'session_limit_reached',
            username: user,
            count: 5,
            limit: 5,
            sip: {
              status: 486,
              reason: 'Busy Here'
            },
            degraded: false
          },
          'at the limit'
        )
        t.equal((await send('GET', `${admission}/${user}-5`)).status, 404)
        t.strictSame((await send('GET', `/api/sessions/counts/${user}`)).body, {
          username: user,
          count: 5,
          limit: 5,
          available: 0,
          leases: 5,
          external: 0
        })
        await send('POST', `/api/sessions/users/${user}/temporary-limit`, {
          limit: 6,
          duration: 60
        })
        t.match(
          await acquire(user, `${user}-5`),
          { status: 201, body: { count: 6, limit: 6 } },
          'a temporary limit binds at once'
        )
      }
    )

    t.test(
      'is 409 session_id_conflict for an id of another user, and 410 for one that has ended',
      async (t) => {
        const [alice, bob] = [newUser(), newUser()]
        await acquire(alice, `${alice}-1`)
        isProblem(
          t,
          await acquire(bob, `${alice}-1`),
          { status: 409, code: 'session_id_conflict' },
          "another user's"
        )
        isProblem(
          t,
          await acquire(bob, `${alice}-1`, { dry_run: true }),
          {
            status: 409,
            code: 'session_id_conflict'
          },
          "another user's, in a dry run"
        )
        await send('DELETE', `${admission}/${alice}-1`)
        for (const more of [{}, { emergency: true }, { dry_run: true }]) {
          isProblem(
            t,
            await acquire(alice, `${alice}-1`, more),
            { status: 410, code: 'session_ended' },
            `ended ${JSON.stringify(more)}`
          )
        }
      }
    )

    t.test('always admits an emergency call', async (t) => {
      const user = newUser()
      await send('PUT', `/api/sessions/limits/${user}`, { limit: 1 })
      await acquire(user, `${user}-1`)
      const {
        status,
        body: { session, ...rest }
      } = await acquire(user, `${user}-sos`, { emergency: true })
      t.equal(status, 201)
      t.strictSame(rest, { allowed: true, count: 2, limit: 1, terminated: [], degraded: false })
      t.strictSame(timeless(t, session), bare(user, `${user}-sos`, { emergency: true }))
      t.equal((await acquire(user, `${user}-2`)).status, 409)
      t.equal((await acquire(user, `${user}-3`, { emergency: false })).status, 409)
    })

    t.test('is 200 in a dry run, says what would happen and takes nothing', async (t) => {
      const user = newUser()
      await send('PUT', `/api/sessions/limits/${user}`, { limit: 1 })
      const dry = { dry_run: true }
      const yes = { session: null, limit: 1, terminated: [], degraded: false, allowed: true }
      t.match(await acquire(user, `${user}-1`, dry), { status: 200 })
      t.strictSame((await acquire(user, `${user}-1`, dry)).body, { ...yes, count: 1 })
      t.equal((await acquire(user, `${user}-1`)).status, 201)
      t.strictSame(
        (await acquire(user, `${user}-1`, dry)).body,
        { ...yes, count: 1 },
        'an id that is held'
      )
      const { status, body } = await acquire(user, `${user}-2`, dry)
      t.strictSame([status, body], [200, { ...yes, allowed: false, count: 1 }])
      await withPolicy(send, { session_limit_action: 'terminate_oldest' }, async () => {
        t.strictSame((await acquire(user, `${user}-2`, dry)).body, {
          ...yes,
          count: 1,
          terminated: [`${user}-1`]
        })
      })
      t.equal((await send('GET', `${admission}/${user}-1`)).status, 200)
      t.equal((await send('GET', `/api/sessions/counts/${user}`)).body.count, 1)
    })

    t.test('under terminate_oldest ends and names as many of the oldest as needed', async (t) => {
      const user = newUser()
      await send('PUT', `/api/sessions/limits/${user}`, { limit: 10 })
      const ids = Array.from({ length: 10 }, (_, i) => `${user}-${9 - i}`)
      for (const id of ids) {
        t.equal((await acquire(user, id)).status, 201)
        const { body } = await send('GET', `${admission}/${id}`)
        // The next one starts a millisecond later, so that the order is certain.
        while (Date.now() <= Date.parse(body.started_at)) {
          await new Promise((resolve) => setImmediate(resolve))
        }
      }
      await send('PUT', `/api/sessions/limits/${user}`, { limit: 3 })
      await withPolicy(send, { session_limit_action: 'terminate_oldest' }, async () => {
        const {
          status,
          body: { session, ...rest }
        } = await acquire(user, `${user}-new`)
        t.equal(status, 201)
        t.strictSame(rest, {
          allowed: true,
          count: 3,
          limit: 3,
          terminated: ids.slice(0, 8),
          degraded: false
        })
      })
      t.strictSame(await listed(send, `username=${user}`), [...ids.slice(8), `${user}-new`].sort())
      isProblem(
        t,
        await acquire(user, ids[0] ?? ''),
        { status: 410, code: 'session_ended' },
        'who was ended'
      )
    })

    t.test('refuses nobody under observe and with limits off', async (t) => {
      for (const change of [{ session_limit_action: 'observe' }, { enabled: false }]) {
        const user = newUser()
        await send('PUT', `/api/sessions/limits/${user}`, { limit: 1 })
        await withPolicy(send, change, async () => {
          for (let i = 1; i <= 3; i++) {
            t.match(await acquire(user, `${user}-${i}`), {
              status: 201,
              body: { allowed: true, count: i, limit: 1, terminated: [] }
            })
          }
        })
        t.match(
          await acquire(user, `${user}-4`),
          { status: 409, body: { count: 3 } },
          'what was let in counts'
        )
      }
    })

    t.test('is 400 for a malformed request', async (t) => {
      const good = { username: 'alice', session_id: 'x' }
      const bad: Array<object | string> = [
        {},
        [],
        '',
        'null',
        '5',
        '{',
        { username: 'alice' },
        { session_id: 'x' },
        ...[
          '',
          'a b',
          'ä',
          'a'.repeat(257),
          '_default',
          '__proto__',
          'prototype',
          'constructor',
          '.',
          '..',
          'a\n',
          '{a}',
          'a"b',
          '<a>',
          5,
          null,
          ['a'],
          { a: 1 }
        ].map((username) => ({ ...good, username })),
        ...[
          '',
          'a b',
          'ä',
          'i'.repeat(513),
          'x\n',
          '\u0000',
          '\u007f',
          5,
          null,
          ['x']
        ].map((id) => ({ ...good, session_id: id })),
        ...[9, 86_401, 0, -1, 10.5, '90', null, 1e300, true].map((ttl) => ({ ...good, ttl })),
        ...[-1, 1.5, '1', null, 2 ** 31].map((attempt) => ({ ...good, attempt })),
        ...['', 'a b', 'n'.repeat(129), '{n}', 5, null].map((node) => ({ ...good, node })),
        ...['up', '', 'INBOUND', 5, null].map((direction) => ({ ...good, direction })),
        ...['call_id', 'from', 'to'].flatMap((name) =>
          [5, null, {}].map((value) => ({ ...good, [name]: value }))
        ),
        ...['emergency', 'dry_run'].flatMap((name) =>
          ['true', 1, null].map((value) => ({ ...good, [name]: value }))
        ),
        ...[
          [],
          'x',
          null,
          { a: null },
          { a: {} },
          { a: [] },
          { a: 'x'.repeat(257) },
          { ['k'.repeat(65)]: 1 },
          { 'a\nb': {} },
          Object.fromEntries(Array.from({ length: 17 }, (_, i) => [i, i]))
        ].map((metadata) => ({ ...good, metadata })),
        { ...good, extra: 1 },
        { ...good, Username: 'x' },
        { ...good, callId: 'x' },
        '{"username":"alice","session_id":"x","__proto__":{"emergency":true}}',
        '{"username":"alice","session_id":"x","metadata":{"__proto__":1}}',
        '{"username":"alice","session_id":"x","username":"bob"}'
      ]
      for (const body of bad) {
        t.match(
          await send('POST', admission, body),
          {
            status: 400,
            body: { status: 400, code: 'invalid_input' }
          },
          JSON.stringify(body).slice(0, 100)
        )
      }
      t.equal((await send('GET', `${admission}/x`)).status, 404, 'nothing was taken')
      isProblem(
        t,
        await acquire('alice', 'x', { ttl: 9 }),
        { status: 400, code: 'invalid_input' },
        'one place that is wrong'
      )
      isProblem(
        t,
        await send('POST', admission, { ...good, metadata: { a: 'x'.repeat(70_000) } }),
        {
          status: 413,
          code: 'payload_too_large'
        },
        'too large'
      )
      isProblem(
        t,
        await send('POST', admission, 'username=a', {
          'content-type': 'application/x-www-form-urlencoded'
        }),
        {
          status: 415,
          code: 'unsupported_media_type'
        },
        'a form'
      )
      t.equal(
        (await send('POST', `${admission}?dry_run=true`, good)).status,
        400,
        'nothing in a query is dropped silently'
      )
    })

    t.test('takes free text of any length and form: cut, without control characters', async (t) => {
      const user = newUser()
      const text = `line\r\nbreak\u0000${'ü'.repeat(300)}`
      const { status, body } = await acquire(user, `${user}-1`, {
        call_id: text,
        from: text,
        to: text
      })
      const shown = `line  break ${'ü'.repeat(256 - 12)}`
      t.equal(status, 201)
      t.match(body.session, { call_id: shown, from: shown, to: shown })
      t.equal(body.session.from, shown, 'and nothing behind it')
    })

    t.test('takes the host of a name as lower case, so that it is one user', async (t) => {
      const user = newUser()
      for (const [i, host] of ['example.net', 'EXAMPLE.net'].entries()) {
        t.match(await acquire(`${user}@${host}`, `${user}-${i}`), {
          status: 201,
          body: { count: i + 1, session: { username: `${user}@example.net` } }
        })
      }
    })

    t.test('takes the longest names and every character that may be in one', async (t) => {
      const odd = "-_.!~*'()&=+$,;?/%:[]#"
      const username = `${odd}${'A'.repeat(220)}${randomUUID().slice(0, 8)}@a.net`
      t.equal(username.length, 256)
      const printable = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).join('')
      const id = `${printable}${'z'.repeat(410)}${randomUUID().slice(0, 8)}`
      t.equal(id.length, 512)
      t.equal((await acquire(username, id, { node: 'n'.repeat(128) })).status, 201)
      const path = `${admission}/${encodeURIComponent(id)}`
      t.match(await send('GET', path), { status: 200, body: { username, session_id: id } })
      t.match(await send('POST', `${path}/renew`, { username }), {
        status: 200,
        body: { reregistered: false }
      })
      t.match(await send('DELETE', `${path}?username=${encodeURIComponent(username)}`), {
        status: 200,
        body: { released: true }
      })
    })
  })
}
