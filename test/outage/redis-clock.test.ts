/** The one clock: that of Redis, whatever the machine's says, and what is done when it is set. */
import t, { type Test } from 'tap'
import { RedisClock } from '../../services/redis/redis-clock.ts'
import { ADMIN, as, PATIENT } from '../helpers/app.ts'
import { audit, type KnownSession } from '../helpers/audit.ts'
import { fakeClock } from '../helpers/faketime.ts'
import { leasesOf } from '../helpers/leases.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import { acquire, startOn, untilDegraded } from './service.ts'
import { untilLater } from './two-replicas.ts'

const HOUR = 3600
const DAY = 24 * HOUR

t.test('the time is carried on by a steady clock, and a step is noticed', async (t) => {
  let steadyMs = 1000
  const clock = new RedisClock(() => steadyMs, 50_000)
  const steps: string[] = []
  clock.onStep = (byMs) => steps.push(`step ${byMs}`)
  clock.onStepEnded = (byMs) => steps.push(`ended ${byMs}`)
  const heard = (redisMs: number, generation: string, isBegun = false, tookMs = 0) => {
    const sentMs = steadyMs
    steadyMs += tookMs
    clock.heard('key', { sentMs, redisMs, generation, isBegun })
  }
  t.equal(clock.nowMs(), 51_000, 'a guess')
  t.equal(clock.deadline(200), '', 'no deadline is made of a guess')
  heard(900_000, 'g1')
  t.equal(clock.nowMs(), 900_000)
  t.equal(clock.deadline(200), 900_200)
  steadyMs += 10_000.5
  t.equal(clock.nowMs(), 910_000, 'whole milliseconds')
  steadyMs -= 0.5
  heard(910_000, 'g1', false, 5_000)
  t.same(steps, [], 'a slow answer is no step')
  heard(1_915_000, 'g1')
  t.same(steps, ['step 1000000'])
  t.equal(clock.outdated('key'), 'g1')
  heard(1_915_000, 'g1')
  t.same(steps, ['step 1000000'], 'it is told once')
  heard(1_915_000, 'g2', true)
  t.same(steps, ['step 1000000', 'ended 1000000'])
  t.equal(clock.outdated('key'), '')
  t.equal(Math.round(clock.steppedByMs / 1000), 1_000, 'since it was heard first')
  heard(15_000, 'g2')
  t.match(steps[2], /^step -1[89]/, 'back')
  heard(15_000, 'g3')
  t.equal(steps.length, 3, 'another replica has ended the data of before')
  t.equal(Math.round(clock.steppedByMs / 1000), -900)
})

t.test('an answer that names another time tells of a step, before a probe does', async (t) => {
  let steadyMs = 0
  const clock = new RedisClock(() => steadyMs)
  const steps: string[] = []
  clock.onStep = (byMs) => steps.push(`step ${byMs}`)
  clock.onStepEnded = (byMs) => steps.push(`ended ${byMs}`)
  const heard = (redisMs: number, generation: string, isBegun = false) => {
    clock.heard('key', { sentMs: steadyMs, redisMs, generation, isBegun })
  }
  clock.heardTime(5, 0)
  heard(1_000_000, 'g1')
  steadyMs = 10_000
  clock.heardTime(1_010_000, 0)
  clock.heardTime(1_005_000, 4_000)
  t.same(steps, [], 'the time that it is, or was when it was asked')
  clock.heardTime(1_005_000, 0)
  t.same(steps, ['step -5000'])
  t.equal(clock.outdated('key'), 'g1')
  heard(1_005_000, 'g2', true)
  t.match(steps.slice(1), [/^ended -(4999|5000)$/], 'it is known how far it was set')
  t.equal(clock.outdated('key'), '', 'what was begun since is not ended once more')
  clock.heardTime(1_010_000, 0)
  heard(1_005_000, 'g3', true)
  t.match(steps.slice(2), [/^step (4999|5000)$/, 'ended 0'], 'for a moment only')
})

