/**
 * A record is gone while its lease stands, or a lease while its record does; or, in a Cluster, what
 * says whose an id is.
 */
import t, { type Test } from 'tap'
import { ADMIN, as, connected, PATIENT } from '../helpers/app.ts'
import { audit } from '../helpers/audit.ts'
import { leasesOf } from '../helpers/leases.ts'
import { startCluster, startRedis } from '../helpers/servers.ts'
import { startOn } from './service.ts'

const PREFIX = 'voice-ferry-c4:'

const redis = await startRedis(t)
const { masters } = await startCluster(t, 3, 0)
const CLUSTER = masters.map(({ host, port }) => `${host}:${port}`).join()

/** Where sessions are kept, and the keys of one of alice's there that can be gone. */
const DEPLOYMENTS = {
  'one Redis': {
    servers: [redis],
    env: { REDIS_URL: redis.url },
    gone: { record: `${PREFIX}session-lease:a1`, lease: `${PREFIX}user-leases:alice` }
  },
  'a Cluster': {
    servers: masters,
    env: { REDIS_CLUSTER_NODES: CLUSTER },
    gone: {
      record: `${PREFIX}session-lease:{alice}:a1`,
      lease: `${PREFIX}user-leases:{alice}`,
      holder: `${PREFIX}session-holder:a1`
    }
  }
}

type Deployment = (typeof DEPLOYMENTS)[keyof typeof DEPLOYMENTS]

/** A user at its limit, and one of its two sessions of which a key was removed. */
async function evicted (t: Test, { servers, env }: Deployment, key: string) {
  for (const server of servers) await server.cli('FLUSHALL')
  const app = await startOn(t, { ...env, ...PATIENT })
  await connected(app)
  const send = as(app, ADMIN)
  await send('PUT', '/api/sessions/limits/alice', { limit: 2 })
  for (const id of ['a1', 'a2']) {
    const body = { username: 'alice', session_id: id, node: 'n' }
    t.equal((await send('POST', '/api/sessions', body)).status, 201)
  }
  const isLease = key.includes('user-leases')
  const removed = isLease ? await app.redis.zrem(key, 'a1') : await app.redis.del(key)
  t.equal(removed, 1, `${key} is gone`)
  return { app, send }
}

const both = ['a1', 'a2'].map((id) => ({ username: 'alice', id, node: 'n' }))

