/** Redis is away: not there, killed, or frozen. */
import t from 'tap'
import { startRedis } from '../helpers/servers.ts'
import { conclude, httpClient, serveHere } from './matrix.ts'
import { checkKept, checkWrites, holdAnd, measureOn } from './redis-rows.ts'

const known = { username: 'known', limit: 7 }

t.test('down at the start, then there', async (t) => {
  const redis = await startRedis(t)
  await redis.kill()
  const measured = await measureOn(t, {
    fault: 'Redis down at the start',
    redis,
    warmMs: 0,
    hold: 2000,
    inject: () => {},
    clear: async () => await redis.restart()
  })
  t.equal(measured.degradedShare, 1, 'every answer says that it is degraded')
  conclude(t, measured)
})

t.test('killed', async (t) => {
  const redis = await startRedis(t, { args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  const service = await serveHere(t, { REDIS_URL: redis.url })
  const client = httpClient(service.url, service.token)
  t.teardown(() => client.close())
  t.equal(
    (await client.ask('PUT', '/api/sessions/limits/known', { limit: known.limit })).status,
    200
  )
  const measured = await measureOn(t, {
    fault: 'refused (SIGKILL), back with its data',
    redis,
    service,
    inject: redis.kill,
    hold: holdAnd(3000, async (client) => await checkWrites(t, client, known)),
    clear: async () => await redis.restart({ keepData: true })
  })
  await checkKept(t, client, redis, known)
  t.equal(measured.readinessChanges, 0, 'readiness stays 200')
  conclude(t, measured, { detectMs: 500 })
})

t.test('hung', async (t) => {
  const redis = await startRedis(t)
  const service = await serveHere(t, { REDIS_URL: redis.url })
  const client = httpClient(service.url, service.token)
  t.teardown(() => client.close())
  t.equal(
    (await client.ask('PUT', '/api/sessions/limits/known', { limit: known.limit })).status,
    200
  )
  const measured = await measureOn(t, {
    fault: 'hung (SIGSTOP 10 s)',
    redis,
    service,
    inject: redis.pause,
    hold: holdAnd(10_000, async (client) => await checkWrites(t, client, known)),
    clear: redis.resume
  })
  await checkKept(t, client, redis, known)
  t.equal(measured.readinessChanges, 0, 'readiness stays 200')
  conclude(t, measured, { detectMs: 1000 })
})

t.test('deny: killed', async (t) => {
  const redis = await startRedis(t)
  const measured = await measureOn(t, {
    fault: 'refused, `OUTAGE_MODE=deny`',
    redis,
    env: { OUTAGE_MODE: 'deny' },
    refuses: true,
    inject: redis.kill,
    hold: 3000,
    clear: async () => await redis.restart()
  })
  t.ok(
    measured.notReadyMs !== null && measured.notReadyMs <= 2000,
    `not ready after ${measured.notReadyMs} ms, at most 2000`
  )
  t.ok(
    measured.readyMs !== null && measured.readyMs <= 3000,
    `ready again after ${measured.readyMs} ms, at most 3000`
  )
  t.equal(measured.readinessChanges, 2)
  const { records } = measured.load
  t.notOk(
    records.some(({ verb, status, degraded }) => verb === 'acquire' && degraded && status < 300),
    'nobody is let in without Redis'
  )
  measured.row.note =
    `readiness 503 after ${measured.notReadyMs} ms, 200 again after ${measured.readyMs} ms`
  conclude(t, measured)
})

t.test('deny: hung', async (t) => {
  const redis = await startRedis(t)
  const measured = await measureOn(t, {
    fault: 'hung (SIGSTOP 3 s), `OUTAGE_MODE=deny`',
    redis,
    env: { OUTAGE_MODE: 'deny' },
    refuses: true,
    inject: redis.pause,
    hold: 3000,
    clear: redis.resume
  })
  t.ok(
    measured.notReadyMs !== null && measured.notReadyMs <= 2000,
    `not ready after ${measured.notReadyMs} ms, at most 2000`
  )
  t.ok(
    measured.readyMs !== null && measured.readyMs <= 3000,
    `ready again after ${measured.readyMs} ms, at most 3000`
  )
  measured.row.note =
    `readiness 503 after ${measured.notReadyMs} ms, 200 again after ${measured.readyMs} ms`
  conclude(t, measured)
})

t.test('allow: killed', async (t) => {
  const redis = await startRedis(t)
  const measured = await measureOn(t, {
    fault: 'refused, `OUTAGE_MODE=allow`',
    redis,
    env: { OUTAGE_MODE: 'allow' },
    inject: redis.kill,
    hold: 2000,
    clear: async () => await redis.restart()
  })
  t.notOk(
    measured.load.records.some(({ degraded, status }) => degraded && status === 409),
    'nobody is refused without Redis'
  )
  t.ok(measured.row.over > 0, 'and so some are over the limit')
  measured.row.note = 'over the limit on purpose'
  conclude(t, measured, { over: measured.row.over })
})
