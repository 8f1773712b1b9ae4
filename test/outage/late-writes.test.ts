/** A write that was answered with 503 is never kept later, however long Redis hung. */
import t, { type Test } from 'tap'
import { ADMIN, as, PATIENT } from '../helpers/app.ts'
import { audit } from '../helpers/audit.ts'
import { startProxy, startRedis } from '../helpers/servers.ts'
import { acquire, startOn, untilDegraded } from './service.ts'

const PREFIX = 'voice-ferry-c4:'
const limits = '/api/sessions/limits'
const TEMPORARY = '/api/sessions/users/alice/temporary-limit'
const BAR = '/api/sessions/users/alice/bar'
const SHORT = { REDIS_TIMEOUT_MS: '300' }

type Method = 'PUT' | 'POST' | 'DELETE'

const WRITES: Array<[what: string, method: Method, url: string, body?: object]> = [
  ['a limit', 'PUT', `${limits}/alice`, { limit: 7 }],
  ['the removal of a limit', 'DELETE', `${limits}/alice`],
  ['many limits', 'POST', `${limits}/bulk`, { limits: { alice: 7, bob: null } }],
  ['a temporary limit', 'POST', TEMPORARY, { limit: 7, duration: 60 }],
  ['the removal of a temporary limit', 'DELETE', TEMPORARY],
  ['a bar', 'PUT', BAR, { reason: 'fraud' }],
  ['the policy', 'PUT', limits, { max_sessions_per_user: 7 }]
]

async function prepared (t: Test, env: NodeJS.ProcessEnv = {}) {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis)
  const url = `redis://${proxy.host}:${proxy.port}`
  const app = await startOn(t, { REDIS_URL: url, ...SHORT, ...env })
  const send = as(app, ADMIN)
  await untilDegraded(app, false)
  const seen = async () => [
    await redis.cli('MGET', `${PREFIX}user-limit:alice`, `${PREFIX}user-limit:bob`),
    (await redis.cli('GET', `${PREFIX}user-temporary-limit:alice`)).split(' ')[0],
    await redis.cli('GET', `${PREFIX}user-bar:alice`),
    await redis.cli('HGETALL', `${PREFIX}session-policy`)
  ]
  for (const [, method, path, body] of [
    ['', 'PUT', `${limits}/alice`, { limit: 3 }],
    ['', 'PUT', `${limits}/bob`, { limit: 4 }],
    ['', 'POST', TEMPORARY, { limit: 5, duration: 600 }],
    ['', 'PUT', limits, { max_sessions_per_user: 6 }]
  ] as typeof WRITES) {
    t.equal((await send(method, path, body)).status < 300, true, `${method} ${path}`)
  }
  return { redis, proxy, app, send, seen }
}

t.test('Redis hangs and goes on: what was refused meanwhile is not kept', async (t) => {
  const { redis, app, send, seen } = await prepared(t)
  for (const [what, method, url, body] of WRITES) {
    const before = await seen()
    redis.pause()
    const answer = await send(method, url, body)
    t.match(answer, { status: 503, body: { code: 'store_unavailable', outcome: 'unknown' } }, what)
    redis.resume()
    await untilDegraded(app, false)
    t.same(await seen(), before, `${what} was not kept later`)
  }
})

t.test('Redis hangs in `deny`: a refused call ends none, and takes no slot', async (t) => {
  const { redis, app, send } = await prepared(t, { OUTAGE_MODE: 'deny' })
  await send('DELETE', TEMPORARY)
  await send('PUT', `${limits}/alice`, { limit: 1 })
  await send('PUT', limits, { session_limit_action: 'terminate_oldest' })
  const up = { username: 'alice', id: 'a1' }
  const first = await send('POST', '/api/sessions', { username: 'alice', session_id: 'a1' })
  t.equal(first.status, 201)
  redis.pause()
  const refused = await send('POST', '/api/sessions', { username: 'alice', session_id: 'a2' })
  t.equal(refused.status, 503)
  redis.resume()
  await untilDegraded(app, false)
  // Its own short patience is not what is asked about.
  const reader = await startOn(t, { REDIS_URL: redis.url })
  await untilDegraded(reader, false)
  await audit(t, reader, [redis], { up: [up], gone: [] })
  t.equal((await as(reader, ADMIN)('GET', '/api/sessions/a2')).status, 404)
})

t.test('a reply is lost once: the write is answered; twice: its outcome is unknown', async (t) => {
  const { app, proxy, send } = await prepared(t, { REDIS_TIMEOUT_MS: '2000' })
  proxy.swallowNextReply().catch(() => {})
  const once = await send('PUT', `${limits}/alice`, { limit: 8 })
  t.ok(once.status === 200 || once.body.outcome === 'unknown', 'never "not kept"')
  await untilDegraded(app, false)
  const { body } = await send('GET', `${limits}/alice`)
  t.ok(body.source === 'temporary')
})

t.test('Redis is down: nothing was kept, and the answer does not say "unknown"', async (t) => {
  const { redis, app, send } = await prepared(t)
  await redis.kill()
  await untilDegraded(app, true)
  for (const [what, method, url, body] of WRITES) {
    const answer = await send(method, url, body)
    t.equal(answer.status, 503, what)
    t.notOk('outcome' in answer.body, `${what}: it is known`)
  }
})

t.test('work that Redis refuses halfway: its outcome is unknown', async (t) => {
  const redis = await startRedis(t)
  const app = await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
  const send = as(app, ADMIN)
  t.equal((await acquire(app, { username: 'alice', id: 'a', node: 'n1' })).status, 201)
  await redis.cli('ACL', 'SETUSER', 'default', '-zscan')
  const half = { status: 503, body: { code: 'store_unavailable', outcome: 'unknown' } }
  t.match(await send('DELETE', '/api/sessions/users/alice/sessions'), half)
  const answer = await send('DELETE', '/api/sessions/nodes/n1')
  t.match(answer, { status: 503 })
  t.notOk('outcome' in answer.body, 'the index was not read: nothing was done')
})
