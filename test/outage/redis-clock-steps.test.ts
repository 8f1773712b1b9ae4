/** Steps of the clock of Redis that nobody has noticed yet, and what was noted before a step. */
import t, { type Test } from 'tap'
import { ADMIN, as, PATIENT } from '../helpers/app.ts'
import { audit, type KnownSession } from '../helpers/audit.ts'
import { fakeClock, type FakeClock } from '../helpers/faketime.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import { acquire, release, startOn, untilDegraded } from './service.ts'

const HOUR = 3600
const PREFIX = 'voice-ferry-c4:'
const IDS = ['a1', 'a2', 'b1']
const [a1, a2, b1] = [
  { username: 'alice', id: 'a1', node: 'n' },
  { username: 'alice', id: 'a2', node: 'n' },
  { username: 'bob', id: 'b1' }
] as [KnownSession, KnownSession, KnownSession]

/** A service beside a Redis whose clock can be set; a1 and a2 are up, b1 has ended. */
async function begin (t: Test) {
  const clock = fakeClock(t)
  const redis = await startRedis(t, { env: clock.env, args: ['--enable-debug-command', 'local'] })
  const app = await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
  await untilDegraded(app, false)
  for (const one of [a1, a2, b1]) t.equal((await acquire(app, one)).status, 201)
  t.match((await release(app, b1)).body, { released: true })
  return { clock, redis, app }
}

/** Sets the clock forward, so that Redis removes what has expired by it. */
async function expire (redis: RedisServer, clock: FakeClock): Promise<void> {
  const names = (await redis.cli('KEYS', '*')).split('\n')
  clock.set(HOUR)
  await redis.cli('EXISTS', ...names)
}

async function recordsOf (redis: RedisServer): Promise<string[]> {
  const records = await Promise.all(
    IDS.map(async (id) => await redis.cli('GET', `${PREFIX}session-lease:${id}`))
  )
  return records.map((record) => record.slice(0, 1))
}

t.test('a clock that is set forward and back between two probes loses nothing', async (t) => {
  const { clock, redis, app } = await begin(t)
  await expire(redis, clock)
  clock.set(0)
  await waitFor(async () => (await recordsOf(redis)).join('') === '++-', {
    what: 'the records to be told again'
  })
  await untilDegraded(app, false)
  await audit(t, app, [redis], { up: [a1, a2], gone: [b1] })
})

t.test('a clock that is set for a moment, which one replica notices: all mend it', async (t) => {
  const { clock, redis, app } = await begin(t)
  const other = await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
  await untilDegraded(other, false)
  const records = IDS.map((id) => `${PREFIX}session-lease:${id}`)
  // Redis removes what has expired some time later, and need not have removed all of it.
  await redis.cli('DEBUG', 'SET-ACTIVE-EXPIRE', '0')
  clock.set(HOUR)
  const renewing = as(other, ADMIN)('POST', '/api/sessions/b1/renew', { username: 'bob' })
  await Promise.all([renewing, redis.cli('EXISTS', ...records)])
  t.match(await renewing, { status: 200, body: { degraded: true } }, 'Redis is not asked again')
  clock.set(0)
  await waitFor(async () => (await recordsOf(redis)).join('') === '++-', {
    what: 'the records to be told again'
  })
  for (const each of [app, other]) {
    await untilDegraded(each, false)
    await audit(t, each, [redis], { up: [a1, a2], gone: [b1] })
  }
})

t.test('before a step is noticed nothing is written that has seen records expire', async (t) => {
  const { clock, redis, app } = await begin(t)
  const send = as(app, ADMIN)
  const noticed = untilDegraded(app, true)
  await expire(redis, clock)
  const late = await send('POST', '/api/sessions/b1/renew', { username: 'bob' })
  t.match(late, { status: 410, body: { code: 'session_ended' } }, 'what has ended stays ended')
  const again = await send('POST', '/api/sessions', { username: 'bob', session_id: 'b1' })
  t.match(again, { status: 410, body: { code: 'session_ended' } })
  t.match(await release(app, a2), { status: 200, body: { released: true } }, 'it was up')
  const renewed = await send('POST', '/api/sessions/a1/renew', { username: 'alice' })
  t.match(renewed, { status: 200, body: { reregistered: false } }, 'it is known')
  await noticed
  clock.set(0)
  await waitFor(async () => (await recordsOf(redis)).join('') === '+--', {
    what: 'the records to be told again'
  })
  await untilDegraded(app, false)
  await audit(t, app, [redis], { up: [a1], gone: [a2, b1] })
  for (const one of [a2, b1]) t.equal((await acquire(app, one)).status, 410, `${one.id} has ended`)
})

