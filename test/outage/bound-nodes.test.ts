/**
 * What a caller that is bound to a node may not do on a healthy Redis, it may not do in an outage.
 */
import t from 'tap'
import { ADMIN, as, connected, type Claims } from '../helpers/app.ts'
import { audit } from '../helpers/audit.ts'
import { startCluster, startRedis } from '../helpers/servers.ts'
import { startProxy } from '../helpers/tcp-proxy.ts'
import { startOn, untilDegraded } from './service.ts'
import { startNearAndFar } from './two-replicas.ts'

const switchOf = (node: string): Claims => ({ sub: `sw-${node}`, role: 'switch', node })

t.test('a release in an outage by a caller of another node ends nothing', async (t) => {
  const { redis, proxy, near, far } = await startNearAndFar(t)
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
  await audit(t, near, [redis], { up, gone: [{ username: 'alice', id: 'own', node: 'pbx-b' }] })
})

/** What a caller of another node says of a call that is up, while Redis is away. */
const TAKES: Record<string, (id: string) => [method: 'POST', path: string, body: object]> = {
  acquire: (id) => ['POST', '', { username: 'alice', session_id: id, ttl: 86_400 }],
  'a later attempt': (id) => ['POST', '', { username: 'alice', session_id: id, attempt: 9 }],
  'another user': (id) => ['POST', '', { username: 'mallory', session_id: id, attempt: 9 }],
  renewal: (id) => ['POST', `/${id}/renew`, { username: 'alice', ttl: 86_400 }],
  'renewal of a later attempt': (id) => [
    'POST', `/${id}/renew`, { username: 'alice', attempt: 9 }
  ],
  batch: (id) => [
    'POST', '/renew', { sessions: [{ session_id: id, username: 'alice', attempt: 9 }] }
  ],
  report: (id) => [
    'POST',
    '/nodes/pbx-b',
    { epoch: 1, sessions: [{ session_id: id, username: 'alice', attempt: 9 }] }
  ]
}

t.test('nor does a release by who has taken an id of another node in an outage', async (t) => {
  const { redis, proxy, near, far } = await startNearAndFar(t)
  const [a, b] = [as(near, switchOf('pbx-a')), as(far, switchOf('pbx-b'))]
  const ids = [...Object.keys(TAKES), 'lapsed', 'given-up'].map((name) => name.replaceAll(' ', '-'))
  for (const id of ids) {
    const body = { username: 'alice', session_id: id }
    t.equal((await a('POST', '/api/sessions', body)).status, 201)
  }
  proxy.reset()
  await untilDegraded(far, true)
  for (const [name, take] of Object.entries(TAKES)) {
    const id = name.replaceAll(' ', '-')
    const [method, path, body] = take(id)
    await b(method, `/api/sessions${path}`, body)
    const release = { sessions: [{ session_id: id }] }
    const ended = await b('POST', '/api/sessions/release', release)
    t.match(ended.body.results, [{ released: true }], `${name}: nobody here knows whose it is`)
  }
  for (const id of ['lapsed', 'given-up']) {
    await b('POST', '/api/sessions', { username: 'alice', session_id: id })
    await b('POST', '/api/sessions/nodes/pbx-b/forget', {})
    if (id === 'lapsed') await b('DELETE', `/api/sessions/${id}`)
  }
  proxy.pass()
  await untilDegraded(far, false)
  for (const id of ids) {
    const renewed = await a('POST', `/api/sessions/${id}/renew`, { username: 'alice' })
    t.match(renewed, { status: 200, body: { reregistered: false } }, id)
  }
  const up = ids.map((id) => ({ username: 'alice', id, node: 'pbx-a' }))
  await audit(t, near, [redis], { up, gone: [] })
})

