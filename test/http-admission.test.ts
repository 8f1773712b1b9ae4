import { randomUUID } from 'node:crypto'
import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { encodeCursor } from '../services/util/cursor.ts'
import {
  ADMIN,
  as,
  startApp,
  startAppOn,
  tokenFor,
  type Answer,
  type Claims,
  type Send
} from './helpers/app.ts'
import { startRedis } from './helpers/servers.ts'

const redis = await startRedis(t)
const own = { GHOST_SWEEP_INTERVAL_SECONDS: '0', REDIS_TIMEOUT_MS: '10000' }
const apps = {
  memory: await startApp(t),
  redis: await startAppOn(t, redis, { ...own, REDIS_KEY_PREFIX: `${randomUUID()}:` })
}
const [admission, active] = ['/api/sessions', '/api/sessions/active']
const [pbx, viewer, nobody]: [Claims, Claims, Claims] = [
  { sub: 'b2bua-1', role: 'switch' },
  { sub: 'v', role: 'viewer' },
  { sub: 'nobody' }
]
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** A user whom no other test knows. */
function newUser (): string {
  return `u-${randomUUID().slice(0, 8)}`
}

/**
 * Checks that an answer is a problem document with exactly these members beyond type, title and
 * detail.
 */
function isProblem (
  t: Test,
  { status, headers, body, text }: Answer,
  members: {
    status: number
    code: string
  } & Record<string, unknown>,
  what: string
) {
  t.equal(status, members.status, `${what}: ${text.slice(0, 160)}`)
  t.equal(headers['content-type'], 'application/problem+json')
  const { type, title, detail, errors, ...rest } = body as Record<string, unknown>
  t.ok(
    [type, title, detail].every((part) => typeof part === 'string' && part !== ''),
    'has type, title and detail'
  )
  t.strictSame(rest, members, what)
  t.equal(
    errors !== undefined,
    members.code === 'invalid_input' && String(detail).includes('/'),
    'errors[] where there are places to name'
  )
}

/** A body with the times in it checked and then put away. */
function timeless (
  t: Test,
  { session_id: id, started_at: start, expires_at: end, ...rest }: Record<string, unknown>,
  ttl = 90
) {
  t.match([start, end], [RFC3339, RFC3339], `${String(id)} has times in RFC 3339, in UTC`)
  t.equal(Date.parse(String(end)) - Date.parse(String(start)), ttl * 1000, `and lasts ${ttl} s`)
  return { session_id: id, ...rest }
}

/** A session as the API shows it, without its times. */
function bare (username: string, id: string, more: object = {}) {
  return {
    session_id: id,
    username,
    node: null,
    call_id: null,
    from: null,
    to: null,
    direction: null,
    emergency: false,
    metadata: {},
    source: 'lease',
    ...more
  }
}

/** Holds the policy at something while a test runs. */
async function withPolicy (send: Send, change: object, run: () => Promise<unknown>): Promise<void> {
  t.equal((await send('PUT', '/api/sessions/limits', change)).status, 200)
  await run()
  await send('PUT', '/api/sessions/limits', {
    enabled: true,
    session_limit_action: 'reject',
    max_sessions_per_user: 5
  })
}

