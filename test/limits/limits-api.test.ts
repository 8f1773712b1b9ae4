/** The limits API, on the memory store and on Redis. */
import t, { type Test } from 'tap'
import { ADMIN, as, startApp, startOwnApp } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import { json } from './api.ts'

const redis = await startRedis(t)

const starts = {
  memory: async (t: Test) => await startApp(t),
  redis: async (t: Test) => await startOwnApp(t, redis)
}

for (const [store, start] of Object.entries(starts)) {
  t.test(store, async (t) => {
    const send = as(await start(t), ADMIN)

    t.test('every route has its fixed shape', async (t) => {
      /** The very text, as existing clients read it. */
      const answers = async (
        method: 'GET' | 'PUT' | 'POST' | 'DELETE',
        url: string,
        body: object | undefined,
        text: string
      ) => {
        const answer = await send(method, url, body)
        t.strictSame([answer.status, answer.text], [200, text], `${method} ${url}`)
        t.equal(answer.headers['content-type'], json)
      }
      const updated = '{"success":true,"message":"Session limits policy updated"'
      const policy = '"enabled":true,"max_sessions_per_user":5,"session_limit_action":"reject"'

      await answers(
        'GET',
        '/api/sessions/limits',
        undefined,
        `{${policy},"user_limits":{"_default":5}}`
      )
      await answers('GET', '/api/sessions/counts', undefined, '{"counts":{},"total":0}')
      await answers(
        'GET',
        '/api/sessions/counts?count=5',
        undefined,
        '{"counts":{},"total":0,"next_cursor":null}'
      )
      await answers(
        'PUT',
        '/api/sessions/limits/alice',
        { limit: 25 },
        '{"success":true,"username":"alice","limit":25,' +
          '"message":"Session limit for user alice set to 25"}'
      )
      await answers(
        'GET',
        '/api/sessions/limits/alice',
        undefined,
        '{"username":"alice","limit":25,"source":"user","unlimited":false,"barred":false}'
      )
      await answers(
        'GET',
        '/api/sessions/limits',
        undefined,
        `{${policy},"user_limits":{"_default":5,"alice":25}}`
      )
      await answers(
        'GET',
        '/api/sessions/limits?count=10',
        undefined,
        `{${policy},"user_limits":{"_default":5,"alice":25},"next_cursor":null}`
      )
      await answers(
        'GET',
        '/api/sessions/limits?prefix=al',
        undefined,
        `{${policy},"user_limits":{"_default":5,"alice":25}}`
      )
      await answers(
        'GET',
        '/api/sessions/limits?prefix=bo&count=10',
        undefined,
        `{${policy},"user_limits":{"_default":5},"next_cursor":null}`
      )
      await answers(
        'GET',
        '/api/sessions/counts/alice',
        undefined,
        '{"username":"alice","count":0,"limit":25,"available":25,"leases":0,"external":0}'
      )
      await answers(
        'DELETE',
        '/api/sessions/limits/alice',
        undefined,
        '{"success":true,"username":"alice",' +
          '"message":"Session limit for user alice removed (will use default)","removed":true}'
      )
      await answers(
        'DELETE',
        '/api/sessions/limits/alice',
        undefined,
        '{"success":true,"username":"alice",' +
          '"message":"Session limit for user alice removed (will use default)","removed":false}'
      )
      await answers(
        'GET',
        '/api/sessions/limits/alice',
        undefined,
        '{"username":"alice","limit":5,"source":"default","unlimited":false,"barred":false}'
      )

      await answers(
        'POST',
        '/api/sessions/limits/bulk',
        { limits: { alice: 10, bob: 0, carol: null } },
        '{"set":2,"removed":0}'
      )
      await answers(
        'POST',
        '/api/sessions/limits/bulk',
        { limits: { alice: null, bob: 0 } },
        '{"set":1,"removed":1}'
      )
      await answers(
        'GET',
        '/api/sessions/limits/bob',
        undefined,
        '{"username":"bob","limit":0,"source":"user","unlimited":true,"barred":false}'
      )
      await answers(
        'GET',
        '/api/sessions/counts/bob',
        undefined,
        '{"username":"bob","count":0,"limit":0,"available":null,"leases":0,"external":0}'
      )

      await answers(
        'PUT',
        '/api/sessions/limits',
        { max_sessions_per_user: 7 },
        `${updated},"enabled":true,"max_sessions_per_user":7,"session_limit_action":"reject"}`
      )
      await answers(
        'PUT',
        '/api/sessions/limits',
        { enabled: false, session_limit_action: 'observe' },
        `${updated},"enabled":false,"max_sessions_per_user":7,"session_limit_action":"observe"}`
      )
      await answers(
        'GET',
        '/api/sessions/limits/alice',
        undefined,
        '{"username":"alice","limit":7,"source":"default","unlimited":false,"barred":false}'
      )
      await answers(
        'PUT',
        '/api/sessions/limits',
        { enabled: true, max_sessions_per_user: 5, session_limit_action: 'reject' },
        `${updated},${policy}}`
      )
      await answers(
        'POST',
        '/api/sessions/limits/bulk',
        { limits: { alice: null, bob: null } },
        '{"set":0,"removed":1}'
      )
      await answers('POST', '/api/sessions/sweep', undefined, '{"users":0,"removed":0}')
    })

    t.test('a temporary limit has its shape, and an end that fits its duration', async (t) => {
      const url = '/api/sessions/users/alice/temporary-limit'
      const earliest = Date.now() + 3_600_000
      const {
        status,
        body: { expires_at: expiresAt, ...rest }
      } = await send('POST', url, { limit: 2, duration: 3600, reason: 'fraud' })
      t.strictSame([status, rest], [200, { success: true, username: 'alice', limit: 2 }])
      t.match(expiresAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      t.ok(
        Date.parse(expiresAt) >= earliest - 1 && Date.parse(expiresAt) <= Date.now() + 3_600_001,
        expiresAt
      )
      t.strictSame((await send('GET', '/api/sessions/limits/alice')).body, {
        username: 'alice',
        limit: 2,
        source: 'temporary',
        unlimited: false,
        barred: false,
        expires_at: expiresAt,
        reason: 'fraud'
      })
      t.match((await send('GET', '/api/sessions/counts/alice')).body, { limit: 2, available: 2 })
      const unlimited = await send('POST', url, { limit: 0, duration: 30 * 24 * 3600 })
      t.equal(unlimited.status, 200, 'thirty days is not too long')
      t.match((await send('GET', '/api/sessions/counts/alice')).body, { limit: 0, available: null })
      t.match(await send('DELETE', url), {
        status: 200,
        body: { success: true, username: 'alice', removed: true }
      })
      t.match(await send('DELETE', url), {
        status: 200,
        body: { success: true, username: 'alice', removed: false }
      })
      t.match((await send('GET', '/api/sessions/limits/alice')).body, {
        limit: 5,
        source: 'default'
      })
    })

    t.test('pages and the whole list agree', async (t) => {
      const limits = Object.fromEntries(
        Array.from({ length: 321 }, (_, i) => [`${'ab'[i % 2]}${i}@example.net`, i])
      )
      await send('POST', '/api/sessions/limits/bulk', { limits })
      for (const prefix of ['', 'a', 'b1', 'a0@example.net', 'c']) {
        const wanted = Object.fromEntries(
          Object.entries(limits).filter(([name]) => name.startsWith(prefix))
        )
        for (const count of [1, 50, 1000]) {
          const got: Array<[string, unknown]> = []
          for (let cursor: string | null = ''; cursor !== null;) {
            const { body } = await send(
              'GET',
              `/api/sessions/limits?count=${count}&prefix=${prefix}&cursor=${cursor}`
            )
            const { _default: byDefault, ...page } = body.user_limits
            if (byDefault !== 5) t.fail(`every page names the default, not ${byDefault}`)
            if (Object.keys(page).length > count) {
              t.fail(`a page of ${count} holds ${Object.keys(page).length}`)
            }
            got.push(...Object.entries(page))
            cursor = body.next_cursor
          }
          t.equal(
            got.length,
            Object.keys(wanted).length,
            `each once in pages of ${count} with prefix ${prefix}`
          )
          t.same(Object.fromEntries(got), wanted)
        }
        t.same(
          (await send('GET', `/api/sessions/limits?prefix=${prefix}`)).body.user_limits,
          { _default: 5, ...wanted },
          'the whole list'
        )
      }
    })

    t.test('a bulk change is all or nothing, up to 10,000', async (t) => {
      const url = '/api/sessions/limits/bulk'
      const many = (n: number) =>
        Object.fromEntries(Array.from({ length: n }, (_, i) => [`${i}-`.padEnd(128, 'u'), i]))
      const before = (await send('GET', '/api/sessions/limits')).body.user_limits
      await send('PUT', '/api/sessions/limits/alice', { limit: 25 })
      for (const [what, limits] of [
        ['a bad limit at the end', { ...many(3), alice: 1, bob: 1.5 }],
        ['a bad name at the end', { ...many(3), alice: null, 'no body': 1 }],
        ['10,001', many(10_001)]
      ] as const) {
        t.equal((await send('POST', url, { limits })).status, 400, what)
        t.same(
          (await send('GET', '/api/sessions/limits')).body.user_limits,
          { ...before, alice: 25 },
          'nothing was changed'
        )
      }
      t.strictSame(
        (await send('POST', url, { limits: many(10_000) })).body,
        { set: 10_000, removed: 0 },
        'as many as may be'
      )
      t.same((await send('GET', '/api/sessions/limits')).body.user_limits, {
        ...before,
        alice: 25,
        ...many(10_000)
      })
    })
  })
}
