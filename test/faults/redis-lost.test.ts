/** Redis has lost what it held, or is told much at once when it is back. */
import t from 'tap'
import { LEARNING_MS } from '../../services/sessions/timing.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
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

t.test('what ended before the loss does not come back', async (t) => {
  const redis = await startRedis(t)
  const service = await serveHere(t, { REDIS_URL: redis.url })
  const { ask, close } = httpClient(service.url, service.token)
  t.teardown(close)
  for (const id of ['ended', 'up']) {
    t.equal((await ask('POST', '/api/sessions', { username: 'alice', session_id: id })).status, 201)
  }
  t.equal((await ask('DELETE', '/api/sessions/ended?username=alice')).status, 200)
  await redis.cli('FLUSHALL')
  await waitFor(async () => (await leasesOf(redis)).has('alice up'), {
    what: 'the lease to be back',
    deadlineMs: 2000
  })
  await waitFor(async () => (await ask('GET', '/healthz/ready')).body.status === 'ok', {
    what: 'the service to be well'
  })
  t.equal((await ask('POST', '/api/sessions/ended/renew', { username: 'alice' })).status, 410)
  t.same([...(await leasesOf(redis))], ['alice up'])
})

t.test(
  'a release is told again to a Redis that lost only its last writes, as a promoted one may have',
  async (t) => {
    const redis = await startRedis(t)
    const service = await serveHere(t, { REDIS_URL: redis.url })
    const { ask, close } = httpClient(service.url, service.token)
    t.teardown(close)
    for (const id of ['released', 'up']) {
      t.equal(
        (await ask('POST', '/api/sessions', { username: 'dave', session_id: id })).status,
        201
      )
    }
    await redis.cli('SAVE')
    t.match(await ask('DELETE', '/api/sessions/released?username=dave'), {
      status: 200,
      body: { released: true, degraded: false }
    })
    t.equal(
      (await ask('POST', '/api/sessions', { username: 'dave', session_id: 'later' })).status,
      201
    )
    await redis.kill()
    await redis.restart({ keepData: true })
    await waitFor(async () => [...(await leasesOf(redis))].sort().join() === 'dave later,dave up', {
      what: 'what was up to be up, and what was released to be gone',
      deadlineMs: 5000
    })
    await waitFor(
      async () => (await ask('GET', '/api/sessions/counts/dave')).body.stale_ms === undefined,
      { what: 'a fresh count' }
    )
    t.match(await ask('POST', '/api/sessions', { username: 'dave', session_id: 'released' }), {
      status: 410
    })
  }
)

t.test('two replicas, and what only the other one knows', async (t) => {
  const redis = await startRedis(t)
  const replicas = [
    await serveHere(t, { REDIS_URL: redis.url }),
    await serveHere(t, { REDIS_URL: redis.url })
  ]
  const clients = replicas.map(({ url, token }) => httpClient(url, token))
  t.teardown(() => clients.forEach(({ close }) => close()))
  const [one, other] = clients as [(typeof clients)[0] & {}, (typeof clients)[0] & {}]
  const acquire = async (client: typeof one, id: string) =>
    (await client.ask('POST', '/api/sessions', { username: 'bob', session_id: id })).status
  for (const id of ['b1', 'b2', 'b3']) t.equal(await acquire(one, id), 201)
  for (const id of ['b4', 'b5']) t.equal(await acquire(other, id), 201)
  t.equal(
    (await other.ask('DELETE', '/api/sessions/b1?username=bob')).status,
    200,
    'the other replica releases what this one has admitted'
  )
  await redis.cli('FLUSHALL')
  await waitFor(async () => (await leasesOf(redis)).size >= 4, {
    what: 'the leases of both',
    deadlineMs: 2000
  })
  await waitFor(
    async () => [...(await leasesOf(redis))].sort().join() === 'bob b2,bob b3,bob b4,bob b5',
    {
      what: 'the leases of both, without the one that ended',
      deadlineMs: 2000
    }
  )
  for (const client of clients) {
    await waitFor(
      async () => (await client.ask('GET', '/api/sessions/counts/bob')).body.stale_ms === undefined,
      { what: 'fresh counts' }
    )
  }
  t.equal(await acquire(one, 'b6'), 201, 'one slot is free')
  t.equal(await acquire(other, 'b7'), 409, 'and no other')
})

t.test(
  'an empty Redis takes reported calls as they are, and counts them when a new call asks',
  async (t) => {
    const redis = await startRedis(t)
    const [lost, service] = [
      await serveHere(t, { REDIS_URL: redis.url }),
      await serveHere(t, { REDIS_URL: redis.url })
    ]
    const [before, { ask, close }] = [
      httpClient(lost.url, lost.token),
      httpClient(service.url, service.token)
    ]
    t.teardown(close)
    for (const id of ['c1', 'c2']) {
      t.equal(
        (
          await before.ask('POST', '/api/sessions', {
            username: 'carol',
            session_id: id,
            node: 'n1'
          })
        ).status,
        201
      )
    }
    before.close()
    await lost.app.close()
    const began = async (agoMs: number) =>
      await redis.cli('SET', 'voice-ferry-c4:session-generation', `test ${Date.now() - agoMs}`)
    const said = async (sessions: string) =>
      await waitFor(
        async () => {
          const { body } = await ask('GET', '/healthz/ready')
          const count = await ask('GET', '/api/sessions/counts/carol')
          return (
            body.sessions === sessions && count.status === 200 && count.body.stale_ms === undefined
          )
        },
        { what: `sessions ${sessions}, and Redis to be asked` }
      )
    await began(LEARNING_MS)
    await said('known')

    await redis.cli('FLUSHALL')
    await said('learning')
    t.equal((await ask('PUT', '/api/sessions/limits/carol', { limit: 2 })).status, 200)
    const taken = await ask('POST', '/api/sessions/c1/renew', { username: 'carol' })
    t.match(
      taken,
      { status: 200, body: { reregistered: true, degraded: false } },
      'a call that is renewed is taken'
    )
    const sessions = ['c1', 'c2', 'c3'].map((id) => ({ session_id: id, username: 'carol' }))
    const report = await ask('PUT', '/api/sessions/nodes/n1', { epoch: 1, sessions })
    t.match(
      report,
      { status: 200, body: { renewed: 1, registered: 2, released: 0 } },
      'and so are those of a node, over the limit'
    )
    t.match(await ask('POST', '/api/sessions', { username: 'carol', session_id: 'c4' }), {
      status: 409,
      body: { count: 3, limit: 2 }
    })

    await began(LEARNING_MS - 5000)
    await said('learning')
    await began(LEARNING_MS)
    await said('known')
    t.match(await ask('GET', '/api/sessions/counts/carol'), { body: { count: 3 } })
  }
)

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
