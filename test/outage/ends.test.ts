/**
 * What has ended stays ended, whichever replica knew of it, and at whichever moment each of them
 * finds Redis again.
 */
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { reported } from '../conformance/words.ts'
import { ADMIN, type Answer, as } from '../helpers/app.ts'
import { audit, type KnownSession } from '../helpers/audit.ts'
import { leasesOf } from '../helpers/leases.ts'
import type { CliTarget } from '../helpers/redis-cli.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import { acquire, muzzle, release, untilDegraded } from './service.ts'
import { cutOff, heal, startTwo, startTwoInCluster, untilLater } from './two-replicas.ts'

/** Ends all sessions of a user. */
async function endUser (app: FastifyInstance, username: string): Promise<Answer> {
  return await as(app, ADMIN)('DELETE', `/api/sessions/users/${username}/sessions`)
}

const sessionsOf = (username: string, ...ids: string[]): KnownSession[] =>
  ids.map((id) => ({ username, id: `${username}-${id}`, node: 'n1' }))

/** How a release names what it ends. */
const releases: Record<string, (app: FastifyInstance, one: KnownSession) => Promise<Answer>> = {
  'with its user': release,
  'by its id alone': async (app, { id }) => await as(app, ADMIN)('DELETE', `/api/sessions/${id}`),
  'of its node': async (app, { id, node }) =>
    await as(app, ADMIN)('POST', `/api/sessions/${id}/release?node=${node}`),
  'in a batch': async (app, { id }) =>
    await as(app, ADMIN)('POST', '/api/sessions/release', { sessions: [{ session_id: id }] })
}

t.test('released where nobody knows of it, while its replica is cut off', async (t) => {
  const redis = await startRedis(t)
  const [one, other] = await startTwo(t, redis)
  await cutOff(one)
  const [up] = sessionsOf('alice', 'up') as [KnownSession]
  const gone = Object.keys(releases).flatMap((_how, i) => sessionsOf('alice', `gone-${i}`))
  for (const session of [up, ...gone]) {
    t.match(await acquire(one.app, session), { status: 201, body: { degraded: true } })
  }
  for (const [i, [how, releaseIt]] of Object.entries(releases).entries()) {
    t.equal((await releaseIt(other.app, gone[i] as KnownSession)).status, 200, how)
  }
  await heal(one)
  for (const { app } of [one, other]) await audit(t, app, [redis], { up: [up], gone })
})

t.test('released where it is known, while Redis loses the records', async (t) => {
  const redis = await startRedis(t)
  const [one, other] = await startTwo(t, redis)
  const [up] = sessionsOf('alice', 'up') as [KnownSession]
  const gone = Object.keys(releases).flatMap((_how, i) => sessionsOf('alice', `gone-${i}`))
  for (const session of [up, ...gone]) t.equal((await acquire(one.app, session)).status, 201)
  await cutOff(one)
  const records = gone.map(({ id }) => `voice-ferry-c4:session-lease:${id}`)
  t.equal((await redis.cli('DEL', ...records)).trim(), String(gone.length))
  for (const [i, [how, releaseIt]] of Object.entries(releases).entries()) {
    t.equal((await releaseIt(one.app, gone[i] as KnownSession)).status, 200, how)
  }
  await heal(one)
  for (const { app } of [one, other]) await audit(t, app, [redis], { up: [up], gone })
})

t.test('all of a user ended while the replica that knows them is cut off', async (t) => {
  const redis = await startRedis(t)
  const [one, other] = await startTwo(t, redis)
  const [before, later] = sessionsOf('bob', 'before', 'later') as [KnownSession, KnownSession]
  const [alone, urgent] = sessionsOf('bob', 'alone', 'urgent') as [KnownSession, KnownSession]
  t.equal((await acquire(one.app, before)).status, 201)
  await cutOff(one)
  t.equal((await acquire(one.app, alone)).status, 201)
  const emergency = { username: 'bob', session_id: urgent.id, node: 'n1', emergency: true }
  t.equal((await as(one.app, ADMIN)('POST', '/api/sessions', emergency)).status, 201)
  await untilLater()
  t.match(await endUser(other.app, 'bob'), { status: 200, body: { terminated: [before.id] } })
  await untilLater()
  t.equal((await acquire(one.app, later)).status, 201)
  await heal(one)
  for (const { app } of [one, other]) {
    await audit(t, app, [redis], { up: [urgent, later], gone: [before, alone] })
  }
})