t.test('the end of all, told again, spares a call whose record is gone', async (t) => {
  const { redis, app } = await begin(t)
  const other = await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
  await untilDegraded(other, false)
  await as(app, ADMIN)('DELETE', '/api/sessions/users/carol/sessions', {})
  const up = { username: 'carol', id: 'c1', node: 'n' }
  t.equal((await acquire(other, up)).status, 201)
  await other.close()
  const noticed = untilDegraded(app, true)
  await redis.cli('DEL', `${PREFIX}session-lease:c1`, `${PREFIX}session-generation`)
  await noticed
  await untilDegraded(app, false)
  const renewed = await as(app, ADMIN)('POST', '/api/sessions/c1/renew', {
    username: 'carol',
    node: 'n'
  })
  t.equal(renewed.status, 200, 'it goes on')
  await audit(t, app, [redis], { up: [a1, a2, up], gone: [b1] })
})

t.test('an end of all that lies in the future ends nothing', async (t) => {
  const { redis, app } = await begin(t)
  const future = Date.now() + HOUR * 1000
  const noticed = untilDegraded(app, true)
  await redis.cli('SET', `${PREFIX}user-ended:alice`, `${future} ${future}`, 'PX', '86400000')
  await redis.cli('DEL', `${PREFIX}session-generation`)
  await noticed
  await untilDegraded(app, false)
  await audit(t, app, [redis], { up: [a1, a2], gone: [b1] })
})

t.test('a call that began since the end of all stays up, whichever clock said so', async (t) => {
  const { clock, redis, app } = await begin(t)
  const other = await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
  await untilDegraded(other, false)
  const early = ['carol', 'dave'].map((username) => ({ username, id: `early-${username}` }))
  const late = ['erin', 'frank'].map((username) => ({ username, id: `late-${username}` }))
  for (const { username } of [...early, ...late]) {
    const ended = await as(app, ADMIN)('DELETE', `/api/sessions/users/${username}/sessions`, {})
    t.equal(ended.status, 200)
  }
  for (const one of early) t.equal((await acquire(app, one)).status, 201)
  const both = async (isDegraded: boolean) =>
    await Promise.all([app, other].map(async (each) => await untilDegraded(each, isDegraded)))
  const noticed = both(true)
  clock.set(30)
  await noticed
  await both(false)
  for (const { id, username } of early) {
    const renewed = await as(other, ADMIN)('POST', `/api/sessions/${id}/renew`, { username })
    t.match(renewed, { status: 200, body: { reregistered: false } }, `${id} goes on`)
  }
  const back = both(true)
  clock.set(0)
  // Most often no probe has found the clock set back when these ask.
  await Promise.all(late.map(async (one) => t.equal((await acquire(app, one)).status, 201)))
  await back
  await both(false)
  for (const each of [app, other]) {
    await audit(t, each, [redis], { up: [a1, a2, ...early, ...late], gone: [b1] })
  }
})

t.test('the end of all ends what began before the clock was set back, too', async (t) => {
  const { clock, redis, app } = await begin(t)
  const other = await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
  await untilDegraded(other, false)
  const noticed = Promise.all([app, other].map(async (each) => await untilDegraded(each, true)))
  clock.set(-30)
  // Most often no probe has found the clock set back when this is asked.
  const end = await as(other, ADMIN)('DELETE', '/api/sessions/users/alice/sessions', {})
  t.match(end, { status: 200, body: { success: true } })
  await noticed
  clock.set(0)
  for (const each of [app, other]) {
    await untilDegraded(each, false)
    await audit(t, each, [redis], { up: [], gone: [a1, a2, b1] })
  }
})

t.test('a call taken while the clock was set back for a moment stays up', async (t) => {
  const { clock, redis, app } = await begin(t)
  const [taken, renewed] = [{ username: 'carol', id: 'c1', node: 'n' }, a1]
  const noticed = untilDegraded(app, true)
  clock.set(-HOUR)
  const send = as(app, ADMIN)
  const [acquired, again] = await Promise.all([
    acquire(app, taken),
    send('POST', `/api/sessions/${renewed.id}/renew`, { username: renewed.username })
  ])
  clock.set(0)
  t.equal(acquired.status, 201)
  t.equal(again.status, 200)
  await noticed
  await untilDegraded(app, false)
  await audit(t, app, [redis], { up: [a1, a2, taken], gone: [b1] })
})

t.test('a node that was heard of in the future may begin anew', async (t) => {
  const { redis, app } = await begin(t)
  const future = Date.now() + HOUR * 1000
  await redis.cli('SET', `${PREFIX}node-epoch:n`, `7 ${future} 90000`, 'PX', '86400000')
  const sessions = [a1, a2].map(({ id, username }) => ({ session_id: id, username }))
  const report = await as(app, ADMIN)('PUT', '/api/sessions/nodes/n', { epoch: 3, sessions })
  t.match(report, { status: 200, body: { ended: [] } })
  await audit(t, app, [redis], { up: [a1, a2], gone: [b1] })
})
