/**
 * What a node says of itself around an outage: which of its messages is a late one, that it was
 * forgotten, and what it sends in parts.
 */
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { reported } from '../conformance/words.ts'
import { ADMIN, as, PATIENT } from '../helpers/app.ts'
import { audit, type KnownSession, listed } from '../helpers/audit.ts'
import { startCluster, startRedis, waitFor } from '../helpers/servers.ts'
import { acquire, startOn, untilDegraded } from './service.ts'
import { cutOff, heal, type Replica, startTwo, untilLater } from './two-replicas.ts'

const sessionsOf = (...ids: string[]): KnownSession[] =>
  ids.map((id) => ({ username: 'alice', id, node: 'n1' }))
const [s1, s2, s3] = sessionsOf('s1', 's2', 's3') as [KnownSession, KnownSession, KnownSession]

/** A report of these sessions, as if none of the others were too young to lose its slot. */
async function report (
  app: FastifyInstance,
  epoch: number,
  sessions: KnownSession[],
  part?: { number: number; of: number }
) {
  const items = sessions.map(({ username, id }) => ({ username, sessionId: id }))
  const list = { ...reported({ node: 'n1', epoch, sessions: items }), part }
  return await app.admission.reconcileNode(list, {}, app.log)
}

async function startWith (t: Test, ...sessions: KnownSession[]) {
  const redis = await startRedis(t)
  const [one, other] = await startTwo(t, redis)
  for (const session of sessions) t.equal((await acquire(one.app, session)).status, 201)
  await untilLater()
  return { redis, one, other }
}

t.test('a late message of a process that is gone frees nothing in an outage', async (t) => {
  const { redis, one } = await startWith(t, s1, s2)
  await report(one.app, 10, [s1, s2])
  await cutOff(one)
  await t.rejects(report(one.app, 9, [s1]), { code: 'stale_epoch' })
  t.match((await one.send('GET', '/api/sessions/counts/alice')).body, { count: 2 })
  t.match(await report(one.app, 11, [s1, s2]), { renewed: 2, degraded: true })
  await t.rejects(report(one.app, 10, [s1]), { code: 'stale_epoch' })
  await heal(one)
  await t.rejects(report(one.app, 10, [s1]), { code: 'stale_epoch' }, 'and Redis is told of it')
  await audit(t, one.app, [redis], { up: [s1, s2], gone: [] })
})

t.test('a late message that only another replica can know as such frees nothing', async (t) => {
  const { redis, one, other } = await startWith(t, s1, s2)
  await report(other.app, 10, [s1, s2])
  await cutOff(one)
  t.match(await report(one.app, 9, [s1]), { released: 1, degraded: true })
  await heal(one)
  await t.rejects(report(other.app, 9, [s1]), { code: 'stale_epoch' })
  for (const { app } of [one, other]) await audit(t, app, [redis], { up: [s1, s2], gone: [] })
})

t.test('a node that is forgotten in an outage is forgotten afterwards', async (t) => {
  const { redis, one, other } = await startWith(t, s1, s2)
  t.equal((await acquire(other.app, s3)).status, 201)
  await report(other.app, 10, [s1, s2, s3])
  await cutOff(one)
  t.match(await one.send('DELETE', '/api/sessions/nodes/n1'), { body: { degraded: true } })
  await heal(one)
  for (const { app } of [one, other]) await audit(t, app, [redis], { up: [], gone: [] })
  t.match(await report(other.app, 3, [s3]), { registered: 1 }, 'its epoch, too')
  await audit(t, other.app, [redis], { up: [s3], gone: [] })
})

t.test('a node that begins anew after it was forgotten is not', async (t) => {
  const { redis, one, other } = await startWith(t, s1, s2)
  await report(one.app, 10, [s1, s2])
  await cutOff(one)
  await one.send('DELETE', '/api/sessions/nodes/n1')
  await untilLater()
  await report(other.app, 11, [s1, s3])
  await heal(one)
  for (const { app } of [one, other]) await audit(t, app, [redis], { up: [s1, s3], gone: [] })
  await t.rejects(report(one.app, 10, []), { code: 'stale_epoch' })
})

t.test('parts of a report before, in and after an outage are no whole report', async (t) => {
  const all = [s1, s2, s3]
  const { redis, one } = await startWith(t, ...all)
  const { app } = one
  const [first, last] = [{ number: 1, of: 2 }, { number: 2, of: 2 }]
  const again = async (of: Replica) => {
    await report(of.app, 5, [s2], first)
    return await report(of.app, 5, [s1, s3], last)
  }
  await report(app, 5, [s1], first)
  await cutOff(one)
  await t.rejects(report(app, 5, [s2, s3], last), { code: 'incomplete_report' })
  await report(app, 5, [s2], first)
  await heal(one)
  await t.rejects(report(app, 5, [s1, s3], last), { code: 'incomplete_report' })
  t.match(await again(one), { released: 0 })
  await cutOff(one)
  await t.rejects(report(app, 5, [s1], last), { code: 'incomplete_report' })
  t.match(await again(one), { released: 0, degraded: true })
  await heal(one)
  await audit(t, app, [redis], { up: all, gone: [] })
})

t.test('in a Cluster: a node that is forgotten while all of it is out', async (t) => {
  const { masters } = await startCluster(t, 3, 0)
  const nodes = masters.map(({ host, port }) => `${host}:${port}`).join()
  const app = await startOn(t, { REDIS_CLUSTER_NODES: nodes, ...PATIENT })
  await untilDegraded(app, false)
  const users = Array.from({ length: 9 }, (_, i) => `u${i}`)
  const sessions = users.map((username) => ({ username, id: `of-${username}`, node: 'n1' }))
  for (const session of sessions) t.equal((await acquire(app, session)).status, 201)
  await report(app, 10, sessions)
  const { redis } = app
  const send = redis.sendCommand.bind(redis)
  redis.sendCommand = (command) => {
    command.reject(new Error('cut off'))
    return command.promise
  }
  await waitFor(
    async () => (await as(app, ADMIN)('DELETE', '/api/sessions/nodes/n1')).status === 200,
    { what: 'all of the Cluster to be out' }
  )
  redis.sendCommand = send
  await untilDegraded(app, false)
  t.same(await listed(as(app, ADMIN), 'node=n1'), [])
  await audit(t, app, masters, { up: [], gone: [] })
})
