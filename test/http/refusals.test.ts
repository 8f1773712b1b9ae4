/** What a switch that sees only the body, and the old console, need of an answer. */
import t, { type Test } from 'tap'
import { ADMIN, as, startApp, startOwnApp } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'

const redis = await startRedis(t)
const starts = {
  memory: async (t: Test) => await startApp(t, { MAX_SESSIONS_PER_USER: '1' }),
  redis: async (t: Test) => await startOwnApp(t, redis, { MAX_SESSIONS_PER_USER: '1' })
}

for (const [store, start] of Object.entries(starts)) {
  t.test(store, async (t) => {
    const app = await start(t)
    const send = as(app, ADMIN)

    t.test('a refusal by a verb of admission says so in its body', async (t) => {
      const url = '/api/sessions'
      const call = (id: string, username = 'alice') => ({ username, session_id: id })
      t.equal((await send('POST', url, call('a'))).status, 201)
      await send('POST', url, call('gone', 'bob'))
      await send('DELETE', `${url}/gone`)
      const report = { epoch: 5, sessions: [] }
      await send('PUT', `${url}/nodes/k1`, report)
      for (const [what, status, answer] of [
        ['limit', 409, await send('POST', url, call('b'))],
        ['conflict', 409, await send('POST', url, call('a', 'carol'))],
        ['ended', 410, await send('POST', url, call('gone', 'bob'))],
        ['renew ended', 410, await send('POST', `${url}/gone/renew`, { username: 'bob' })],
        ['release of another', 409, await send('DELETE', `${url}/a?username=bob`)],
        ['stale epoch', 409, await send('PUT', `${url}/nodes/k1`, { epoch: 4, sessions: [] })],
        ['invalid', 400, await send('POST', url, {})],
        ['batch invalid', 400, await send('POST', `${url}/renew`, {})],
        ['not JSON', 400, await send('POST', url, '{')],
        ['no escape', 400, await send('POST', `${url}/50%off@x/renew`, { username: 'bob' })],
        ['no escape', 400, await send('POST', `${url}/50%off@x/release?attempt=1`)],
        ['a slash', 405, await send('POST', `${url}/`, call('c'))],
        ['a slash', 404, await send('POST', `${url}/c/release/`)],
        ['GET', 405, await send('GET', `${url}?username=bob`)],
        ['GET', 405, await send('GET', `${url}/c/renew`)],
        ['no token', 401, await as(app, null)('POST', url, call('c'))],
        ['no permission', 403, await as(app, { role: 'viewer' })('POST', url, call('c'))]
      ] as const) {
        t.match(answer, { status, body: { allowed: false, degraded: false } }, what)
      }
      const limits = await send('PUT', `${url}/limits/alice`, { limit: -1 })
      t.equal(limits.status, 400)
      t.notOk('allowed' in limits.body, 'other routes say nothing of that')
      for (const path of ['50%off', 'limits/50%off', 'users/a/limit/', 'nodes/n/renewal']) {
        const { status, body } = await send('POST', `${url}/${path}`)
        t.ok([400, 404, 405].includes(status) && !('allowed' in body), path)
      }
    })

    t.test('what GET limits gave can be put back', async (t) => {
      await send('PUT', '/api/sessions/limits/alice', { limit: 10 })
      const { body } = await send('GET', '/api/sessions/limits')
      const put = await send('PUT', '/api/sessions/limits', { ...body, max_sessions_per_user: 3 })
      t.match(put, { status: 200, body: { success: true, max_sessions_per_user: 3 } })
      t.notOk('user_limits' in put.body)
      const ignored = { enabled: true, user_limits: { alice: 1, bob: 'x' } }
      t.equal((await send('PUT', '/api/sessions/limits', ignored)).status, 200)
      const after = (await send('GET', '/api/sessions/limits')).body
      t.strictSame(after.user_limits, { _default: 3, alice: 10 }, 'user_limits is ignored')
      for (const nothing of [{}, { user_limits: {} }, { user_limits: [] }, { user_limits: 5 }]) {
        const answer = await send('PUT', '/api/sessions/limits', nothing)
        t.equal(answer.status, 400, JSON.stringify(nothing))
      }
      const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`user-${i}`, i]))
      const all = { enabled: true, user_limits: many }
      t.equal((await send('PUT', '/api/sessions/limits', all)).status, 200, 'however many')
    })

    t.test('the list of users has the member that the old console reads', async (t) => {
      const { users } = (await send('GET', '/api/sessions/users')).body
      t.match(users, [{ username: 'alice', sessions: 1, activeSessions: 1 }])
    })
  })
}

t.test('a stored limit of _default is not in a list twice', async (t) => {
  const app = await startOwnApp(t, redis)
  const send = as(app, ADMIN)
  await app.redis.set(`${app.config.REDIS_KEY_PREFIX}user-limit:_default`, '77')
  await send('PUT', '/api/sessions/limits/alice', { limit: 10 })
  const stream = await send('GET', '/api/sessions/limits')
  const page = await send('GET', '/api/sessions/limits?count=1000')
  t.equal(stream.text.split('"_default"').length - 1, 1)
  t.strictSame(stream.body.user_limits, { _default: 5, alice: 10 })
  t.strictSame(page.body.user_limits, { _default: 5, alice: 10 }, 'stream and page agree')
})

t.test('a 503 of a verb of admission is degraded', async (t) => {
  const app = await startApp(t, {
    REDIS_HOST: '127.0.0.1',
    REDIS_PORT: '1',
    OUTAGE_MODE: 'deny'
  })
  const call = { username: 'alice', session_id: 'a' }
  t.match(await as(app, ADMIN)('POST', '/api/sessions', call), {
    status: 503,
    body: { allowed: false, degraded: true, code: 'store_unavailable' }
  })
})
