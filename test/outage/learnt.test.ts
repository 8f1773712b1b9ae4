/**
 * Sessions that a replica knows from others only: when they began and whether they are emergency
 * calls. What it does not know, it does not make up.
 */
import t, { type Test } from 'tap'
import { audit, type KnownSession, listed } from '../helpers/audit.ts'
import { startRedis } from '../helpers/servers.ts'
import { acquire } from './service.ts'
import { cutOff, heal, type Replica, startTwo, untilLater } from './two-replicas.ts'

const sessionsOf = (...ids: string[]): KnownSession[] =>
  ids.map((id) => ({ username: 'alice', id, node: 'n1' }))
const [urgent, usual, late] = sessionsOf('urgent', 'usual', 'late') as [
  KnownSession,
  KnownSession,
  KnownSession
]

async function start (t: Test, most = '5') {
  const redis = await startRedis(t)
  const env = { SESSION_LIMIT_ACTION: 'terminate_oldest', MAX_SESSIONS_PER_USER: most }
  const [one, other] = await startTwo(t, redis, env)
  return { redis, one, other }
}

/** Takes a slot for an emergency call. */
async function call112 (t: Test, { send }: Replica): Promise<void> {
  const body = { username: 'alice', session_id: urgent.id, node: 'n1', emergency: true }
  t.equal((await send('POST', '/api/sessions', body)).status, 201)
}

/** Renews sessions, as a switch does that knows no details. */
async function renew (t: Test, { send }: Replica, ...sessions: KnownSession[]): Promise<void> {
  const items = sessions.map(({ username, id }) => ({ username, session_id: id }))
  t.match(await send('POST', '/api/sessions/renew', { sessions: items }), { status: 200 })
}

async function endAll (replica: Replica) {
  return (await replica.send('DELETE', '/api/sessions/users/alice/sessions')).body
}

t.test('all are ended while an emergency call is renewed elsewhere, without Redis', async (t) => {
  const { redis, one, other } = await start(t)
  await call112(t, one)
  await cutOff(other)
  await renew(t, other, urgent)
  await untilLater()
  t.match(await endAll(one), { spared: [urgent.id] })
  await heal(other)
  for (const { app } of [one, other]) await audit(t, app, [redis], { up: [urgent], gone: [] })
  t.match((await one.send('GET', '/api/sessions/urgent')).body, { emergency: true })
})

t.test('no call ends to make room that may be an emergency call', async (t) => {
  const { redis, one, other } = await start(t, '1')
  await call112(t, one)
  await cutOff(one, other)
  await renew(t, other, urgent)
  t.match(await acquire(other.app, late), { status: 201, body: { terminated: [] } })
  await heal(other, one)
  for (const { app } of [one, other]) await audit(t, app, [redis], { up: [urgent, late], gone: [] })
})

t.test('nor with all of its user, until Redis says what it is', async (t) => {
  const { redis, one, other } = await start(t)
  await call112(t, one)
  t.equal((await acquire(one.app, usual)).status, 201)
  await cutOff(one, other)
  await renew(t, other, urgent, usual)
  await untilLater()
  t.match(await endAll(other), { terminated: [], degraded: true })
  await untilLater()
  t.equal((await acquire(other.app, late)).status, 201)
  await heal(other, one)
  const told = { up: [urgent, late], gone: [usual] }
  for (const { app } of [one, other]) await audit(t, app, [redis], told)
})

t.test('what a node reports is known in an outage as it began', async (t) => {
  const { one, other } = await start(t, '3')
  const ids = ['c', 'b', 'a']
  const began = new Map<string, string>()
  for (const id of ids) {
    const body = { username: 'alice', session_id: id, node: 'n1', from: `sip:${id}@x` }
    const answer = await one.send('POST', '/api/sessions', body)
    began.set(id, answer.body.session.started_at)
    await untilLater()
  }
  const sessions = ids.map((id) => ({ username: 'alice', session_id: id }))
  const report = { epoch: 1, sessions }
  t.match(await other.send('PUT', '/api/sessions/nodes/n1', report), { body: { renewed: 3 } })
  await cutOff(one, other)
  for (const id of ids) {
    const { body } = await other.send('GET', `/api/sessions/${id}`)
    t.match(body, { started_at: began.get(id), from: `sip:${id}@x`, degraded: true })
  }
  t.match(await acquire(other.app, late), { status: 201, body: { terminated: ['c'] } })
})

t.test('calls that move to another node without Redis are on that node', async (t) => {
  const { redis, one, other } = await start(t)
  for (const session of [usual, late]) t.equal((await acquire(one.app, session)).status, 201)
  await untilLater()
  await cutOff(one)
  const body = { username: 'alice', node: 'n2' }
  t.match(await one.send('POST', '/api/sessions/usual/renew', body), { body: { degraded: true } })
  const report = { epoch: 1, sessions: [{ username: 'alice', session_id: late.id }] }
  t.match(await one.send('PUT', '/api/sessions/nodes/n2', report), { body: { renewed: 1 } })
  await heal(one)
  const up = [usual, late].map((session) => ({ ...session, node: 'n2' }))
  for (const { app, send } of [one, other]) {
    await audit(t, app, [redis], { up, gone: [] })
    t.same(await listed(send, 'node=n1'), [])
  }
})

t.test('nor do they go back to where they were as far as one replica knows', async (t) => {
  const { redis, one, other } = await start(t)
  t.equal((await acquire(one.app, usual)).status, 201)
  await cutOff(one)
  const renewal = { username: 'alice' }
  t.match(await one.send('POST', '/api/sessions/usual/renew', renewal), { status: 200 })
  const body = { ...renewal, node: 'n2' }
  t.match(await other.send('POST', '/api/sessions/usual/renew', body), { status: 200 })
  await heal(one)
  const up = [{ ...usual, node: 'n2' }]
  for (const { app } of [one, other]) await audit(t, app, [redis], { up, gone: [] })
})

t.test('an admission tells that a user is barred no more', async (t) => {
  const { one, other } = await start(t)
  t.match(await other.send('PUT', '/api/sessions/users/alice/bar', {}), { status: 200 })
  t.match(await acquire(one.app, usual), { status: 409, body: { code: 'user_barred' } })
  const call = { username: 'alice', session_id: urgent.id, emergency: true }
  t.match(await one.send('POST', '/api/sessions', call), { status: 201 })
  await cutOff(one)
  t.match(await acquire(one.app, usual), { status: 409, body: { code: 'user_barred' } })
  await heal(one)
  t.match(await other.send('DELETE', '/api/sessions/users/alice/bar'), { status: 200 })
  t.match(await acquire(one.app, usual), { status: 201 })
  await cutOff(one)
  t.match(await acquire(one.app, late), { status: 201, body: { degraded: true } })
})
