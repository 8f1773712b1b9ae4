/** Redis has lost what it held, or a part of it: what is known here is told to it again. */
import t from 'tap'
import { LEARNING_MS } from '../../services/sessions/timing.ts'
import { ADMIN, as } from '../helpers/app.ts'
import { audit } from '../helpers/audit.ts'
import { leasesOf } from '../helpers/leases.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import { acquire, release, startOn, untilDegraded, untilStatus } from './service.ts'

/** Waits until Redis holds these leases and no other. */
async function untilLeases (redis: RedisServer, ...wanted: string[]): Promise<void> {
  await waitFor(
    async () => {
      const held = [...(await leasesOf(redis))].sort().join()
      if (held !== wanted.join()) throw new Error(held)
      return true
    },
    { what: `the leases ${wanted.join()}` }
  )
}

const losses: Record<string, (redis: RedisServer) => Promise<unknown>> = {
  flushed: async (redis) => await redis.cli('FLUSHALL'),
  'restarted empty': async (redis) => await redis.restart()
}

for (const [loss, lose] of Object.entries(losses)) {
  t.test(`${loss}: what is up comes back, and what has ended does not`, async (t) => {
    const redis = await startRedis(t)
    const app = await startOn(t, { REDIS_URL: redis.url })
    await untilDegraded(app, false)
    const [ended, up] = [
      { username: 'alice', id: 'ended' },
      { username: 'alice', id: 'up', node: 'n1' }
    ]
    for (const one of [ended, up]) t.equal((await acquire(app, one)).status, 201)
    t.equal((await release(app, ended)).status, 200)
    await lose(redis)
    await untilLeases(redis, 'alice up')
    await untilDegraded(app, false)
    await untilStatus(app, 'ok')
    const renewal = await as(app, ADMIN)('POST', '/api/sessions/ended/renew', { username: 'alice' })
    t.equal(renewal.status, 410)
    await audit(t, app, [redis], { up: [up], gone: [ended] })
  })
}

t.test('a release is told again to a Redis that lost only its last writes', async (t) => {
  const redis = await startRedis(t)
  const app = await startOn(t, { REDIS_URL: redis.url })
  await untilDegraded(app, false)
  const [released, up, later] = [
    { username: 'dave', id: 'released' },
    { username: 'dave', id: 'up' },
    { username: 'dave', id: 'later' }
  ]
  for (const one of [released, up]) t.equal((await acquire(app, one)).status, 201)
  await redis.cli('SAVE')
  t.match(await release(app, released), {
    status: 200,
    body: { released: true, degraded: false }
  })
  t.equal((await acquire(app, later)).status, 201)
  // As a replica may have been that is promoted.
  await redis.kill()
  await redis.restart({ keepData: true })
  await untilLeases(redis, 'dave later', 'dave up')
  await untilDegraded(app, false)
  await audit(t, app, [redis], { up: [up, later], gone: [released] })
})

t.test('two replicas: each tells what it knows, and the releases of both hold', async (t) => {
  const redis = await startRedis(t)
  const [one, other] = [
    await startOn(t, { REDIS_URL: redis.url }),
    await startOn(t, { REDIS_URL: redis.url })
  ]
  const bobs = (...ids: string[]) => ids.map((id) => ({ username: 'bob', id }))
  for (const app of [one, other]) await untilDegraded(app, false)
  for (const session of bobs('b1', 'b2', 'b3')) t.equal((await acquire(one, session)).status, 201)
  for (const session of bobs('b4', 'b5')) t.equal((await acquire(other, session)).status, 201)
  for (const session of bobs('b1')) {
    t.equal((await release(other, session)).status, 200, 'the other replica releases it')
  }
  await redis.cli('FLUSHALL')
  await untilLeases(redis, 'bob b2', 'bob b3', 'bob b4', 'bob b5')
  for (const app of [one, other]) await untilDegraded(app, false)
  for (const session of bobs('b6')) t.equal((await acquire(one, session)).status, 201)
  for (const session of bobs('b7')) t.equal((await acquire(other, session)).status, 409)
  const told = { up: bobs('b2', 'b3', 'b4', 'b5', 'b6'), gone: bobs('b1') }
  for (const app of [one, other]) await audit(t, app, [redis], told)
})

t.test('an empty Redis takes renewed and reported calls, over the limit, too', async (t) => {
  const redis = await startRedis(t)
  const [lost, app] = [
    await startOn(t, { REDIS_URL: redis.url }),
    await startOn(t, { REDIS_URL: redis.url })
  ]
  const send = as(app, ADMIN)
  for (const one of [lost, app]) await untilDegraded(one, false)
  for (const id of ['c1', 'c2']) {
    t.equal((await acquire(lost, { username: 'carol', id, node: 'n1' })).status, 201)
  }
  await lost.close()
  const began = async (agoMs: number) =>
    await redis.cli('SET', 'voice-ferry-c4:session-generation', `test ${Date.now() - agoMs}`)
  const said = async (sessions: string) => {
    await waitFor(
      async () => (await as(app, null)('GET', '/healthz/ready')).body.sessions === sessions,
      { what: `sessions ${sessions}` }
    )
    await untilDegraded(app, false)
  }
  await began(LEARNING_MS)
  await said('known')

  await redis.cli('FLUSHALL')
  await said('learning')
  t.equal((await send('PUT', '/api/sessions/limits/carol', { limit: 2 })).status, 200)
  t.match(
    await send('POST', '/api/sessions/c1/renew', { username: 'carol' }),
    { status: 200, body: { reregistered: true, degraded: false } },
    'a call that is renewed is taken'
  )
  const sessions = ['c1', 'c2', 'c3'].map((id) => ({ session_id: id, username: 'carol' }))
  t.match(
    await send('PUT', '/api/sessions/nodes/n1', { epoch: 1, sessions }),
    { status: 200, body: { renewed: 1, registered: 2, released: 0 } },
    'and so are those of a node, over the limit'
  )
  t.match(
    await acquire(app, { username: 'carol', id: 'c4' }),
    { status: 409, body: { count: 3, limit: 2 } },
    'a new call finds them counted'
  )

  await began(LEARNING_MS - 60_000)
  await said('learning')
  await began(LEARNING_MS)
  await said('known')
  t.match(await send('GET', '/api/sessions/counts/carol'), { body: { count: 3 } })
})
