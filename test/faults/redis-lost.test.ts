/** Redis has lost what it held, or is told much at once when it is back. */
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { PATIENT } from '../helpers/app.ts'
import { audit } from '../helpers/audit.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import { acquire, release, startOn, untilDegraded } from '../outage/service.ts'
import { conclude, httpClient, leasesOf, record, percentile, round, serveHere } from './matrix.ts'
import { measureOn } from './redis-rows.ts'

t.test('FLUSHALL', async (t) => {
  const redis = await startRedis(t)
  conclude(
    t,
    await measureOn(t, {
      fault: 'FLUSHALL',
      redis,
      inject: async () => await redis.cli('FLUSHALL'),
      hold: 0,
      clear: () => {}
    }),
    { recoverMs: 2000 }
  )
})

t.test('restarted empty', async (t) => {
  const redis = await startRedis(t)
  conclude(
    t,
    await measureOn(t, {
      fault: 'restart, empty',
      redis,
      inject: () => {},
      hold: async () => await redis.restart(),
      clear: () => {}
    }),
    { recoverMs: 2000 }
  )
})

t.test('10,000 sessions admitted while Redis is away', async (t) => {
  const redis = await startRedis(t)
  const service = await serveHere(t, { REDIS_URL: redis.url })
  const { ask, close } = httpClient(service.url, service.token)
  t.teardown(close)
  const before = (
    await ask('POST', '/api/sessions', { username: 'early', session_id: 'early', ttl: 600 })
  ).status
  t.equal(before, 201)
  await redis.kill()
  const latencies: number[] = []
  let [next, errors] = [0, 0]
  const caller = async () => {
    for (let i = next++; i < 10_000; i = next++) {
      const slot = { username: `many-${i % 2500}`, session_id: `many-${i}`, ttl: 600 }
      const { status, ms, body } = await ask('POST', '/api/sessions', slot)
      latencies.push(ms)
      if (status !== 201 || body.degraded !== true) errors++
    }
  }
  await Promise.all(Array.from({ length: 32 }, caller))
  t.equal(errors, 0, 'all are admitted, and told that it was without Redis')
  const released = Array.from({ length: 500 }, (_, i) => i * 20)
  for (const i of released) {
    t.equal((await ask('DELETE', `/api/sessions/many-${i}?username=many-${i % 2500}`)).status, 200)
  }
  t.equal((await ask('DELETE', '/api/sessions/early?username=early')).status, 200)

  await redis.restart()
  const backMs = performance.now()
  await waitFor(async () => (await leasesOf(redis)).size >= 9500, {
    what: '9,500 sessions to be in Redis',
    deadlineMs: 10_000
  })
  const recoverMs = Math.round(performance.now() - backMs)
  await waitFor(async () => (await ask('GET', '/healthz/ready')).body.status === 'ok', {
    what: 'the service to be well'
  })
  const held = await leasesOf(redis)
  const haunting = released.filter((i) => held.has(`many-${i % 2500} many-${i}`))
  latencies.sort((a, b) => a - b)
  const [p50, p99, slowest] = [0.5, 0.99, 1].map((share) =>
    round(percentile(latencies, share))
  ) as [number, number, number]
  record(t, {
    fault: '10,000 sessions admitted, 500 of them released, while Redis is away',
    requests: latencies.length,
    p50,
    p99,
    slowest,
    errors,
    over: Math.max(0, held.size - 9500),
    lost: Math.max(0, 9500 - held.size),
    detectMs: null,
    recoverMs,
    note: 'as many as the machine can; all well: all in Redis'
  })
  t.equal(held.size, 9500)
  t.equal(haunting.length, 0, 'none that was released is back')
  t.ok(recoverMs <= 5000, `all in Redis after ${recoverMs} ms, at most 5000`)
})

t.test('restarted from a file that is 15 s old: what ended since stays ended', async (t) => {
  const redis = await startRedis(t)
  const [one, other] = [
    await startOn(t, { REDIS_URL: redis.url, ...PATIENT }),
    await startOn(t, { REDIS_URL: redis.url, ...PATIENT })
  ]
  for (const app of [one, other]) await untilDegraded(app, false)
  const of = (id: string) => ({ username: 'olga', id, node: 'n1' })
  const [up, ended, later] = [of('up'), of('ended'), of('later')]
  for (const session of [up, ended]) t.equal((await acquire(one, session)).status, 201)
  await redis.cli('SAVE')
  t.equal((await release(other, ended)).status, 200)
  t.equal((await acquire(one, later)).status, 201)
  await sleep(15_000)
  const noticed = Promise.all([one, other].map(async (app) => await untilDegraded(app, true)))
  await redis.kill()
  await redis.restart({ keepData: true })
  await noticed
  for (const app of [one, other]) await untilDegraded(app, false)
  for (const app of [one, other]) {
    await audit(t, app, [redis], { up: [up, later], gone: [ended] })
  }
})
