/** The service itself is killed or paused, and Redis goes on. */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { startProxy, startRedis, waitFor } from '../helpers/servers.ts'
import {
  conclude,
  httpClient,
  leasesOf,
  Load,
  measure,
  percentile,
  record,
  round,
  serveApart
} from './matrix.ts'
import { measureOn } from './redis-rows.ts'

t.test('killed in the middle of admissions', async (t) => {
  const redis = await startRedis(t)
  const env = { REDIS_URL: redis.url }
  const [victim, other] = [await serveApart(t, env), await serveApart(t, env)]
  const toVictim = httpClient(victim.url, victim.token)
  const load = new Load(toVictim, { name: 'shared', users: 20 })
  load.start()
  await sleep(1500)
  await victim.kill()
  await load.stop()
  toVictim.close()
  const held = await leasesOf(redis)
  const [live, ended, unknown] = [load.known('live'), load.known('ended'), load.known('unknown')]
  t.equal(
    [...live.keys()].filter((one) => !held.has(one)).length,
    0,
    'every acknowledged session is in Redis'
  )
  t.equal([...ended.keys()].filter((one) => held.has(one)).length, 0, 'none that was released is')

  // The callers turn to the other replica and say again what they had no answer to.
  const { ask, close } = httpClient(other.url, other.token)
  t.teardown(close)
  for (const one of unknown.keys()) {
    const [username, id] = one.split(' ')
    await ask('POST', '/api/sessions', { username, session_id: id })
  }
  const again = await leasesOf(redis)
  const counts = new Map<string, number>()
  for (const one of again) {
    counts.set(one.split(' ')[0] ?? '', (counts.get(one.split(' ')[0] ?? '') ?? 0) + 1)
  }
  t.equal([...counts.values()].filter((count) => count > 5).length, 0, 'nobody is over the limit')
  const inTime = load.records
    .filter(({ failure }) => failure === undefined)
    .map(({ ms }) => ms)
    .sort((a, b) => a - b)
  record(t, {
    fault: 'service killed (SIGKILL) in the middle of admissions',
    requests: inTime.length,
    p50: round(percentile(inTime, 0.5)),
    p99: round(percentile(inTime, 0.99)),
    slowest: round(percentile(inTime, 1)),
    errors: 0,
    over: [...counts.values()].reduce((sum, count) => sum + Math.max(0, count - 5), 0),
    lost: [...live.keys()].filter((one) => !held.has(one)).length,
    detectMs: null,
    recoverMs: null,
    note:
      `latencies of what it answered; ${unknown.size} requests without an answer ` +
      'were asked again of another replica'
  })
})

t.test('paused for twice the time to live', async (t) => {
  const redis = await startRedis(t)
  const service = await serveApart(t, { REDIS_URL: redis.url })
  const { ask, close } = httpClient(service.url, service.token)
  t.teardown(close)
  for (const id of ['p1', 'p2', 'p3', 'p4', 'p5']) {
    t.equal(
      (await ask('POST', '/api/sessions', { username: 'paused', session_id: id, ttl: 10 })).status,
      201
    )
  }
  service.pause()
  const ended = { what: "the leases to end by Redis' clock", deadlineMs: 12_000, everyMs: 200 }
  await waitFor(async () => (await leasesOf(redis)).size === 0, ended)
  await sleep(10_000)
  service.resume()
  const resumedMs = performance.now()
  const first = await ask('POST', '/api/sessions', {
    username: 'paused',
    session_id: 'p6',
    ttl: 10
  })
  t.equal(first.status, 201, 'slots that ended meanwhile are free')
  t.equal(first.body.count, 1, 'and count no more')
  // What the callers know: the calls are up. They are taken as they are.
  for (const id of ['p1', 'p2', 'p3', 'p4', 'p5']) {
    const { status, body } = await ask('POST', `/api/sessions/${id}/renew`, {
      username: 'paused',
      ttl: 10
    })
    t.match({ status, body }, { status: 200, body: { reregistered: true } })
  }
  const newcomer = await ask('POST', '/api/sessions', {
    username: 'paused',
    session_id: 'p7',
    ttl: 10
  })
  t.equal(newcomer.status, 409, 'a newcomer is held against them')
  await waitFor(
    async () => {
      const { body } = await ask('GET', '/healthz/ready')
      return (
        body.status === 'ok' && (await ask('GET', '/api/sessions/counts/paused')).body.count === 6
      )
    },
    { what: 'the service to be well' }
  )
  const held = await leasesOf(redis)
  record(t, {
    fault: 'service paused for twice the time to live (20 s)',
    requests: 7,
    p50: round(first.ms),
    p99: round(first.ms),
    slowest: round(first.ms),
    errors: 0,
    over: 0,
    lost: 6 - held.size,
    detectMs: null,
    recoverMs: Math.round(performance.now() - resumedMs),
    note: 'five expired; renewed late, they are registered again beside the sixth'
  })
  t.equal(held.size, 6)
  t.ok(first.ms <= 500, `the first answer took ${Math.round(first.ms)} ms`)
})

t.test('paused for 1 s under load', async (t) => {
  const redis = await startRedis(t)
  const service = await serveApart(t, { REDIS_URL: redis.url })
  const measured = await measure(t, {
    fault: 'service paused for 1 s under load',
    service,
    inject: service.pause,
    hold: 1000,
    clear: service.resume,
    leases: async () => await leasesOf(redis)
  })
  measured.row.note = 'the pause itself is in the latencies'
  conclude(t, measured, { p99: 1700 })
})

t.test('a lost reply', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis)
  const measured = await measureOn(t, {
    fault: 'a reply lost every 100 ms',
    redis,
    via: proxy,
    inject: () => {},
    hold: async () => {
      for (let i = 0; i < 20; i++) {
        await Promise.race([proxy.swallowNextReply(), sleep(1000)])
        await sleep(100)
      }
    },
    clear: proxy.pass
  })
  conclude(t, measured)
})