t.test('nor is its own switch told that it has ended', async (t) => {
  const { redis, proxy, near, far } = await startNearAndFar(t)
  const [a, b] = [as(far, switchOf('pbx-a')), as(far, switchOf('pbx-b'))]
  const anyNode = as(far, { sub: 'sw', role: 'switch' })
  const ids = ['lapsed', 'live', 'of-another']
  for (const id of ids) {
    const body = { username: 'alice', session_id: id, node: 'pbx-a' }
    t.equal((await as(near, ADMIN)('POST', '/api/sessions', body)).status, 201)
  }
  proxy.reset()
  await untilDegraded(far, true)
  const take = { session_id: 'lapsed', username: 'alice', attempt: 9 }
  await b('POST', '/api/sessions', take)
  await b('POST', '/api/sessions/nodes/pbx-b/forget', {})
  const said = { username: 'alice', attempt: 0, node: 'pbx-a' }
  t.match(await a('POST', '/api/sessions/lapsed/renew', said), { status: 200 })
  await b('POST', '/api/sessions', { ...take, session_id: 'live' })
  t.match(await anyNode('POST', '/api/sessions/live/renew', said), { status: 200 })
  await b('POST', '/api/sessions', { ...take, session_id: 'of-another', username: 'mallory' })
  t.match(await anyNode('POST', '/api/sessions/of-another/renew', said), { status: 200 })
  proxy.pass()
  await untilDegraded(far, false)
  const up = ids.map((id) => ({ username: 'alice', id, node: 'pbx-a' }))
  for (const id of ids) {
    const renewed = await anyNode('POST', `/api/sessions/${id}/renew`, said)
    const session = { node: 'pbx-a', attempt: 0 }
    t.match(renewed, { status: 200, body: { reregistered: false, session } }, id)
  }
  await audit(t, near, [redis], { up, gone: [] })
})

t.test('what a caller of another node said in an outage is forgotten with it', async (t) => {
  const { redis, proxy, near, far } = await startNearAndFar(t)
  const [a, b] = [as(far, switchOf('pbx-a')), as(far, switchOf('pbx-b'))]
  const ids = ['renewed', 'asked-again', 'by-node']
  const body = (id: string) => ({ username: 'alice', session_id: id })
  for (const id of ids) {
    const taken = await as(near, switchOf('pbx-a'))('POST', '/api/sessions', body(id))
    t.equal(taken.status, 201)
  }
  proxy.reset()
  await untilDegraded(far, true)
  for (const id of ids) t.equal((await b('POST', '/api/sessions', body(id))).status, 201)
  proxy.pass()
  await untilDegraded(far, false)
  const own = { username: 'alice', node: 'pbx-a' }
  const renewed = await as(far, ADMIN)('POST', '/api/sessions/renewed/renew', { username: 'alice' })
  t.match(renewed, { status: 200, body: { session: { node: 'pbx-a' } } })
  t.equal((await a('POST', '/api/sessions', body('asked-again'))).status, 200)
  t.equal((await a('POST', '/api/sessions/by-node/renew', own)).status, 200)
  proxy.reset()
  await untilDegraded(far, true)
  for (const id of ids) {
    t.equal((await b('DELETE', `/api/sessions/${id}`)).status, 403, `${id} is not theirs`)
    t.equal((await a('POST', `/api/sessions/${id}/renew`, own)).status, 200, id)
  }
  proxy.pass()
  await untilDegraded(far, false)
  const up = ids.map((id) => ({ username: 'alice', id, node: 'pbx-a' }))
  await audit(t, near, [redis], { up, gone: [] })
})

