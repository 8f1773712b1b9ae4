/**
 * What a replica knows of limits and sessions that others set or recorded, when Redis goes away.
 */
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { ADMIN, as, PATIENT } from '../helpers/app.ts'
import { audit, type KnownSession } from '../helpers/audit.ts'
import { monitorRedis, type Seen } from '../helpers/redis-monitor.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import { acquire, release, startOn, untilDegraded } from './service.ts'

const PREFIX = 'voice-ferry-c4:'
const DURABLE = { args: ['--appendonly', 'yes', '--appendfsync', 'always'] }

async function startOne (t: Test, redis: RedisServer): Promise<FastifyInstance> {
  const app = await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
  await untilDegraded(app, false)
  return app
}

/** Sets what is said of a user's limit. */
async function setLimit (
  app: FastifyInstance,
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: object
): Promise<void> {
  const { status, text } = await as(app, ADMIN)(method, `/api/sessions/${path}`, body)
  t.equal(status, 200, text)
}

t.test('limits that others set or remove, and external sessions', async (t) => {
  const redis = await startRedis(t, DURABLE)
  const [one, other] = [await startOne(t, redis), await startOne(t, redis)]
  const limitAt = async (username: string) =>
    (await as(one, ADMIN)('GET', `/api/sessions/limits/${username}`)).body
  const monitor = await monitorRedis(t, redis)
  const temporary = { limit: 9, duration: 600 }
  // Set here and removed there; learnt from an admission, and removed there; set there.
  await setLimit(one, 'POST', 'users/removed/temporary-limit', temporary)
  await setLimit(other, 'POST', 'users/learnt/temporary-limit', temporary)
  await setLimit(other, 'POST', 'users/brief/temporary-limit', { limit: 9, duration: 3 })
  for (const username of ['learnt', 'brief']) {
    t.equal((await acquire(one, { username, id: username })).status, 201)
  }
  for (const username of ['removed', 'learnt']) {
    await setLimit(other, 'DELETE', `users/${username}/temporary-limit`)
  }
  // The switch has recorded four calls itself, and five more are leases.
  for (let i = 0; i < 4; i++) {
    await redis.cli('SADD', `${PREFIX}user-sessions:mixed`, `x${i}`)
    const json = JSON.stringify({ session_id: `x${i}`, username: 'mixed' })
    await redis.cli('SET', `${PREFIX}session:x${i}`, json, 'EX', '600')
  }
  await setLimit(other, 'PUT', 'limits/mixed', { limit: 6 })
  t.equal((await acquire(one, { username: 'mixed', id: 'm1' })).status, 201)
  await monitor.take()
  const key = `${PREFIX}user-temporary-limit:removed`
  const isRead = ([name, ...keys]: Seen) => name === 'MGET' && keys.includes(key)
  await waitFor(
    async () => (await monitor.take()).some(isRead),
    { what: 'the temporary limits to be read again' }
  )
  await redis.kill()
  await untilDegraded(one, true)
  for (const username of ['removed', 'learnt']) {
    t.match(await limitAt(username), { limit: 5, source: 'default', degraded: true }, username)
  }
  await waitFor(async () => (await limitAt('brief')).limit === 5, {
    what: 'the temporary limit to end by itself'
  })
  t.match(await as(one, ADMIN)('GET', '/api/sessions/counts/mixed'), {
    body: { count: 5, leases: 1, external: 4, limit: 6, degraded: true }
  })
  t.match(await acquire(one, { username: 'mixed', id: 'm2' }), {
    status: 201,
    body: { count: 6, limit: 6, degraded: true }
  })
  t.match(await acquire(one, { username: 'mixed', id: 'm3' }), {
    status: 409,
    body: { count: 6, limit: 6, degraded: true }
  })
})

t.test('whom a late answer ended is named, and named again', async (t) => {
  const redis = await startRedis(t, DURABLE)
  const app = await startOne(t, redis)
  const policy = { max_sessions_per_user: 2, session_limit_action: 'terminate_oldest' }
  await setLimit(app, 'PUT', 'limits', policy)
  const calls = ['k1', 'k2', 'k3'].map((id) => ({ username: 'kate', id, node: 'n1' }))
  const [first, second, third] = calls as [KnownSession, KnownSession, KnownSession]
  for (const one of [first, second]) t.equal((await acquire(app, one)).status, 201)
  await redis.kill()
  await untilDegraded(app, true)
  t.match(await acquire(app, third), {
    status: 201,
    body: { terminated: ['k1'], degraded: true }
  })
  t.match(await acquire(app, third), { status: 200, body: { terminated: ['k1'] } })
  await redis.restart({ keepData: true })
  await untilDegraded(app, false)
  t.match(
    await acquire(app, third),
    { status: 200, body: { terminated: ['k1'], degraded: false } },
    'who asks again when Redis is back is told the same'
  )
  await audit(t, app, [redis], { up: [second, third], gone: [first] })
})

t.test('15,000 reported sessions, and admissions meanwhile', async (t) => {
  const redis = await startRedis(t, DURABLE)
  const app = await startOne(t, redis)
  const send = as(app, ADMIN)
  const reported = Array.from({ length: 15_000 }, (_, i) => ({
    session_id: `r${i}`,
    username: `many-${i % 5000}`
  }))
  const meanwhile = Array.from({ length: 60 }, (_, i) => ({
    username: `new-${i % 20}`,
    id: `new-${i}`,
    node: 'n1'
  }))
  const report = async (epoch: number) =>
    await send('PUT', '/api/sessions/nodes/n1', { epoch, sessions: reported })
  let answer = report(1)
  for (const one of meanwhile.slice(0, 30)) t.equal((await acquire(app, one)).status, 201)
  t.match(await answer, { status: 200, body: { registered: 15_000, released: 0 } })
  await redis.kill()
  await untilDegraded(app, true)
  answer = report(2)
  for (const one of meanwhile.slice(30)) t.equal((await acquire(app, one)).status, 201)
  t.match(await answer, { status: 200, body: { renewed: 15_000, released: 0, degraded: true } })
  for (const { username, id } of meanwhile) {
    const renewal = await send('POST', `/api/sessions/${id}/renew`, { username })
    t.match(renewal, { status: 200, body: { reregistered: false } }, id)
  }
  const ended = meanwhile.slice(0, 5)
  for (const one of ended) t.equal((await release(app, one)).status, 200)
  await redis.restart({ keepData: true })
  await untilDegraded(app, false)
  const { counts, total } = (await send('GET', '/api/sessions/counts')).body
  t.equal(total, 15_000 + 55)
  t.equal(counts['many-0'], 3)
  for (const { id } of meanwhile.slice(5)) {
    t.equal((await send('GET', `/api/sessions/${id}`)).status, 200)
  }
  for (const { id } of ended) t.equal((await send('GET', `/api/sessions/${id}`)).status, 404)
})
