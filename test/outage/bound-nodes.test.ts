/**
 * What a caller that is bound to a node may not do on a healthy Redis, it may not do in an outage.
 */
import t from 'tap'
import { as, connected, type Claims } from '../helpers/app.ts'
import { audit } from '../helpers/audit.ts'
import { startCluster, startRedis } from '../helpers/servers.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'
import { startOn, untilDegraded } from './service.ts'

const switchOf = (node: string): Claims => ({ sub: `sw-${node}`, role: 'switch', node })

t.test('a release in an outage by a caller of another node ends nothing', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis)
  const env = { BIND_NODES: 'true', MAX_SESSIONS_PER_USER: '0' }
  const near = await startOn(t, { REDIS_URL: redis.url, ...env })
  const far = await startOn(t, { REDIS_URL: `redis://${proxy.host}:${proxy.port}`, ...env })
  await connected(near, far)
  const [a, b] = [as(near, switchOf('pbx-a')), as(far, switchOf('pbx-b'))]
  const ids = ['by-id', 'by-name', 'batch', 'held', 'later']
  for (const id of ids.slice(0, 4)) {
    const taken = await a('POST', '/api/sessions', { username: 'alice', session_id: id })
    t.equal(taken.status, 201)
  }
  proxy.reset()
  await untilDegraded(far, true)
  await b('DELETE', '/api/sessions/by-id')
  await b('DELETE', '/api/sessions/by-name?username=alice')
  await b('POST', '/api/sessions/release', { sessions: [{ session_id: 'batch' }] })
  await b('DELETE', '/api/sessions/later')
  t.match(
    await b('POST', '/api/sessions', { username: 'alice', session_id: 'own' }),
    { status: 201, body: { degraded: true } }
  )
  await b('DELETE', '/api/sessions/own')
  proxy.pass()
  await untilDegraded(far, false)
  t.match(await a('POST', '/api/sessions', { username: 'alice', session_id: 'later' }), {
    status: 201
  })
  for (const id of ids) {
    const renewed = await a('POST', `/api/sessions/${id}/renew`, { username: 'alice' })
    t.match(renewed, { status: 200, body: { session: { node: 'pbx-a' } } }, id)
    t.equal((await b('DELETE', `/api/sessions/${id}`)).status, 403, `${id} is not theirs`)
  }
  const up = ids.map((id) => ({ username: 'alice', id, node: 'pbx-a' }))
  await audit(t, near, [redis], { up, gone: [{ username: 'alice', id: 'own' }] })
})

t.test('in a Cluster neither, where it is not known who holds an id', async (t) => {
  const { masters } = await startCluster(t, 3, 0)
  const app = await startOn(t, {
    REDIS_CLUSTER_NODES: masters.map(({ host, port }) => `${host}:${port}`).join(),
    BIND_NODES: 'true'
  })
  await connected(app)
  const [a, b] = [as(app, switchOf('pbx-a')), as(app, switchOf('pbx-b'))]
  for (const id of ['c-1', 'c-2']) {
    const taken = await a('POST', '/api/sessions', { username: 'alice', session_id: id })
    t.equal(taken.status, 201)
    await app.redis.del(`voice-ferry-c4:session-holder:${id}`)
  }
  await b('DELETE', '/api/sessions/c-1')
  t.equal((await b('DELETE', '/api/sessions/c-2?username=alice')).status, 403)
  for (const id of ['c-1', 'c-2']) {
    const renewed = await a('POST', `/api/sessions/${id}/renew`, { username: 'alice' })
    t.match(renewed, { status: 200, body: { session: { node: 'pbx-a' } } }, id)
  }
  t.match((await a('GET', '/api/sessions/counts/alice')).body, { count: 2 })
})