for (const first of ['who admitted', 'who ended'] as const) {
  t.test(`all of a user ended in an outage; ${first} finds Redis first`, async (t) => {
    const redis = await startRedis(t)
    const [one, other] = await startTwo(t, redis)
    const [early, alone] = sessionsOf('carol', 'early', 'alone') as [KnownSession, KnownSession]
    const [later] = sessionsOf('carol', 'later') as [KnownSession]
    t.equal((await acquire(one.app, early)).status, 201)
    for (const replica of [one, other]) await cutOff(replica)
    t.equal((await acquire(one.app, alone)).status, 201)
    await untilLater()
    t.match(await endUser(other.app, 'carol'), {
      status: 200,
      body: { success: true, terminated: [], degraded: true }
    })
    await untilLater()
    t.equal((await acquire(one.app, later)).status, 201)
    const inTurn = first === 'who ended' ? [other, one] : [one, other]
    for (const replica of inTurn) await heal(replica)
    for (const { app } of [one, other]) {
      await audit(t, app, [redis], { up: [later], gone: [early, alone] })
    }
  })
}

for (const [how, releaseIt] of Object.entries(releases)) {
  t.test(`released ${how} elsewhere, and Redis loses its last writes`, async (t) => {
    const redis = await startRedis(t)
    const [one, other] = await startTwo(t, redis)
    const [up, ...gone] = sessionsOf('dave', 'up', '1', '2', '3') as [KnownSession]
    for (const session of [up, ...gone]) t.equal((await acquire(one.app, session)).status, 201)
    await redis.cli('SAVE')
    for (const session of gone) t.equal((await releaseIt(other.app, session)).status, 200)
    await redis.kill()
    await redis.restart({ keepData: true })
    await untilLeases([redis], 'dave dave-up')
    for (const { app } of [one, other]) await untilDegraded(app, false)
    for (const { app } of [one, other]) await audit(t, app, [redis], { up: [up], gone })
  })
}

/** Waits until these servers hold these leases and no other. */
async function untilLeases (masters: CliTarget[], ...wanted: string[]): Promise<void> {
  await waitFor(
    async () => {
      const held = [...(await leasesOf(...masters))].sort().join()
      if (held !== wanted.join()) throw new Error(held)
      return true
    },
    { what: `the leases ${wanted.join()}` }
  )
}

t.test('released in an outage, unknown everywhere, and lost by Redis afterwards', async (t) => {
  const redis = await startRedis(t)
  const [one, other] = await startTwo(t, redis)
  await cutOff(one)
  const gone = sessionsOf('erin', '1', '2')
  for (const session of gone) t.equal((await acquire(one.app, session)).status, 201)
  await cutOff(other)
  for (const { id } of gone) {
    t.equal((await as(other.app, ADMIN)('DELETE', `/api/sessions/${id}`)).status, 200)
  }
  await heal(other)
  await redis.cli('FLUSHALL')
  await untilDegraded(other.app, false)
  await heal(one)
  for (const { app } of [one, other]) await audit(t, app, [redis], { up: [], gone })
})

t.test('a session that is renewed elsewhere first keeps its start and details', async (t) => {
  const redis = await startRedis(t)
  const [one, other] = await startTwo(t, redis)
  const send = as(other.app, ADMIN)
  const asked = { username: 'frank', session_id: 'f1', node: 'n1', from: 'sip:f@x' }
  t.equal((await as(one.app, ADMIN)('POST', '/api/sessions', asked)).status, 201)
  const { body: before } = await send('GET', '/api/sessions/f1')
  await cutOff(one)
  await redis.cli('FLUSHALL')
  await untilDegraded(other.app, false)
  t.match(await send('POST', '/api/sessions/f1/renew', { username: 'frank' }), {
    status: 200,
    body: { reregistered: true }
  })
  await heal(one)
  const { body: after } = await send('GET', '/api/sessions/f1')
  const { expires_at: _1, ...wanted } = before
  const { expires_at: _2, ...found } = after
  t.same(found, wanted)
  const up = [{ username: 'frank', id: 'f1', node: 'n1' }]
  await audit(t, other.app, [redis], { up, gone: [] })
})

