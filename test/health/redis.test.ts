/** Health, and what callers are told, while Redis is killed, frozen, cut off, late or locked. */
import { connect } from 'node:net'
import t from 'tap'
import { ADMIN, as } from '../helpers/app.ts'
import { freePort } from '../helpers/ports.ts'
import { startEtcd, startProxy, startRedis, waitFor } from '../helpers/servers.ts'
import {
  untilWritable,
  limitsWork,
  WITHOUT_REDIS,
  refuses,
  Prober,
  untilReady,
  ready,
  startApp
} from './probes.ts'

/** What Redis answers to PING on a connection of its own. */
async function redisSays (port: number): Promise<string> {
  return await new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'))
    socket.setTimeout(1_000, () => socket.destroy(new Error('no answer')))
    socket.on('error', reject)
    socket.on('data', (data) => {
      socket.destroy()
      resolve(data.toString())
    })
  })
}

t.test('Redis', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis)
  const etcd = await startEtcd(t)
  const app = await startApp(t, { REDIS_URL: redis.url, ETCD_ENDPOINTS: etcd.url })
  const cut = await startApp(t, {
    REDIS_URL: `redis://127.0.0.1:${proxy.port}`,
    ETCD_ENDPOINTS: etcd.url
  })
  for (const one of [app, cut]) {
    await untilReady(one, { code: 200, status: 'ok', redis: 'up' })
  }

  for (const [fault, app_, strike, mend] of [
    ['killed', app, async () => await redis.kill(), async () => await redis.restart()],
    ['frozen', app, async () => redis.pause(), async () => redis.resume()],
    ['cut off by resets', cut, async () => proxy.reset(), async () => proxy.pass()],
    ['cut off in silence', cut, async () => proxy.blackhole(), async () => proxy.pass()],
    ['slower than its deadline', cut, async () => proxy.delay(5000), async () => proxy.pass()]
  ] as const) {
    t.test(
      `${fault}: the service refuses, is not ready, and is ready again when Redis is back`,
      async (t) => {
        // Both reach the same Redis: the one that was not waited for may still be on its way back.
        await untilReady(app_, { code: 200, status: 'ok', redis: 'up', etcd: 'up' })
        const prober = new Prober(t, app_)
        await strike()
        await refuses(t, app_)
        await untilReady(app_, { ...WITHOUT_REDIS, redis: 'down', etcd: 'up' })
        await refuses(t, app_)
        await mend()
        await untilReady(app_, { code: 200, status: 'ok', redis: 'up', etcd: 'up' })
        await limitsWork(t, app_)
        await prober.stop()
        t.same(prober.liveness, [200], 'liveness stays 200')
      }
    )
  }

  t.test('the loss is noticed when nobody asks for anything, too', async (t) => {
    redis.pause()
    t.teardown(() => redis.resume())
    await untilReady(app, { ...WITHOUT_REDIS, redis: 'down' })
    redis.resume()
    await untilReady(app, { code: 200, redis: 'up' })
  })

  t.test('200 requests at once are all refused', async (t) => {
    redis.pause()
    t.teardown(() => redis.resume())
    const answers = await Promise.all(
      Array.from(
        { length: 200 },
        async (_, i) => await as(app, ADMIN)('PUT', `/api/sessions/limits/user${i}`, { limit: i })
      )
    )
    t.same([...new Set(answers.map(({ status }) => status))], [503])
    redis.resume()
    await untilWritable(app)
    await untilReady(app, { code: 200, redis: 'up' })
    await limitsWork(t, app)
  })

  t.test(
    'refuses to serve, full or read-only: writes are refused until it serves again',
    async (t) => {
      await redis.cli('CONFIG', 'SET', 'maxmemory', '1')
      t.match(
        await as(app, ADMIN)('PUT', '/api/sessions/limits/alice', { limit: 3 }),
        { status: 503, body: { code: 'store_unavailable' } },
        'out of memory'
      )
      await redis.cli('CONFIG', 'SET', 'maxmemory', '0')
      await untilWritable(app)
      await redis.cli('REPLICAOF', '127.0.0.1', String(await freePort()))
      t.match(
        await as(app, ADMIN)('PUT', '/api/sessions/limits/alice', { limit: 3 }),
        { status: 503, body: { code: 'store_unavailable' } },
        'read-only'
      )
      await redis.cli('REPLICAOF', 'NO', 'ONE')
      await untilWritable(app)
    }
  )
})

