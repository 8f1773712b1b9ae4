/** Call barring over HTTP, on the memory store, on Redis and while Redis is away. */
import t, { type Test } from 'tap'
import { ADMIN, as, startApp, startAppOn, startOwnApp } from '../helpers/app.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'

const redis = await startRedis(t)
const bar = '/api/sessions/users/alice/bar'
const call = (id: string, more = {}) => ({ username: 'alice', session_id: id, ...more })

const starts = {
  memory: async (t: Test) => await startApp(t),
  redis: async (t: Test) => await startOwnApp(t, redis)
}

for (const [store, start] of Object.entries(starts)) {
  t.test(`${store}: a barred user has no new calls, and every view says so`, async (t) => {
    const send = as(await start(t), ADMIN)
    t.match(await send('POST', '/api/sessions', call('up')), { status: 201 })
    const set = await send('PUT', bar, { reason: 'unpaid\u0007 bill' })
    t.strictSame(set.body, {
      success: true,
      username: 'alice',
      barred: true,
      reason: set.body.reason
    })
    const refused = await send('POST', '/api/sessions', call('new'))
    t.equal(refused.status, 409)
    t.match(refused.body, {
      code: 'user_barred',
      allowed: false,
      degraded: false,
      username: 'alice',
      sip: { status: 403, reason: 'Forbidden' }
    })
    t.match(await send('POST', '/api/sessions', call('new', { dry_run: true })), {
      status: 200,
      body: { allowed: false, session: null, count: 1 }
    })
    t.match(await send('POST', '/api/sessions', call('help', { emergency: true })), {
      status: 201,
      body: { count: 2 }
    })
    t.match(await send('POST', '/api/sessions', call('up')), { status: 200 }, 'it is up')
    t.match(await send('POST', '/api/sessions/up/renew', { username: 'alice' }), { status: 200 })
    t.match((await send('GET', '/api/sessions/limits/alice')).body, {
      barred: true,
      bar: { reason: set.body.reason }
    })
    t.equal((await send('GET', '/api/sessions/new')).status, 404)
    t.match((await send('GET', '/api/sessions/counts/alice')).body, { count: 2 })
    t.match((await send('GET', '/api/sessions/limits/bob')).body, { barred: false })

    const removed = { success: true, username: 'alice', removed: true }
    t.strictSame((await send('DELETE', bar)).body, removed)
    t.strictSame((await send('DELETE', bar)).body, { ...removed, removed: false })
    t.match(await send('POST', '/api/sessions', call('new')), { status: 201 })
  })

  t.test(`${store}: a bar ends at its instant; what is no future instant is 400`, async (t) => {
    const send = as(await start(t), ADMIN)
    const wrong = [
      { expires_at: '2020-01-01T00:00:00Z' },
      { expires_at: '2027-02-30T00:00:00Z' },
      { expires_at: '2027-01-01T00:00:00' },
      { expires_at: '2027-01-01T00:00:00+05' },
      { expires_at: '1900-01-01T00:00:00Z' },
      { expires_at: 1795630523 },
      { expires_at: null },
      { expires_at: '' },
      { expires_at: '9'.repeat(65) },
      { reason: 1 },
      { until: '2027-01-01T00:00:00Z' },
      []
    ]
    for (const body of wrong) {
      const answer = await send('PUT', bar, body)
      const named = { code: 'invalid_input', errors: [{ path: /^body/, message: String }] }
      t.match(answer, { status: 400, body: named }, JSON.stringify(body))
    }
    t.match((await send('GET', '/api/sessions/limits/alice')).body, { barred: false })

    const end = '2099-01-01T02:00:00.5+02:00'
    t.match(await send('PUT', bar, { expires_at: end }), {
      status: 200,
      body: { expires_at: '2099-01-01T00:00:00.500Z' }
    })
    const soon = new Date(Date.now() + 1_500).toISOString()
    t.match(await send('PUT', bar, { expires_at: soon }), { status: 200 }, 'it is replaced')
    t.match(await send('POST', '/api/sessions', call('a')), { status: 409 })
    const admitted = async () => (await send('POST', '/api/sessions', call('a'))).status === 201
    await waitFor(admitted, { what: 'the end of the bar' })
    t.match((await send('GET', '/api/sessions/limits/alice')).body, { barred: false })
  })

  t.test(`${store}: the spelling of a domain is no way round a bar`, async (t) => {
    const send = as(await start(t), ADMIN)
    await send('PUT', `/api/sessions/users/${encodeURIComponent('al@Example.COM')}/bar`, {})
    const request = { username: 'al@eXample.com', session_id: 'a' }
    t.match(await send('POST', '/api/sessions', request), { body: { code: 'user_barred' } })
  })
}

t.test('a bar holds while Redis is away, known by a write or a refusal', async (t) => {
  const own = await startRedis(t)
  const [writer, other] = [await startAppOn(t, own), await startAppOn(t, own)]
  const late = as(other, ADMIN)
  for (const user of ['alice', 'bob']) {
    await as(writer, ADMIN)('PUT', `/api/sessions/users/${user}/bar`, { reason: 'fraud' })
  }
  t.match(await late('POST', '/api/sessions', call('a')), { body: { code: 'user_barred' } })
  await own.kill()
  for (const [app, user] of [[writer, 'bob'], [other, 'alice']] as const) {
    const send = as(app, ADMIN)
    const request = { username: user, session_id: `${user}-1` }
    const refused = async () => {
      const { status, body } = await send('POST', '/api/sessions', request)
      return status === 409 && body.degraded === true
    }
    await waitFor(refused, { what: `${user} to be refused without Redis` })
    t.match(await send('POST', '/api/sessions', request), {
      body: { code: 'user_barred', allowed: false, degraded: true, sip: { status: 403 } }
    })
    t.match(
      await send('POST', '/api/sessions', { ...request, session_id: 'x', emergency: true }),
      { status: 201, body: { degraded: true } },
      'an emergency call passes'
    )
  }
  t.match(await late('PUT', bar, {}), { status: 503 }, 'a write needs Redis')
  t.match(await late('DELETE', bar), { status: 503 })
  t.match((await late('GET', '/api/sessions/limits/alice')).body, { barred: true, degraded: true })
})