/** Every page of a list of sessions. */
async function listed (send: Send, query: string): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { body }: Answer = await send('GET', `${active}?${query}&cursor=${cursor}`)
    ids.push(...body.sessions.map((session: { session_id: string }) => session.session_id))
    cursor = body.next_cursor
  }
  return ids.sort()
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

    t.test('admits an emergency always', async (t) => {
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

    t.test('ends and names the oldest under terminate_oldest, all that are too many', async (t) => {
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

    t.test('refuses nobody under observe, nor where limits are off', async (t) => {
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

    t.test('is 400 for what is no request', async (t) => {
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
          'a/b',
          'ä',
          'a'.repeat(129),
          '_default',
          '__proto__',
          'prototype',
          'constructor',
          'a\n',
          '*',
          '{a}',
          'a:b',
          5,
          null,
          ['a'],
          { a: 1 }
        ].map((username) => ({ ...good, username })),
        ...[
          '',
          'a b',
          'a/b',
          'ä',
          'i'.repeat(257),
          'x\n',
          '*',
          '{x}',
          '\u0000',
          5,
          null,
          ['x']
        ].map((id) => ({ ...good, session_id: id })),
        ...[9, 86_401, 0, -1, 10.5, '90', null, 1e300, true].map((ttl) => ({ ...good, ttl })),
        ...['', 'a b', 'n'.repeat(129), 'a/b', 5, null].map((node) => ({ ...good, node })),
        ...['up', '', 'INBOUND', 5, null].map((direction) => ({ ...good, direction })),
        ...['call_id', 'from', 'to'].flatMap((name) =>
          ['x'.repeat(257), 5, null, {}].map((value) => ({ ...good, [name]: value }))
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

    t.test('takes the longest names and every character that may be in one', async (t) => {
      const username = `~+@._-${'A'.repeat(114)}${randomUUID().slice(0, 8)}`
      const id = `~+@._-:${'z'.repeat(241)}${randomUUID().slice(0, 8)}`
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

    t.test('one of another user is 409, one that has ended 410', async (t) => {
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

    t.test('many has one result per item, in order', async (t) => {
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
        items.map((item, i) => ({ ...item, result: results[i] }))
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

    t.test('5,000 is taken, 5,001 is 400', async (t) => {
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

    t.test('is 400 for what is no request', async (t) => {
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
        { username: 'a', node: 'n' },
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
        { sessions: [null] },
        { sessions: [{}] },
        { sessions: [{ session_id: 'x' }] },
        {
          sessions: [item, { ...item, username: 'constructor' }]
        },
        { sessions: [{ ...item, session_id: 'a b' }] },
        { sessions: [{ ...item, extra: 1 }] },
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
      for (const id of ['a%20b', 'a%2Fb', '%00', 'i'.repeat(257), '%E4%BE%8B', '*']) {
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

    t.test("is 409 for another user's, 400 for what is no request", async (t) => {
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
        { reason: 'r'.repeat(257) },
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

  t.test(`${store}: a node's report`, async (t) => {
    const put = async (node: string, body: object | string) =>
      await send('PUT', `/api/sessions/nodes/${node}`, body)

    t.test(
      'answers with the tally, and 409 stale_epoch that names the epoch when it goes backwards',
      async (t) => {
        const [alice, bob, node] = [newUser(), newUser(), `pbx-${randomUUID()}`]
        await acquire(alice, `${alice}-known`, { node })
        await acquire(alice, `${alice}-dropped`, { node })
        await acquire(alice, `${alice}-ended`, { node })
        await send('DELETE', `${admission}/${alice}-ended`)
        await acquire(bob, `${bob}-1`)
        const sessions = [
          { session_id: `${alice}-known`, username: alice },
          { session_id: `${alice}-ended`, username: alice },
          {
            session_id: `${bob}-1`,
            username: alice
          },
          {
            session_id: `${alice}-new`,
            username: alice,
            call_id: 'c',
            from: 'f',
            to: 't',
            direction: 'inbound',
            emergency: true,
            metadata: { k: 1 }
          }
        ]
        const { status, text } = await put(node, { epoch: 7, sessions, ttl: 60 })
        t.strictSame(
          [status, text],
          [
            200,
            '{"renewed":1,"registered":1,"released":1,' +
              `"ended":["${alice}-ended"],"conflicts":["${bob}-1"],"degraded":false}`
          ]
        )
        t.match((await send('GET', `${admission}/${alice}-new`)).body, {
          node,
          call_id: 'c',
          from: 'f',
          to: 't',
          direction: 'inbound',
          emergency: true,
          metadata: { k: 1 }
        })
        isProblem(
          t,
          await put(node, { epoch: 6, sessions: [] }),
          { status: 409, code: 'stale_epoch', node, epoch: 7 },
          'from before the restart'
        )
        t.strictSame(await listed(send, `node=${node}`), [`${alice}-known`, `${alice}-new`])
        t.match(
          await put(node, { epoch: 8, sessions: [] }),
          { status: 200, body: { released: 2 } },
          'a restart ends what the old one held'
        )
        isProblem(
          t,
          await acquire(alice, `${alice}-known`),
          { status: 410, code: 'session_ended' },
          'ended by the node'
        )
      }
    )

    t.test('with as_of protects what started later', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const {
        body: { session }
      } = await acquire(user, `${user}-1`, { node })
      const before = new Date(Date.parse(session.started_at) - 1)
      t.match(await put(node, { epoch: 1, sessions: [], as_of: before.toISOString() }), {
        status: 200,
        body: { released: 0 }
      })
      t.match(await put(node, { epoch: 1, sessions: [], as_of: '2020-01-01T00:00:00+01:00' }), {
        status: 200,
        body: { released: 0 }
      })
      t.match(await put(node, { epoch: 1, sessions: [], as_of: session.started_at }), {
        status: 200,
        body: { released: 1 }
      })
    })

    t.test('may hold 20,000 calls, and not one more', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const sessions = Array.from({ length: 20_001 }, (_, i) => ({
        session_id: `${user}-${i}`,
        username: `${user}-${i % 100}`
      }))
      isProblem(
        t,
        await put(node, { epoch: 1, sessions }),
        { status: 400, code: 'invalid_input' },
        '20,001'
      )
      t.match(await put(node, { epoch: 1, sessions: sessions.slice(1) }), {
        status: 200,
        body: { registered: 20_000, ended: [], conflicts: [] }
      })
      t.match(
        (await send('GET', '/api/sessions/nodes?count=1000')).body.nodes.filter(
          (one: { node: string }) => one.node === node
        ),
        [{ sessions: 20_000 }]
      )
      t.match(await put(node, { epoch: 2, sessions: [] }), {
        status: 200,
        body: { released: 20_000 }
      })
    })

    t.test('is 400 for what is no report', async (t) => {
      const item = { session_id: 'x', username: 'a' }
      for (const body of [
        {},
        '',
        { epoch: 1 },
        { sessions: [] },
        ...[-1, 1.5, '1', null, 2 ** 53].map((epoch) => ({ epoch, sessions: [] })),
        ...['yesterday', '', 5, '2026-11-22', '2026-13-01T00:00:00Z'].map((asOf) => ({
          epoch: 1,
          sessions: [],
          as_of: asOf
        })),
        { epoch: 1, sessions: [{ ...item, node: 'n' }] },
        { epoch: 1, sessions: [{ ...item, username: '__proto__' }] },
        {
          epoch: 1,
          sessions: [{ session_id: 'x' }]
        },
        { epoch: 1, sessions: [{ ...item, metadata: { a: [] } }] },
        { epoch: 1, sessions: [], ttl: 9 },
        { epoch: 1, sessions: [], extra: 1 }
      ]) {
        t.match(
          await put('n', body),
          { status: 400, body: { code: 'invalid_input' } },
          JSON.stringify(body)
        )
      }
      for (const node of ['a%20b', '%00', 'n'.repeat(129), 'a%2Fb']) {
        t.equal((await put(node, { epoch: 1, sessions: [] })).status, 400, node)
      }
      t.notOk(
        (await send('GET', '/api/sessions/nodes')).body.nodes.some(
          ({ node }: { node: string }) => node === 'n'
        ),
        'nothing of it was noted'
      )
    })

    t.test('shows in the list of nodes', async (t) => {
      const node = `pbx-${randomUUID()}`
      await put(node, {
        epoch: 1795300000,
        sessions: [{ session_id: `${node}-1`, username: newUser() }]
      })
      const { body } = await send('GET', '/api/sessions/nodes')
      const mine = body.nodes.find((one: { node: string }) => one.node === node)
      t.match(mine.last_seen, RFC3339)
      t.strictSame(
        { ...mine, last_seen: '' },
        { node, epoch: 1795300000, last_seen: '', sessions: 1 }
      )
      t.equal(body.next_cursor, null)
      t.match((await send('GET', '/api/sessions/nodes?count=1')).body, {
        nodes: [{}],
        next_cursor: String
      })
    })
  })

  t.test(`${store}: lists`, async (t) => {
    t.test('one session is 200 or 404', async (t) => {
      const user = newUser()
      await acquire(user, `${user}-1`)
      const { status, body } = await send('GET', `${admission}/${user}-1`)
      t.equal(status, 200)
      t.strictSame(timeless(t, body), bare(user, `${user}-1`))
      isProblem(
        t,
        await send('GET', `${admission}/${user}-2`),
        { status: 404, code: 'not_found' },
        'unknown'
      )
    })

    t.test('sessions that are up, of a user, of a node, of both, in pages', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const ids = Array.from({ length: 5 }, (_, i) => `${user}-${i}`)
      for (const [i, id] of ids.entries()) await acquire(user, id, i < 3 ? { node } : {})
      await acquire(`${user}-b`, `${user}-b1`, { node })
      for (const count of [1, 2, 1000]) {
        t.strictSame(await listed(send, `username=${user}&count=${count}`), ids)
        t.strictSame(await listed(send, `node=${node}&count=${count}`), [
          ...ids.slice(0, 3),
          `${user}-b1`
        ])
        t.strictSame(
          await listed(send, `username=${user}&node=${node}&count=${count}`),
          ids.slice(0, 3)
        )
      }
      const all = await listed(send, 'count=100')
      for (const id of [...ids, `${user}-b1`]) {
        t.equal(all.filter((one) => one === id).length, 1, 'exactly once among all')
      }
      t.strictSame((await send('GET', `${active}?username=${newUser()}`)).body, {
        sessions: [],
        next_cursor: null
      })
      for (const query of [
        'count=0',
        'count=1001',
        'count=x',
        'count=1.5',
        'cursor=!',
        'cursor=bnVsbA',
        'username=a%20b',
        'username=_default',
        'node=a%2Fb',
        'extra=1',
        'username=a&username=b',
        `cursor=${'a'.repeat(12_001)}`
      ]) {
        t.match(
          await send('GET', `${active}?${query}`),
          { status: 400, body: { code: 'invalid_input' } },
          query.slice(0, 40)
        )
      }
    })

    t.test('a user with its limit, count and sessions, in pages too', async (t) => {
      const user = newUser()
      await send('PUT', `/api/sessions/limits/${user}`, { limit: 9 })
      const sessions = [
        (await acquire(user, `${user}-1`)).body.session,
        (await acquire(user, `${user}-2`)).body.session
      ]
      const { status, body } = await send('GET', `/api/sessions/users/${user}`)
      t.equal(status, 200)
      const byId = (a: { session_id: string }, b: { session_id: string }) =>
        a.session_id < b.session_id ? -1 : 1
      t.strictSame(
        { ...body, sessions: body.sessions.sort(byId) },
        { username: user, limit: 9, count: 2, sessions, next_cursor: null }
      )
      const page = await send('GET', `/api/sessions/users/${user}?count=1`)
      t.match(page.body, { count: 2, sessions: [{}], next_cursor: String })
      t.equal(
        (await send('GET', `/api/sessions/users/${user}?count=1&cursor=${page.body.next_cursor}`))
          .body.sessions.length,
        1
      )
      t.strictSame((await send('GET', `/api/sessions/users/${user}x`)).body, {
        username: `${user}x`,
        limit: 5,
        count: 0,
        sessions: [],
        next_cursor: null
      })
      for (const path of ['a%20b', '_default', `${user}?count=0`, `${user}?x=1`]) {
        t.equal((await send('GET', `/api/sessions/users/${path}`)).status, 400, path)
      }
    })

    t.test('users by the number of their sessions', async (t) => {
      const [big, small] = [newUser(), newUser()]
      await send('PUT', `/api/sessions/limits/${big}`, { limit: 0 })
      for (let i = 0; i < 300; i += 100) {
        await send('POST', `${admission}/renew`, {
          sessions: Array.from({ length: 100 }, (_, j) => ({
            session_id: `${big}-${i + j}`,
            username: big
          }))
        })
      }
      await acquire(small, `${small}-1`)
      const { status, body } = await send('GET', '/api/sessions/users?limit=1')
      t.equal(status, 200)
      t.strictSame(
        { ...body, total: 0 },
        {
          users: [{ username: big, sessions: 300, limit: 0, unlimited: true, source: 'user' }],
          page: 1,
          limit: 1,
          total: 0
        }
      )
      t.ok(body.total >= 2)
      const lists = await Promise.all(
        ['sessions_desc', 'sessions_asc'].map(
          async (sort) => (await send('GET', `/api/sessions/users?limit=1000&sort=${sort}`)).body
        )
      )
      for (const [i, { users, total }] of lists.entries()) {
        t.equal(users.length, total)
        const sizes = users.map(({ sessions }: { sessions: number }) =>
          i === 0 ? -sessions : sessions
        )
        t.strictSame(
          sizes,
          [...sizes].sort((a: number, b: number) => a - b)
        )
      }
      const second = await send('GET', '/api/sessions/users?limit=2&page=2')
      t.strictSame(second.body.users, lists[0].users.slice(2, 4))
      t.match(second.body, { page: 2, limit: 2 })
      t.match((await send('GET', '/api/sessions/users')).body, { page: 1, limit: 50 })
      t.strictSame((await send('GET', '/api/sessions/users?page=10&limit=1000')).body.users, [])
      for (const query of [
        'page=0',
        'limit=0',
        'limit=1001',
        'page=x',
        'sort=up',
        'sort=',
        'page=11&limit=1000',
        'page=10001&limit=1',
        'x=1'
      ]) {
        t.match(
          await send('GET', `/api/sessions/users?${query}`),
          { status: 400, body: { code: 'invalid_input' } },
          query
        )
      }
      await send('DELETE', `/api/sessions/users/${big}/sessions`)
    })

    t.test('ending all sessions of a user names them', async (t) => {
      const user = newUser()
      await acquire(user, `${user}-1`)
      await acquire(user, `${user}-2`)
      const { status, body } = await send('DELETE', `/api/sessions/users/${user}/sessions`, {
        reason: 'fraud'
      })
      t.strictSame(
        [status, { ...body, terminated: body.terminated.sort() }],
        [200, { success: true, terminated: [`${user}-1`, `${user}-2`], degraded: false }]
      )
      t.equal(
        (await send('DELETE', `/api/sessions/users/${user}/sessions`)).text,
        '{"success":true,"terminated":[],"degraded":false}'
      )
      t.equal((await acquire(user, `${user}-1`)).status, 410)
      for (const body of [{ reason: 5 }, { x: 1 }, '[]']) {
        t.equal((await send('DELETE', `/api/sessions/users/${user}/sessions`, body)).status, 400)
      }
      t.equal((await send('DELETE', '/api/sessions/users/_default/sessions')).status, 400)
    })
  })

  t.test(`${store}: who may do what`, async (t) => {
    const user = newUser()
    await acquire(user, `${user}-1`)
    await acquire(`${user}x`, `${user}x-1`, { from: 'sip:secret@x' })
    const item = { session_id: `${user}-1`, username: user }
    const writes = [
      ['POST', admission, { ...item }],
      ['POST', `${admission}/${user}-1/renew`, { username: user }],
      ['POST', `${admission}/renew`, { sessions: [item] }],
      ['PUT', '/api/sessions/nodes/who-may', { epoch: 1, sessions: [] }],
      ['DELETE', `${admission}/${user}-none`, undefined],
      ['DELETE', `/api/sessions/users/${user}y/sessions`, undefined]
    ] as const
    const reads = [
      '/api/sessions/active',
      `${admission}/${user}-1`,
      '/api/sessions/users',
      '/api/sessions/nodes',
      `/api/sessions/users/${user}`,
      `${active}?username=${user}`
    ]

    t.test('writing needs sessions:write, reading sessions:read', async (t) => {
      for (const [method, url, body] of writes) {
        isProblem(
          t,
          await as(app, null)(method, url, body),
          { status: 401, code: 'unauthorized' },
          `${method} ${url} without a token`
        )
        for (const claims of [
          viewer,
          nobody,
          { sub: user },
          { sub: 'x', permissions: ['sessions:read', 'limits:write', 'policy:write'] }
        ]) {
          isProblem(
            t,
            await as(app, claims)(method, url, body),
            { status: 403, code: 'forbidden' },
            `${method} ${url}`
          )
        }
        for (const claims of [pbx, { role: 'operator' }, { scope: 'sessions:write' }]) {
          t.equal((await as(app, claims)(method, url, body)).status, 200, `${method} ${url}`)
        }
      }
      for (const url of reads) {
        isProblem(t, await as(app, null)('GET', url), { status: 401, code: 'unauthorized' }, url)
        isProblem(t, await as(app, nobody)('GET', url), { status: 403, code: 'forbidden' }, url)
        for (const claims of [viewer, pbx, { scope: 'sessions:read' }]) {
          t.equal((await as(app, claims)('GET', url)).status, 200, url)
        }
      }
    })

    t.test("a user reads its own sessions and nobody else's", async (t) => {
      const mine = as(app, { sub: user })
      t.match(await mine('GET', `/api/sessions/users/${user}`), {
        status: 200,
        body: { username: user, count: 1, sessions: [{ session_id: `${user}-1` }] }
      })
      t.match(await mine('GET', `${active}?username=${user}`), {
        status: 200,
        body: { sessions: [{ session_id: `${user}-1` }] }
      })
      t.equal((await mine('GET', `${active}?username=${user}&count=1`)).status, 200)
      t.equal(
        (await mine('GET', `${active}?username=${encodeURIComponent(user)}&node=pbx-1`)).status,
        200
      )
      t.equal((await as(app, { username: user })('GET', `/api/sessions/users/${user}`)).status, 200)
      const other = `${user}x`
      for (const url of [
        `/api/sessions/users/${other}`,
        `/api/sessions/users/${user.toUpperCase()}`,
        `${active}?username=${other}`,
        active,
        `${active}?node=pbx-1`,
        `${active}?username=`,
        `${admission}/${user}-1`,
        `${active}?username=${user}&username=${other}`,
        `${active}?username=${other}&username=${user}`,
        `${active}?username=${user}&username=${user}`,
        `${active}?username[]=${user}`,
        `${active}?Username=${user}`,
        `${active}?node=${user}`,
        '/api/sessions/users',
        '/api/sessions/nodes',
        `/api/sessions/users/${user}%00`,
        `/api/sessions/users/${user}/`
      ]) {
        const answer = await mine('GET', url)
        t.ok([403, 404].includes(answer.status), `${url}: ${answer.status}`)
        t.notMatch(answer.text, /secret|session_id/)
      }
    })

    t.test('a forged cursor opens nothing to a user', async (t) => {
      const mine = as(app, { sub: user })
      const other = `${user}x`
      const names = [
        `l${other}\n${other}-1`,
        `e${other}\n${other}-1`,
        `l${user}\n${other}-1`,
        `e${user}\n${other}-1`,
        `l\n${other}-1`,
        `e\n${other}-1`,
        `${other}-1`,
        ''
      ]
      const positions = [
        [0, null, names],
        [1, null, names],
        [0, '0', names],
        [9, '18446744073709551615', names],
        [0, '0', [], ''],
        [0, '0', [], other],
        '',
        other,
        null,
        5,
        {},
        [],
        [0, '0', [5]],
        [0, '0', [], 5]
      ]
      for (const position of positions) {
        for (const path of [
          `${active}?username=${user}&cursor=`,
          `/api/sessions/users/${user}?cursor=`
        ]) {
          const { status, text } = await mine('GET', path + encodeCursor(position))
          t.ok([200, 400].includes(status), `${JSON.stringify(position)}: ${status}`)
          t.notMatch(text, new RegExp(`secret|${other}`))
        }
      }
    })
  })
}

t.test('what a switch is told to answer can be set, and what happens is in the log', async (t) => {
  for (const [store, start] of Object.entries({
    memory: async (env: NodeJS.ProcessEnv, logger: object) => await startApp(t, env, { logger }),
    redis: async (env: NodeJS.ProcessEnv, logger: object) =>
      await startApp(
        t,
        {
          ...env,
          ...own,
          REDIS_URL: redis.url,
          REDIS_KEY_PREFIX: `${randomUUID()}:`
        },
        { logger }
      )
  })) {
    const lines: Array<Record<string, unknown>> = []
    let log = ''
    const stream = new Writable({
      write (chunk: Buffer, _encoding, done) {
        log += chunk.toString()
        lines.push(
          ...chunk
            .toString()
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as Record<string, unknown>)
        )
        done()
      }
    })
    const app = await start(
      {
        SIP_REJECT_STATUS: '603',
        SIP_REJECT_REASON: 'Decline',
        MAX_SESSIONS_PER_USER: '1',
        LOG_LEVEL: 'trace'
      },
      { level: 'trace', stream }
    )
    await checkLog(t, store, app, lines, () => log)
  }
})

async function checkLog (
  t: Test,
  store: string,
  app: FastifyInstance,
  lines: Array<Record<string, unknown>>,
  log: () => string
): Promise<void> {
  const send = as(app, ADMIN)
  const acquire = async (id: string, more: object = {}) =>
    await send('POST', admission, { username: 'alice', session_id: id, ...more })
  /** What the calls of one kind since the last look have left behind. */
  const noted = (kind: 'violation' | 'emergency') =>
    lines.splice(0).flatMap((line) => (line[kind] === undefined ? [] : [line[kind]]))

  await acquire('a')
  t.strictSame(noted('violation'), [], `${store}: nothing where all is well`)
  isProblem(
    t,
    await acquire('b'),
    {
      status: 409,
      code: 'session_limit_reached',
      username: 'alice',
      count: 1,
      limit: 1,
      sip: {
        status: 603,
        reason: 'Decline'
      },
      degraded: false
    },
    'the answer that was set'
  )
  t.strictSame(noted('violation'), [
    { username: 'alice', session_id: 'b', count: 1, limit: 1, observed: false }
  ])
  await acquire('b', { dry_run: true })
  t.strictSame(noted('violation'), [], 'a dry run is no violation')
  await acquire('sos', { emergency: true })
  t.strictSame(noted('emergency'), [{ username: 'alice', session_id: 'sos', count: 2, limit: 1 }])
  await acquire('sos2', { emergency: true, dry_run: true })
  t.strictSame(noted('emergency'), [])
  await send('PUT', '/api/sessions/limits', { session_limit_action: 'observe' })
  await acquire('c')
  const [line] = lines.filter(({ violation }) => violation !== undefined)
  t.ok(Number(line?.level) >= 40, 'what only observing let in is a warning')
  t.strictSame(noted('violation'), [
    { username: 'alice', session_id: 'c', count: 3, limit: 1, observed: true }
  ])
  await acquire('c')
  await acquire('d', { dry_run: true })
  t.strictSame(noted('violation'), [], 'neither a refresh nor a dry run is observed')
  await send('PUT', '/api/sessions/limits', { enabled: false })
  await acquire('e')
  t.strictSame(noted('violation'), [], 'limits that are off are not violated')

  const token = tokenFor(app, { ...ADMIN, jti: randomUUID() })
  const bearer = as(app, null)
  for (const authorization of [`Bearer ${token}`, `Bearer ${token}x`]) {
    await bearer('GET', active, undefined, { authorization })
    await bearer('GET', `${active}?token=${token}`, undefined, { authorization })
    await bearer('POST', admission, `{"username":"${token}`, { authorization })
    await bearer(
      'POST',
      admission,
      { username: 'alice', session_id: 'a', metadata: { token: { token } } },
      { authorization }
    )
  }
  t.not(log(), '')
  for (const part of [token, token.split('.')[2] ?? token]) {
    t.notOk(log().includes(part), `${store}: no token in the log`)
  }
}