/** Waits until Redis knows, by their own words, all that its replicas know now. */
async function untilMarked (redis: RedisServer): Promise<void> {
  const nowMs = Date.now()
  const isMark = (key: string) => !key.endsWith(':recent')
  await waitFor(
    async () => {
      const keys = (await redis.cli('KEYS', '*session-watermark:*')).split('\n').filter(isMark)
      const marks = (await redis.cli('MGET', ...keys)).split('\n').map(Number)
      return marks.length === 2 && marks.every((mark) => mark > nowMs)
    },
    { what: 'both replicas to have probed' }
  )
}

t.test('what lapsed elsewhere does not come back with a replica that was away', async (t) => {
  const redis = await startRedis(t)
  const [one, other] = await startTwo(t, redis)
  const [stays, lapsed, renewed] = sessionsOf('judy', 'stays', 'lapsed', 'renewed') as [
    KnownSession,
    KnownSession,
    KnownSession
  ]
  for (const session of [stays, lapsed, renewed]) {
    t.match(await acquire(one.app, session), { status: 201, body: { degraded: false } })
  }
  const listed = [{ sessionId: stays.id, username: 'judy' }]
  const report = reported({ node: 'n1', epoch: 1, sessions: listed })
  const { released } = await other.app.admission.reconcileNode(report, {}, other.app.log)
  t.equal(released, 2)
  // What a replica has told since its last probe it tells again.
  await untilMarked(redis)
  await cutOff(one)
  const renewal = { username: 'judy' }
  t.match(await as(one.app, ADMIN)('POST', `/api/sessions/${renewed.id}/renew`, renewal), {
    status: 200,
    body: { degraded: true }
  })
  await heal(one)
  await untilLeases([redis], ...[renewed, stays].map(({ id }) => `judy ${id}`))
  const told = { up: [stays, renewed], gone: [] }
  for (const { app } of [one, other]) await audit(t, app, [redis], told)
})

t.test('a later attempt outlives the end of an earlier one that is told late', async (t) => {
  const redis = await startRedis(t)
  const [one, other] = await startTwo(t, redis)
  const call = (app: FastifyInstance, username: string, attempt: number) =>
    as(app, ADMIN)('POST', '/api/sessions', { username, session_id: 'again', attempt, node: 'n1' })
  t.equal((await call(one.app, 'gina', 1)).status, 201)
  await cutOff(one)
  const send = as(one.app, ADMIN)
  t.match(await send('DELETE', '/api/sessions/again?username=gina'), { body: { released: true } })
  t.equal((await call(one.app, 'hugo', 2)).status, 201, 'the id is free for another attempt')
  await heal(one)
  const up = [{ username: 'hugo', id: 'again', node: 'n1' }]
  const { body } = await as(other.app, ADMIN)('GET', '/api/sessions/again')
  t.match(body, { username: 'hugo', attempt: 2 })
  t.same([...(await leasesOf(redis))], up.map(({ username, id }) => `${username} ${id}`))
})

t.test('in a Cluster: ended where nobody knows of it, while its replica is cut off', async (t) => {
  const { masters, one, other } = await startTwoInCluster(t)
  const healOne = await muzzle(one)
  const gone = Object.keys(releases).flatMap((_how, i) => sessionsOf(`ida${i}`, 'gone'))
  const [alone] = sessionsOf('jane', 'alone') as [KnownSession]
  const [up] = sessionsOf('ida0', 'up') as [KnownSession]
  for (const session of [up, alone, ...gone]) {
    t.match(await acquire(one, session), { status: 201, body: { degraded: true } })
  }
  for (const [i, [how, releaseIt]] of Object.entries(releases).entries()) {
    t.equal((await releaseIt(other, gone[i] as KnownSession)).status, 200, how)
  }
  t.equal((await endUser(other, 'jane')).status, 200)
  await healOne()
  for (const app of [one, other]) await audit(t, app, masters, { up: [up], gone: [...gone, alone] })
})