t.test('when something began is known whatever the clock was set to since', async (t) => {
  let steadyMs = 0
  const clock = new RedisClock(() => steadyMs)
  const heard = (redisMs: number) => {
    clock.heard('key', { sentMs: steadyMs, redisMs, generation: 'g', isBegun: false })
  }
  // To the millisecond nobody knows by how much a clock was set.
  const began = (wanted: number, [redisMs, saidMs]: [number, number], what: string) =>
    t.ok(Math.abs(clock.unstepped(redisMs, saidMs) - wanted) <= 3, what)
  heard(1_000_000)
  began(999_000, [999_000, 1_000_000], 'nothing was set')
  steadyMs = 10_000
  began(1_010_000, [1_070_000, 1_070_000], 'set forward, not noticed: now')
  began(945_000, [1_005_000, 1_070_000], 'as old as it says')
  heard(1_070_000)
  began(1_009_000, [1_069_000, 1_070_000], 'after a step that was noticed')
  began(1_005_000, [1_005_000, 1_070_000], 'before it')
  steadyMs = 20_000
  began(1_020_000, [1_020_000, 1_020_000], 'set back, not noticed: now')
  heard(1_020_000)
  began(1_019_500, [1_019_500, 1_020_000], 'after it')
  began(1_015_000, [1_075_000, 1_020_000], 'between both')
  began(1_005_000, [1_005_000, 1_020_000], 'before both')
})

t.test('a write that is refused as late, though its answer is not, tells of a step', async (t) => {
  const clock = new RedisClock(() => 1000)
  const steps: number[] = []
  clock.onStep = (byMs) => steps.push(byMs)
  const heard = (generation: string) => {
    clock.heard('key', { sentMs: 1000, redisMs: 900_000, generation, isBegun: false })
  }
  heard('g1')
  heard('g2')
  clock.heardLate(0)
  t.equal(clock.outdated('key'), '')
  clock.heardLate(3_600_000)
  clock.heardLate(3_600_000)
  t.equal(clock.outdated('key'), 'g2', 'what it holds has to end')
  t.same(steps, [3_600_000], 'which is told once')
  heard('g3')
  t.equal(clock.outdated('key'), '')
  t.equal(clock.steppedByMs, 0, 'the clock is back')
})

t.test('a write has to be carried out before its answer would be late', async (t) => {
  let steadyMs = 1000
  const clock = new RedisClock(() => steadyMs)
  // Asked at 1000, when it is 900,000 there; how long either way takes nobody knows.
  for (const [tookMs, redisMs] of [[100, 900_050], [20, 900_115]] as const) {
    const sentMs = steadyMs
    steadyMs += tookMs
    clock.heard('key', { sentMs, redisMs, generation: 'g1', isBegun: false })
  }
  t.equal(clock.deadline(200), 900_315, 'at 900,120 an answer of 900,315 takes 5 ms')
})

t.test('the clock of the service decides and records nothing', async (t) => {
  for (const ahead of [DAY, -DAY]) {
    const clock = fakeClock(t, ahead)
    const redis = await startRedis(t, { env: clock.env })
    const app = await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
    await untilDegraded(app, false)
    await redis.kill()
    await untilDegraded(app, true)
    t.match(await acquire(app, { username: 'alice', id: 'a1', node: 'n' }), {
      status: 201,
      body: { degraded: true }
    })
    await redis.restart()
    await untilDegraded(app, false)
    const { body } = await as(app, ADMIN)('GET', '/api/sessions/a1')
    const off = (Date.parse(body.started_at) - Date.now()) / 1000 - ahead
    t.ok(Math.abs(off) < 60, `it began by the clock of Redis: ${off} s off`)
    await audit(t, app, [redis], { up: [{ username: 'alice', id: 'a1', node: 'n' }], gone: [] })
  }
})

async function leaseEndsInMs (redis: RedisServer, user: string, id: string): Promise<number> {
  const end = Number(await redis.cli('ZSCORE', `voice-ferry-c4:user-leases:${user}`, id))
  const [seconds = '0'] = (await redis.cli('TIME')).split('\n')
  return end - Number(seconds) * 1000
}

async function stepped (t: Test, bySeconds: number) {
  const clock = fakeClock(t)
  const redis = await startRedis(t, { env: clock.env })
  const app = await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
  const other = await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
  for (const one of [app, other]) await untilDegraded(one, false)
  const up = [
    { username: 'alice', id: 'a1', node: 'n' },
    { username: 'alice', id: 'a2', node: 'n' }
  ]
  const gone = { username: 'bob', id: 'b1' }
  for (const one of [...up, gone]) t.equal((await acquire(app, one)).status, 201)
  // Of a replica that is gone.
  const lost = 'voice-ferry-c4:user-leases:carol'
  const [now = '0'] = (await redis.cli('TIME')).split('\n')
  await redis.cli('ZADD', lost, String(Number(now) * 1000 + 90_000), 'c1')
  const record = ['voice-ferry-c4:session-lease:c1', `+carol ${now}000  `, 'PX', '150000']
  await redis.cli('SET', ...record)
  await as(other, ADMIN)('DELETE', '/api/sessions/b1?username=bob')
  clock.set(bySeconds)
  const warned = async () =>
    (await as(app, null)('GET', '/healthz/ready')).body.warnings.some((text: string) =>
      /clock of Redis/.test(text)
    )
  await waitFor(warned, { what: 'the warning' })
  await waitFor(async () => (await leasesOf(redis)).has('alice a1'), { what: 'the lease' })
  for (const one of [app, other]) await untilDegraded(one, false)
  return { redis, app, up, gone }
}