t.test('a session is not taken over in an outage by a caller of another node', async (t) => {
  const { redis, proxy, near, far } = await startNearAndFar(t)
  const [a, b] = [as(near, switchOf('pbx-a')), as(far, switchOf('pbx-b'))]
  const takes = Object.entries(TAKES)
  const idOf = (name: string) => name.replaceAll(' ', '-')
  for (const [name] of takes) {
    const body = { username: 'alice', session_id: idOf(name) }
    t.equal((await a('POST', '/api/sessions', body)).status, 201)
  }
  const ends = async () =>
    (await a('GET', '/api/sessions/active?username=alice')).body.sessions
      .map(({ session_id: id, expires_at: end }: Record<string, string>) => `${id} ${end}`).sort()
  const before = await ends()
  proxy.reset()
  await untilDegraded(far, true)
  for (const [name, take] of takes) {
    const [method, path, body] = take(idOf(name))
    const answer = await b(method, `/api/sessions${path}`, body)
    t.ok(answer.status < 300, `${name}: nobody here knows whose it is`)
  }
  proxy.pass()
  await untilDegraded(far, false)
  t.same(await ends(), before, 'none lasts longer than its own caller said')
  for (const [name] of takes) {
    const id = idOf(name)
    const found = await a('GET', `/api/sessions/${id}`)
    t.match(found.body, { node: 'pbx-a', attempt: 0, username: 'alice' }, name)
    const renewed = await a('POST', `/api/sessions/${id}/renew`, { username: 'alice' })
    t.match(renewed, { status: 200, body: { session: { node: 'pbx-a', attempt: 0 } } }, name)
    const again = await b('POST', `/api/sessions/${id}/renew`, { username: 'alice' })
    t.equal(again.status, 403, `${name}: it is not theirs`)
  }
  t.same((await b('GET', '/api/sessions/nodes/pbx-b')).body.sessions ?? [], [])
  const up = takes.map(([name]) => ({ username: 'alice', id: idOf(name), node: 'pbx-a' }))
  await audit(t, near, [redis], { up, gone: [] })
  await audit(t, far, [redis], { up, gone: [] })
})

t.test('what a node ended in an outage stays ended, whatever another one says', async (t) => {
  const { redis, proxy, near, far } = await startNearAndFar(t)
  const [a, b] = [as(far, switchOf('pbx-a')), as(far, switchOf('pbx-b'))]
  const ids = ['taken', 'renewed', 'released']
  const body = (id: string) => ({ username: 'alice', session_id: id })
  for (const id of ids) {
    const taken = await as(near, switchOf('pbx-a'))('POST', '/api/sessions', body(id))
    t.equal(taken.status, 201)
  }
  proxy.reset()
  await untilDegraded(far, true)
  for (const id of ids) t.equal((await a('DELETE', `/api/sessions/${id}`)).status, 200)
  t.equal((await b('POST', '/api/sessions', body('taken'))).status, 201)
  t.equal((await b('POST', '/api/sessions/renewed/renew', { username: 'alice' })).status, 200)
  t.equal((await b('DELETE', '/api/sessions/released')).status, 200)
  proxy.pass()
  await untilDegraded(far, false)
  for (const id of ids) {
    const again = await as(near, switchOf('pbx-a'))('POST', '/api/sessions', body(id))
    t.equal(again.status, 410, `${id} has ended`)
  }
  await audit(t, near, [redis], { up: [], gone: ids.map((id) => ({ username: 'alice', id })) })
})

t.test('a refusal in an outage gives back no slot of another node', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis)
  const env = { BIND_NODES: 'true', MAX_SESSIONS_PER_USER: '3', REDIS_TIMEOUT_MS: '500' }
  const near = await startOn(t, { REDIS_URL: redis.url, ...env })
  const far = await startOn(t, { REDIS_URL: `redis://${proxy.host}:${proxy.port}`, ...env })
  await connected(near, far)
  const [a, b] = [as(near, switchOf('pbx-a')), as(far, switchOf('pbx-b'))]
  const take = (send: typeof a, id: string) =>
    send('POST', '/api/sessions', { username: 'alice', session_id: id })
  t.equal((await take(a, 'theirs')).status, 201)
  for (const id of ['own-1', 'own-2']) t.equal((await take(b, id)).status, 201)
  await as(far, ADMIN)('PUT', '/api/sessions/limits/alice', { limit: 2 })
  // Redis is asked, and does not answer: it may have taken the slot.
  proxy.blackhole()
  t.match(await take(b, 'theirs'), { status: 409, body: { degraded: true } })
  proxy.pass()
  await untilDegraded(far, false)
  const renewed = await a('POST', '/api/sessions/theirs/renew', { username: 'alice' })
  t.match(renewed, { status: 200, body: { reregistered: false } }, 'its slot was never free')
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
