/** Rights of the Redis user: those that the documentation names suffice, and some are missed. */
import t from 'tap'
import { ADMIN, as, PATIENT, startApp } from '../helpers/app.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import {
  addExternal,
  askEverything,
  GRANTED,
  limits,
  RIGHTS,
  startAs,
  warningsOf
} from './rights.ts'

t.test('the rights that the documentation names suffice', async (t) => {
  t.ok(GRANTED.length > 30, 'they are in the documentation')
  const redis = await startRedis(t)
  await addExternal(redis)
  await redis.cli('ACL', 'SETUSER', 'limits', 'on', '>password', ...RIGHTS)
  const app = await startAs(t, redis, 'limits')
  for (let round = 0; round < 2; round++) {
    const failed = [...(await askEverything(app))].filter(([, status]) => status >= 500)
    t.strictSame(failed, [], 'everything is answered')
  }
  t.equal((await as(app, null)('GET', '/healthz/ready')).body.status, 'ok')
  t.strictSame(await warningsOf(app), [])
  t.equal(await redis.cli('ACL', 'LOG'), '', 'nothing was refused')
})

t.test('a right that only lists need costs no admission', async (t) => {
  const redis = await startRedis(t)
  await addExternal(redis)
  const rest = RIGHTS.filter((one) => one !== '+scan' && one !== '+sscan')
  await redis.cli('ACL', 'SETUSER', 'limits', 'on', '>password', ...rest)
  const app = await startAs(t, redis, 'limits')
  const send = as(app, ADMIN)
  await send('PUT', `${limits}/alice`, { limit: 1 })
  for (let i = 0; i < 20; i++) {
    t.equal((await send('GET', '/api/sessions/active')).status, 503, 'a list')
    t.equal((await send('POST', '/api/sessions/sweep')).status, 503, 'a sweep')
    const one = { username: `user${i}`, session_id: `s${i}` }
    t.match(await send('POST', '/api/sessions', one), { status: 201, body: { degraded: false } })
    const full = { username: 'alice', session_id: `a${i}` }
    t.match(await send('POST', '/api/sessions', full), { status: 409, body: { degraded: false } })
  }
})

t.test('a right that comes and goes: the warning does, too', async (t) => {
  const redis = await startRedis(t)
  await redis.cli('ACL', 'SETUSER', 'limits', 'on', '>password', ...RIGHTS)
  const app = await startAs(t, redis, 'limits')
  t.strictSame(await warningsOf(app), [])
  await redis.cli('ACL', 'SETUSER', 'limits', '-zadd', '-time')
  await waitFor(
    async () => (await warningsOf(app)).some((text) => text.includes('+time +zadd')),
    { what: 'the warning' }
  )
  const answer = await as(app, ADMIN)('POST', '/api/sessions', { username: 'bob', session_id: 'b' })
  t.match(answer, { status: 201, body: { degraded: true } })
  await redis.cli('ACL', 'SETUSER', 'limits', '+zadd', '+time')
  await waitFor(async () => (await warningsOf(app)).length === 0, { what: 'its end' })
})

t.test('a node of a Cluster as the only Redis: nothing is a 500, and a warning', async (t) => {
  const redis = await startRedis(t, { args: ['--cluster-enabled', 'yes'] })
  await redis.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await waitFor(
    async () => (await redis.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'),
    { what: 'the Cluster' }
  )
  const app = await startApp(t, { REDIS_URL: redis.url, ...PATIENT })
  const failed = [...(await askEverything(app))].filter(
    ([, status]) => status >= 500 && status !== 503
  )
  t.strictSame(failed, [], 'nothing is a 500')
  t.match(await warningsOf(app), [/REDIS_CLUSTER_NODES/])
})
