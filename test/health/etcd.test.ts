/** Health while etcd is there, away or guarded, and the end of the process. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ADMIN, TEST_SECRET, as } from '../helpers/app.ts'
import { freePort } from '../helpers/ports.ts'
import { startEtcd, startRedis, waitFor } from '../helpers/servers.ts'
import {
  limitsWork,
  untilReady,
  Prober,
  startApp
} from './probes.ts'

t.test('without Redis and etcd both are disabled and the service is ready', async (t) => {
  const app = await startApp(t)
  for (const url of ['/health', '/api/health', '/healthz/ready', '/healthz/startup']) {
    t.match(
      await as(app, null)('GET', url),
      {
        status: 200,
        body: {
          status: 'ok',
          components: {
            redis: { status: 'disabled', latency_ms: null },
            etcd: { status: 'disabled', latency_ms: null }
          }
        }
      },
      url
    )
  }
  t.same((await as(app, null)('GET', '/healthz/live')).body, { status: 'ok' })
})

t.test('etcd', async (t) => {
  const [redis, etcd] = await Promise.all([startRedis(t), startEtcd(t)])
  const env = { REDIS_URL: redis.url, ETCD_ENDPOINTS: etcd.url }
  const [app, strict] = [
    await startApp(t, { ...env, OUTAGE_MODE: 'local' }),
    await startApp(t, { ...env, ETCD_REQUIRED: 'true' })
  ]

  t.test('is up when it answers, and health does not say where it is', async (t) => {
    for (const one of [app, strict]) {
      await untilReady(one, { code: 200, status: 'ok', redis: 'up', etcd: 'up' })
    }
    for (const url of ['/health', '/api/health', '/healthz/ready', '/healthz/startup']) {
      const { text, body } = await as(app, null)('GET', url)
      t.match(body.components, { redis: { latency_ms: Number }, etcd: { latency_ms: Number } })
      t.same(
        [
          Object.keys(body.components),
          Object.keys(body.components.redis),
          Object.keys(body.components.etcd)
        ],
        [
          ['redis', 'etcd'],
          ['status', 'latency_ms'],
          ['status', 'latency_ms']
        ]
      )
      t.notMatch(
        text.replace(/"latency_ms":\d+(\.\d+)?/g, ''),
        /\d|\/|localhost/,
        'no host, port, version or figure but the latency'
      )
    }
  })

  for (const [fault, strike, mend] of [
    ['killed', async () => await etcd.kill(), async () => await etcd.restart({ keepData: true })],
    ['frozen', async () => etcd.pause(), async () => etcd.resume()]
  ] as const) {
    t.test(`changes its own component and nothing else when it is ${fault}`, async (t) => {
      const [prober, strictProber] = [new Prober(t, app), new Prober(t, strict)]
      await strike()
      await untilReady(
        app,
        { code: 200, status: 'degraded', redis: 'up', etcd: 'down' })
      await untilReady(
        strict,
        { code: 503, status: 'down', redis: 'up', etcd: 'down' })
      await limitsWork(t, app)
      await limitsWork(t, strict)
      t.match((await as(app, null)('GET', '/healthz/startup')).status, 200)
      await mend()
      for (const one of [app, strict]) {
        await untilReady(one, { code: 200, status: 'ok', redis: 'up', etcd: 'up' })
      }
      await Promise.all([prober.stop(), strictProber.stop()])
      t.same([...prober.liveness, ...strictProber.liveness], [200, 200], 'liveness stays 200')
      t.same(prober.readiness, [200], 'readiness stays 200 where etcd is not required')
    })
  }

  t.test('may be down when the service starts and ends', async (t) => {
    etcd.pause()
    t.teardown(() => etcd.resume())
    const app = await startApp(t, env)
    await untilReady(app, { code: 200, status: 'degraded', redis: 'up', etcd: 'down' })
    await app.close()
    t.pass('and when it ends')
  })
})

t.test('etcd with a user, TLS, several endpoints', async (t) => {
  const auth = { user: 'ferry', password: 'p@ss "word"' }
  const [locked, both] = await Promise.all([
    startEtcd(t, { auth }),
    startEtcd(t, { tls: true, auth })
  ])
  const user = { ETCD_USERNAME: auth.user, ETCD_PASSWORD: auth.password }
  const files = {
    ETCD_TLS_CA: both.tls?.ca,
    ETCD_TLS_CERT: both.tls?.cert,
    ETCD_TLS_KEY: both.tls?.key
  }
  const dead = `http://127.0.0.1:${await freePort()}`
  const cases: Array<[what: string, env: NodeJS.ProcessEnv, status: string]> = [
    ['user and password', { ETCD_ENDPOINTS: locked.url, ...user }, 'up'],
    ['a wrong password', { ETCD_ENDPOINTS: locked.url, ...user, ETCD_PASSWORD: 'wrong' }, 'down'],
    ['an unknown user', { ETCD_ENDPOINTS: locked.url, ...user, ETCD_USERNAME: 'nobody' }, 'down'],
    ['TLS, user and password', { ETCD_ENDPOINTS: both.url, ...user, ...files }, 'up'],
    ['TLS without the certificate authority', { ETCD_ENDPOINTS: both.url, ...user }, 'down'],
    [
      'TLS spoken to in plain text',
      { ETCD_ENDPOINTS: both.url.replace('https', 'http'), ...user },
      'down'
    ],
    ['one dead endpoint of two', { ETCD_ENDPOINTS: `${dead}, ${locked.url}`, ...user }, 'up'],
    [
      'one dead endpoint of two, the other way round',
      { ETCD_ENDPOINTS: `${locked.url},${dead}`, ...user },
      'up'
    ],
    ['dead endpoints only', { ETCD_ENDPOINTS: `${dead},${dead}` }, 'down']
  ]
  for (const [what, env, status] of cases) {
    const app = await startApp(t, env)
    await untilReady(app, { code: 200, etcd: status })
    t.pass(what)
  }
  const frozen = await startEtcd(t)
  frozen.pause()
  const app = await startApp(t, { ETCD_ENDPOINTS: `${frozen.url},${locked.url}`, ...user })
  await untilReady(app, { etcd: 'up' })
  t.pass('with one endpoint frozen, the other is enough')
})

t.test('the end of the process', async (t) => {
  t.test('a service closes while Redis and etcd are frozen', async (t) => {
    const [redis, etcd] = await Promise.all([startRedis(t), startEtcd(t)])
    const app = await startApp(t, { REDIS_URL: redis.url, ETCD_ENDPOINTS: etcd.url })
    redis.pause()
    etcd.pause()
    const request = as(app, ADMIN)('PUT', '/api/sessions/limits/alice', { limit: 3 })
    await app.close()
    t.equal((await request).status, 503, 'the request under way was answered')
  })

  t.test(
    'the process is ready when it listens, and ends by itself on SIGTERM while Redis is frozen',
    async (t) => {
      const redis = await startRedis(t)
      const child = spawn(
        process.execPath,
        [...process.execArgv, fileURLToPath(new URL('../../server.ts', import.meta.url))],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
          env: {
            ...process.env,
            HOST: '127.0.0.1',
            PORT: '0',
            LOG_LEVEL: 'info',
            JWT_SECRET: TEST_SECRET,
            REDIS_URL: redis.url
          }
        }
      )
      t.teardown(() => child.kill('SIGKILL'))
      let log = ''
      child.stdout.on('data', (chunk: Buffer) => {
        log += chunk.toString()
      })
      const ended = once(child, 'exit')
      const listening = /Server listening at (http:[^"]+)/
      const base = await waitFor(() => listening.exec(log)?.[1], {
        what: 'the server to listen',
        deadlineMs: 120_000
      })
      await waitFor(
        async () => {
          const { status, components } = (await (await fetch(`${base}/healthz/ready`)).json()) as {
            status: string
            components: { redis: { status: string } }
          }
          return status === 'ok' && components.redis.status === 'up'
        },
        { what: 'the server to be ready' }
      )
      redis.pause()
      child.kill('SIGTERM')
      t.same(await ended, [0, null])
    }
  )
})