t.test('a clock that is set forward: no lease vanishes', async (t) => {
  const { redis, app, up, gone } = await stepped(t, HOUR)
  await audit(t, app, [redis], { up, gone: [gone] })
  const inMs = await leaseEndsInMs(redis, 'alice', 'a1')
  t.ok(inMs > 0 && inMs <= 95_000, `the lease ends in ${inMs} ms`)
})

t.test('a clock that is set back: no lease lives for ever, and learning ends', async (t) => {
  const { redis } = await stepped(t, -HOUR)
  for (const [user, id] of [['alice', 'a1'], ['carol', 'c1']] as const) {
    await waitFor(async () => (await leaseEndsInMs(redis, user, id)) <= 95_000, {
      what: `the lease of ${user} to end in time`
    })
    t.ok((await leaseEndsInMs(redis, user, id)) > 0, `and the lease of ${user} is live`)
  }
  const keptMs = Number(await redis.cli('PTTL', 'voice-ferry-c4:session-lease:c1'))
  t.ok(keptMs > 0 && keptMs <= 155_000, `its record ends in ${keptMs} ms`)
  const generation = await redis.cli('GET', 'voice-ferry-c4:session-generation')
  const [seconds = '0'] = (await redis.cli('TIME')).split('\n')
  t.ok(Number(generation.split(' ')[1]) <= (Number(seconds) + 1) * 1000, 'data began in the past')
})

for (const bySeconds of [-60, 60]) {
  t.test(`a step by ${bySeconds} s ends no call that began after its user was ended`, async (t) => {
    const clock = fakeClock(t)
    const redis = await startRedis(t, { env: clock.env })
    const [app, other] = [
      await startOn(t, { REDIS_URL: redis.url, ...PATIENT }),
      await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
    ]
    for (const one of [app, other]) await untilDegraded(one, false)
    const [gone, up] = ['gone', 'up'].map((id) => ({ username: 'alice', id, node: 'n' })) as [
      KnownSession,
      KnownSession
    ]
    t.equal((await acquire(app, gone)).status, 201)
    await as(app, ADMIN)('DELETE', '/api/sessions/users/alice/sessions', {})
    await untilLater()
    t.equal((await acquire(other, up)).status, 201)
    const noticed = Promise.all([app, other].map(async (one) => await untilDegraded(one, true)))
    clock.set(bySeconds)
    await noticed
    for (const one of [app, other]) await untilDegraded(one, false)
    for (const one of [app, other]) await audit(t, one, [redis], { up: [up], gone: [gone] })
  })
}

t.test('the end of all is told by the clock of Redis, though that was set', async (t) => {
  const clock = fakeClock(t)
  const redis = await startRedis(t, { env: clock.env })
  const [app, other] = [
    await startOn(t, { REDIS_URL: redis.url, ...PATIENT }),
    await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
  ]
  for (const one of [app, other]) await untilDegraded(one, false)
  const noticed = Promise.all([app, other].map(async (one) => await untilDegraded(one, true)))
  clock.set(HOUR)
  await noticed
  for (const one of [app, other]) await untilDegraded(one, false)
  const session = { username: 'alice', id: 'a1', node: 'n' }
  t.equal((await acquire(other, session)).status, 201)
  await redis.kill()
  for (const one of [app, other]) await untilDegraded(one, true)
  const ended = await as(app, ADMIN)('DELETE', '/api/sessions/users/alice/sessions', {})
  t.match(ended, { status: 200, body: { terminated: [] } }, 'this replica knows of none')
  await redis.restart()
  for (const one of [app, other]) await untilDegraded(one, false)
  for (const one of [app, other]) await audit(t, one, [redis], { up: [], gone: [session] })
})
