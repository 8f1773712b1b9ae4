/**
 * Redis is down at the start, killed or frozen: who is let in meanwhile, and what is in Redis
 * afterwards. How fast all that is, `npm run test:faults` measures.
 */
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { ADMIN, as } from '../helpers/app.ts'
import { audit, type KnownSession } from '../helpers/audit.ts'
import { leasesOf } from '../helpers/leases.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import { acquire, release, startOn, untilDegraded, untilStatus } from './service.ts'

const sessionsOf = (username: string, ...ids: string[]): KnownSession[] =>
  ids.map((id) => ({ username, id: `${username}-${id}`, node: 'n1' }))

/** How Redis goes away, and how it comes back with what it held. */
const outages: Record<string, { strike: (redis: RedisServer) => unknown; mend: typeof restart }> = {
  killed: { strike: async (redis) => await redis.kill(), mend: restart },
  frozen: { strike: (redis) => redis.pause(), mend: async (redis) => redis.resume() }
}

async function restart (redis: RedisServer): Promise<void> {
  await redis.restart({ keepData: true })
}

/** A Redis that forgets nothing it has acknowledged. */
async function startDurableRedis (t: Test): Promise<RedisServer> {
  return await startRedis(t, { args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
}

for (const [outage, { strike, mend }] of Object.entries(outages)) {
  t.test(`${outage}: calls go on, and Redis is told of them afterwards`, async (t) => {
    const redis = await startDurableRedis(t)
    const app = await startOn(t, { REDIS_URL: redis.url })
    await untilDegraded(app, false)
    const [early, ended, renewed] = sessionsOf('alice', 'early', 'ended', 'renewed') as [
      KnownSession,
      KnownSession,
      KnownSession
    ]
    for (const one of [early, ended, renewed]) t.equal((await acquire(app, one)).status, 201)
    t.equal((await as(app, ADMIN)('PUT', '/api/sessions/limits/known', { limit: 7 })).status, 200)

    await strike(redis)
    await untilDegraded(app, true)
    const [late, over, brief] = [
      ...sessionsOf('alice', 'late', 'over'),
      ...sessionsOf('bob', 'brief')
    ] as [KnownSession, KnownSession, KnownSession]
    t.match(await release(app, ended), { status: 200, body: { released: true, degraded: true } })
    const renewal = { username: 'alice', ttl: 600 }
    t.match(await as(app, ADMIN)('POST', `/api/sessions/${renewed.id}/renew`, renewal), {
      status: 200,
      body: { reregistered: false, degraded: true }
    })
    for (const one of [late, brief]) {
      t.match(await acquire(app, one), { status: 201, body: { allowed: true, degraded: true } })
    }
    for (let i = 0; i < 2; i++) t.equal((await acquire(app, spare('alice', i))).status, 201)
    t.match(
      await acquire(app, over),
      { status: 409, body: { code: 'session_limit_reached', count: 5, limit: 5, degraded: true } },
      'the limit holds'
    )
    t.equal((await acquire(app, ended)).status, 410, 'what has ended stays ended')
    for (const one of [brief, spare('alice', 0), spare('alice', 1)]) {
      t.match(await release(app, one), { status: 200, body: { released: true } })
    }
    await untilStatus(app, 'degraded')
    const known = { username: 'alice', degraded: true, stale_ms: Number }
    const found = await as(app, ADMIN)('GET', `/api/sessions/${early.id}`)
    t.match(found.body, known, 'a session as last known, and how old that is')
    const listed = await as(app, ADMIN)('GET', `/api/sessions/active?session_id=${early.id}`)
    t.match(listed.body.sessions, [known], 'in a list of one, too')
    await refusesWrites(t, app)

    await mend(redis)
    await untilDegraded(app, false)
    await untilStatus(app, 'ok')
    await keptLimits(t, app, redis)
    const gone = [ended, brief, spare('alice', 0), spare('alice', 1)]
    await audit(t, app, [redis], { up: [early, renewed, late], gone })
  })
}

function spare (username: string, i: number): KnownSession {
  return { username, id: `${username}-spare-${i}` }
}

/** Limits and policy cannot be written without Redis; reads give what was known, and its age. */
async function refusesWrites (t: Test, app: FastifyInstance): Promise<void> {
  const send = as(app, ADMIN)
  for (const [method, path, body] of [
    ['PUT', 'limits/known', { limit: 8 }],
    ['DELETE', 'limits/known', undefined],
    ['POST', 'limits/bulk', { limits: { known: 9, other: 1 } }],
    ['PUT', 'limits', { max_sessions_per_user: 77 }],
    ['POST', 'users/known/temporary-limit', { limit: 10, duration: 60 }]
  ] as const) {
    t.match(
      await send(method, `/api/sessions/${path}`, body),
      { status: 503, headers: { 'retry-after': /^\d+$/ }, body: { code: 'store_unavailable' } },
      `${method} ${path} is refused`
    )
  }
  t.match(
    await send('GET', '/api/sessions/limits/known'),
    { status: 200, body: { limit: 7, source: 'user', degraded: true, stale_ms: Number } },
    'the last known limit, and how old it is'
  )
  t.match(
    await send('DELETE', '/api/sessions/users/nobody/sessions'),
    { status: 200, body: { success: true, terminated: [], degraded: true } },
    'sessions that are known here can be ended'
  )
  t.equal((await send('GET', '/healthz/live')).status, 200)
  t.equal((await send('GET', '/healthz/ready')).status, 200, 'the service is ready all the same')
}

/** Nothing of what was refused is kept later. */
async function keptLimits (t: Test, app: FastifyInstance, redis: RedisServer): Promise<void> {
  const { body } = await as(app, ADMIN)('GET', '/api/sessions/limits/known')
  t.match(body, { limit: 7, source: 'user' }, 'the limit is as it was')
  t.notOk('stale_ms' in body, 'and fresh')
  t.equal(await redis.cli('GET', 'voice-ferry-c4:user-limit:known'), '7', 'in Redis, too')
  t.notMatch(await redis.cli('HGETALL', 'voice-ferry-c4:session-policy'), '77', 'the policy, too')
}

t.test('down at the start: calls are let in, and are in Redis when it is there', async (t) => {
  const redis = await startRedis(t)
  await redis.kill()
  const app = await startOn(t, { REDIS_URL: redis.url })
  const [up = [], gone = []] = [sessionsOf('carol', '1', '2'), sessionsOf('carol', '3')]
  for (const one of [...up, ...gone]) {
    t.match(await acquire(app, one), { status: 201, body: { degraded: true } })
  }
  for (const one of gone) t.equal((await release(app, one)).status, 200)
  await redis.restart()
  await untilDegraded(app, false)
  await audit(t, app, [redis], { up, gone })
})

for (const [outage, { strike, mend }] of Object.entries(outages)) {
  t.test(`${outage}, OUTAGE_MODE=deny: nobody is let in without Redis`, async (t) => {
    const redis = await startDurableRedis(t)
    const app = await startOn(t, { REDIS_URL: redis.url, OUTAGE_MODE: 'deny' })
    await untilDegraded(app, false)
    const [early, refused] = sessionsOf('dave', 'early', 'refused') as [KnownSession, KnownSession]
    t.equal((await acquire(app, early)).status, 201)
    await strike(redis)
    await untilStatus(app, 'down')
    await untilDegraded(app, true)
    t.match(await acquire(app, refused), {
      status: 503,
      headers: { 'retry-after': /^\d+$/ },
      body: { code: 'store_unavailable' }
    })
    t.equal((await as(app, null)('GET', '/healthz/ready')).status, 503)
    t.equal((await as(app, null)('GET', '/healthz/live')).status, 200)
    await mend(redis)
    await untilStatus(app, 'ok')
    await untilDegraded(app, false)
    await audit(t, app, [redis], { up: [early], gone: [] })
    t.equal((await acquire(app, refused)).status, 201, 'what was refused left nothing behind')
  })
}

t.test('killed, terminate_oldest: an emergency call is not the one that ends', async (t) => {
  const redis = await startDurableRedis(t)
  const app = await startOn(t, { REDIS_URL: redis.url })
  await untilDegraded(app, false)
  const policy = { max_sessions_per_user: 2, session_limit_action: 'terminate_oldest' }
  t.equal((await as(app, ADMIN)('PUT', '/api/sessions/limits', policy)).status, 200)
  const [emergency, oldest, newest] = sessionsOf('alice', 'emergency', 'oldest', 'newest') as [
    KnownSession,
    KnownSession,
    KnownSession
  ]
  const { username, id, node } = emergency
  const urgent = { username, session_id: id, node, emergency: true }
  t.equal((await as(app, ADMIN)('POST', '/api/sessions', urgent)).status, 201)
  t.equal((await acquire(app, oldest)).status, 201)
  await redis.kill()
  await untilDegraded(app, true)
  t.match(await acquire(app, newest), {
    status: 201,
    body: { count: 2, terminated: [oldest.id], degraded: true }
  })
  await restart(redis)
  await untilDegraded(app, false)
  await audit(t, app, [redis], { up: [emergency, newest], gone: [oldest] })
})

t.test('killed, OUTAGE_MODE=deny: an emergency call is admitted', async (t) => {
  const redis = await startDurableRedis(t)
  const app = await startOn(t, { REDIS_URL: redis.url, OUTAGE_MODE: 'deny' })
  await untilDegraded(app, false)
  const send = as(app, ADMIN)
  t.equal((await send('PUT', '/api/sessions/limits/fay', { limit: 1 })).status, 200)
  await redis.kill()
  await untilDegraded(app, true)
  const [ordinary, ...up] = sessionsOf('fay', 'ordinary', 'sos', 'sos2') as [
    KnownSession, ...KnownSession[]
  ]
  t.match(await acquire(app, ordinary), { status: 503, body: { allowed: false } })
  for (const { username, id, node } of up) {
    const call = { username, session_id: id, node, emergency: true }
    t.match(await send('POST', '/api/sessions', { ...call, dry_run: true }), {
      status: 200,
      body: { allowed: true, degraded: true }
    })
    t.match(await send('POST', '/api/sessions', call), {
      status: 201,
      body: { allowed: true, degraded: true, session: { emergency: true } }
    })
  }
  t.match(await acquire(app, ordinary), { status: 503 }, 'others still are refused')
  await restart(redis)
  await untilDegraded(app, false)
  await audit(t, app, [redis], { up, gone: [] })
  t.equal((await send('GET', `/api/sessions/${ordinary.id}`)).status, 404)
})

t.test('killed, OUTAGE_MODE=allow: nobody is refused without Redis', async (t) => {
  const redis = await startDurableRedis(t)
  const app = await startOn(t, { REDIS_URL: redis.url, OUTAGE_MODE: 'allow' })
  await untilDegraded(app, false)
  await redis.kill()
  await untilDegraded(app, true)
  const up = sessionsOf('erin', ...Array.from({ length: 8 }, (_, i) => String(i)))
  for (const one of up) {
    t.match(await acquire(app, one), { status: 201, body: { degraded: true } })
  }
  await restart(redis)
  await untilDegraded(app, false)
  await audit(t, app, [redis], { up, gone: [] })
  t.match(
    await acquire(app, { username: 'erin', id: 'over' }),
    { status: 409, body: { count: 8, limit: 5 } },
    'the limit holds again'
  )
})

t.test('Redis is told of 2,000 calls, and that 100 of them have ended', async (t) => {
  const redis = await startRedis(t)
  const app = await startOn(t, { REDIS_URL: redis.url })
  await redis.kill()
  await untilDegraded(app, true)
  const all = Array.from({ length: 2000 }, (_, i) => ({ username: `many-${i % 500}`, id: `m${i}` }))
  const statuses = new Set<number>()
  for (const one of all) statuses.add((await acquire(app, one)).status)
  t.same([...statuses], [201])
  const gone = all.filter((_, i) => i % 20 === 0)
  for (const one of gone) t.equal((await release(app, one)).status, 200)
  const up = all.filter((_, i) => i % 20 !== 0).map(({ username, id }) => `${username} ${id}`)
  await redis.restart()
  await waitFor(async () => (await leasesOf(redis)).size >= up.length, { what: 'the leases' })
  await untilDegraded(app, false)
  t.same([...(await leasesOf(redis))].sort(), up.sort(), 'those that are up, and no other')
})