for (const [where, deployment] of Object.entries(DEPLOYMENTS)) {
  const { servers } = deployment
  for (const [gone, key] of Object.entries(deployment.gone)) {
    t.test(`${where}, the ${gone} is gone: the holder keeps its slot`, async (t) => {
      const { app, send } = await evicted(t, deployment, key)
      await send('PUT', '/api/sessions/limits/alice', { limit: 1 })
      const again = await send('POST', '/api/sessions', {
        username: 'alice',
        session_id: 'a1',
        node: 'n'
      })
      t.match(again, { status: 200, body: { allowed: true, count: 2, limit: 1 } })
      await audit(t, app, servers, { up: both, gone: [] })
    })

    t.test(`${where}, the ${gone} is gone: a renewal brings it back`, async (t) => {
      const { app, send } = await evicted(t, deployment, key)
      const body = { username: 'alice', node: 'n' }
      t.equal((await send('POST', '/api/sessions/a1/renew', body)).status, 200)
      await audit(t, app, servers, { up: both, gone: [] })
    })

    t.test(`${where}, the ${gone} is gone: nobody else gets the id`, async (t) => {
      const { send } = await evicted(t, deployment, key)
      const other = { username: 'bob', session_id: 'a1' }
      t.match(await send('POST', '/api/sessions', other), {
        status: 409,
        body: { code: 'session_id_conflict' }
      })
      t.notOk((await leasesOf(...servers)).has('bob a1'))
    })

    t.test(`${where}, the ${gone} is gone: a release by id alone frees the slot`, async (t) => {
      const { app, send } = await evicted(t, deployment, key)
      const released = await send('DELETE', '/api/sessions/a1')
      t.match(released, { status: 200, body: { released: true } })
      const [gonesOne, upOne] = both
      await audit(t, app, servers, {
        up: upOne === undefined ? [] : [upOne],
        gone: gonesOne === undefined ? [] : [gonesOne]
      })
    })
  }

  for (const [what, gone] of Object.entries({ ...deployment.gone, 'list of leases': '' })) {
    t.test(`${where}, the ${what} is gone: all of the user's sessions are ended`, async (t) => {
      const { app, send } = await evicted(t, deployment, gone || deployment.gone.record)
      if (gone === '') t.equal(await app.redis.del(deployment.gone.lease), 1)
      const ended = await send('DELETE', '/api/sessions/users/alice/sessions')
      t.equal(ended.status, 200)
      for (const { id } of both) {
        const renewed = await send('POST', `/api/sessions/${id}/renew`, { username: 'alice' })
        t.equal(renewed.status, 410, `${id} stays ended`)
      }
      await audit(t, app, servers, { up: [], gone: both })
    })
  }

  for (const [gone, key] of Object.entries(deployment.gone)) {
    for (const how of ['renewal', 'admission'] as const) {
      const what = `${where}, the ${gone} is gone: released where nobody knows whose it is`
      t.test(`${what}, it is free after the next ${how}`, async (t) => {
        const { app, send } = await evicted(t, deployment, key)
        const other = await startOn(t, { ...deployment.env, ...PATIENT })
        await connected(other)
        t.equal((await as(other, ADMIN)('DELETE', '/api/sessions/a1')).status, 200)
        const { status } = how === 'renewal'
          ? await send('POST', '/api/sessions/a1/renew', { username: 'alice' })
          : await send('POST', '/api/sessions', { username: 'alice', session_id: 'a1' })
        t.equal(status, 410, 'it has ended')
        await audit(t, app, servers, { up: both.slice(1), gone: both.slice(0, 1) })
      })
    }
  }

  for (const [gone, key] of Object.entries(deployment.gone)) {
    const what = `${where}, the ${gone} is gone: released where nobody knows whose it is`
    const releasedElsewhere = async (t: Test) => {
      const { app } = await evicted(t, deployment, key)
      const other = await startOn(t, { ...deployment.env, ...PATIENT })
      await connected(other)
      const send = as(other, ADMIN)
      t.equal((await send('DELETE', '/api/sessions/a1')).status, 200)
      return { app, other, send }
    }
    const oneUp = { up: both.slice(1), gone: both.slice(0, 1) }

    t.test(`${what}, the next sweep frees it`, async (t) => {
      const { app, other, send } = await releasedElsewhere(t)
      t.equal((await send('POST', '/api/sessions/sweep')).status, 200)
      await audit(t, app, servers, oneUp)
      await audit(t, other, servers, oneUp)
    })

    t.test(`${what}, a release that names the user frees it`, async (t) => {
      const { app, other, send } = await releasedElsewhere(t)
      t.equal((await send('DELETE', '/api/sessions/a1?username=alice')).status, 200)
      await audit(t, app, servers, oneUp)
      await audit(t, other, servers, oneUp)
    })

    t.test(`${what}, a release where it is known frees it`, async (t) => {
      const { app, other } = await releasedElsewhere(t)
      t.equal((await as(app, ADMIN)('DELETE', '/api/sessions/a1')).status, 200)
      await audit(t, app, servers, oneUp)
      await audit(t, other, servers, oneUp)
    })
  }

  t.test(`${where}, the record is gone: views of its user and by its id have it`, async (t) => {
    const { send } = await evicted(t, deployment, deployment.gone.record)
    t.match(await send('GET', '/api/sessions/a1'), { status: 200, body: { username: 'alice' } })
    const listed = (await send('GET', '/api/sessions/active?username=alice')).body.sessions
    t.same(listed.map((one: { session_id: string }) => one.session_id).sort(), ['a1', 'a2'])
    t.match((await send('GET', '/api/sessions/counts/alice')).body, { count: 2, leases: 2 })
    const { body } = await send('GET', '/api/sessions/users/alice')
    t.equal(body.sessions.length, 2)
  })
}