t.test('Redis at the start of the service', async (t) => {
  t.test('down: the service starts, refuses, and connects when Redis is up', async (t) => {
    const port = await freePort()
    const app = await startApp(t, { REDIS_URL: `redis://127.0.0.1:${port}` })
    t.match(await ready(app), { ...WITHOUT_REDIS, redis: 'down' })
    t.equal((await as(app, null)('GET', '/healthz/live')).status, 200)
    await refuses(t, app)
    await startRedis(t, { port })
    await untilReady(app, { code: 200, status: 'ok', redis: 'up' })
    await limitsWork(t, app)
  })

  t.test('frozen: the same', async (t) => {
    const redis = await startRedis(t)
    redis.pause()
    const app = await startApp(t, { REDIS_URL: redis.url })
    t.match(await ready(app), { ...WITHOUT_REDIS, redis: 'down' })
    await refuses(t, app)
    redis.resume()
    await untilReady(app, { code: 200, status: 'ok', redis: 'up' })
    await limitsWork(t, app)
  })

  t.test('a host that does not resolve: the service refuses', async (t) => {
    const app = await startApp(t, { REDIS_HOST: 'no-such-host.invalid' })
    await refuses(t, app)
    t.match(await ready(app), { ...WITHOUT_REDIS, redis: 'down' })
  })

  t.test('loading its data: the service starts, refuses, and connects afterwards', async (t) => {
    // 20 ms a key until it is told otherwise, and a look at the network after each.
    const slow = [
      '--key-load-delay',
      '20000',
      '--loading-process-events-interval-bytes',
      '1024',
      '--rdbcompression',
      'no'
    ]
    const redis = await startRedis(t, { args: slow })
    await redis.load(
      Buffer.from(
        Array.from({ length: 2_500 }, (_, i) => `SET key:${i} ${'x'.repeat(1_100)}\r\n`).join('')
      )
    )
    await redis.cli('SET', 'voice-ferry-c4:user-limit:dave', '12')
    const back = redis.restart({ keepData: true })
    await waitFor(async () => (await redisSays(redis.port)).startsWith('-LOADING'), {
      what: 'Redis to be loading',
      everyMs: 5
    })
    const app = await startApp(t, { REDIS_URL: redis.url })
    t.match(
      await as(app, ADMIN)('GET', '/api/sessions/limits/dave'),
      { status: 503, body: { code: 'store_unavailable' } },
      'refused while it loads'
    )
    t.match(await redisSays(redis.port), /^-LOADING/, 'which it did until now')
    await redis.cli('CONFIG', 'SET', 'key-load-delay', '0')
    await back
    await untilReady(app, { code: 200, redis: 'up' })
    t.match((await as(app, ADMIN)('GET', '/api/sessions/limits/dave')).body, { limit: 12 })
  })

  t.test(
    'with another password: it refuses, and works by itself once the password is right',
    async (t) => {
      const redis = await startRedis(t)
      await redis.cli('CONFIG', 'SET', 'requirepass', 'old')
      const app = await startApp(t, { REDIS_URL: redis.url, REDIS_PASSWORD: 'new' })
      await refuses(t, app)
      t.match(await ready(app), { ...WITHOUT_REDIS, redis: 'down' })
      await redis.cli('-a', 'old', '--no-auth-warning', 'CONFIG', 'SET', 'requirepass', 'new')
      await untilReady(app, { code: 200, status: 'ok', redis: 'up' })
      await limitsWork(t, app)
    }
  )

  t.test('its policy is in force from the first request on', async (t) => {
    const redis = await startRedis(t)
    const app = await startApp(t, { REDIS_URL: redis.url })
    await as(app, ADMIN)('PUT', '/api/sessions/limits', { max_sessions_per_user: 77 })
    const next = await startApp(t, { REDIS_URL: redis.url })
    t.equal((await as(next, ADMIN)('GET', '/api/sessions/limits/alice')).body.limit, 77)
  })
})

t.test('Redis over TLS with a password and a client certificate', async (t) => {
  const redis = await startRedis(t, { tls: true, password: 'p@ss:word/#' })
  await redis.cli('CONFIG', 'SET', 'tls-auth-clients', 'yes')
  const files = {
    REDIS_TLS_CA: redis.tls?.ca,
    REDIS_TLS_CERT: redis.tls?.cert,
    REDIS_TLS_KEY: redis.tls?.key
  }
  const { port } = redis
  const settings: Array<[string, NodeJS.ProcessEnv]> = [
    ['by URL', { REDIS_URL: redis.url, ...files }],
    [
      'by host',
      {
        REDIS_HOST: '127.0.0.1',
        REDIS_PORT: String(port),
        REDIS_TLS: 'true',
        REDIS_PASSWORD: 'p@ss:word/#',
        ...files
      }
    ],
    [
      'with a user and a database',
      {
        REDIS_URL: `rediss://127.0.0.1:${port}/3`,
        REDIS_USERNAME: 'default',
        REDIS_PASSWORD: 'p@ss:word/#',
        ...files
      }
    ]
  ]
  for (const [what, env] of settings) {
    t.test(`limits work, ${what}`, async (t) => {
      const app = await startApp(t, env)
      await untilReady(app, { code: 200, redis: 'up' })
      await limitsWork(t, app)
    })
  }
  const wrong: Array<[string, NodeJS.ProcessEnv]> = [
    ['the password is wrong', { REDIS_URL: `rediss://:wrong@127.0.0.1:${port}`, ...files }],
    ['there is no password', { REDIS_URL: `rediss://127.0.0.1:${port}`, ...files }],
    ['the certificate authority is unknown', { REDIS_URL: redis.url }],
    [
      'the client certificate is missing',
      { REDIS_URL: redis.url, REDIS_TLS_CA: files.REDIS_TLS_CA }
    ],
    [
      'the client speaks plain text',
      { REDIS_HOST: '127.0.0.1', REDIS_PORT: String(port), REDIS_PASSWORD: 'p@ss:word/#' }
    ]
  ]
  for (const [what, env] of wrong) {
    t.test(`503 and no crash when ${what}`, async (t) => {
      const app = await startApp(t, env)
      await refuses(t, app)
      t.match(await ready(app), { ...WITHOUT_REDIS, redis: 'down' })
    })
  }
  t.test('a missing certificate file is named', async (t) => {
    await t.rejects(startApp(t, { REDIS_URL: redis.url, REDIS_TLS_CA: '/nonexistent.pem' }), {
      message: /^REDIS_TLS_CA: must name a PEM file/
    })
  })
})
