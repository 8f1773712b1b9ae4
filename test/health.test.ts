/**
 * Probes, and what requests are told, while Redis and etcd are killed, frozen, cut off, late,
 * locked or on the blink.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { ADMIN, type Answer, TEST_SECRET, as, startApp as startAnyApp } from './helpers/app.ts'
import { freePort } from './helpers/ports.ts'
import { startEtcd, startProxy, startRedis, waitFor } from './helpers/servers.ts'

/** What the service does without Redis here: it refuses, and says so. */
const OUTAGE_MODE = 'deny'
/** What readiness says of it then. */
const WITHOUT_REDIS = { code: 503, status: 'down' }
type Request = [method: Parameters<ReturnType<typeof as>>[0], url: string, body?: object]
/**
 * Requests that are refused while Redis is away: writes, and lists that nobody can know to be
 * whole.
 */
const REFUSED: Request[] = [
  ['GET', '/api/sessions/limits'],
  ['GET', '/api/sessions/limits?count=10'],
  ['GET', '/api/sessions/counts'],
  ['PUT', '/api/sessions/limits/alice', { limit: 4 }],
  ['PUT', '/api/sessions/limits', { max_sessions_per_user: 4 }],
  ['DELETE', '/api/sessions/limits/alice'],
  ['POST', '/api/sessions/limits/bulk', { limits: { alice: 4, bob: null } }],
  ['POST', '/api/sessions/users/alice/temporary-limit', { limit: 1, duration: 60 }],
  ['DELETE', '/api/sessions/users/alice/temporary-limit'],
  ['POST', '/api/sessions/sweep']
]
/** Requests that may also be answered from what is known, if the answer says that it is. */
const KNOWN: Request[] = [
  ['GET', '/api/sessions/limits/alice'],
  ['GET', '/api/sessions/counts/alice']
]
const [LOST_WITHIN_MS, BACK_WITHIN_MS, ANSWER_WITHIN_MS, PROBE_WITHIN_MS] = [
  2_000, 3_000, 500, 1_000
]

interface Probe {
  url: string
  code: number
  status: string
  ms: number
}

/** Asks liveness and readiness all the time, as an orchestrator would, only more often. */
class Prober {
  readonly probes: Probe[] = []
  #app: FastifyInstance
  #stopped = new AbortController()
  #running: Promise<void>

  constructor (t: Test, app: FastifyInstance) {
    this.#app = app
    this.#running = this.#run()
    t.teardown(async () => await this.stop())
  }

  async ask (url: string): Promise<Answer> {
    const started = performance.now()
    const answer = await as(this.#app, null)('GET', url)
    this.probes.push({
      url,
      code: answer.status,
      status: answer.body.status,
      ms: performance.now() - started
    })
    return answer
  }

  /** Ends, after a last look at how things are. */
  async stop (): Promise<void> {
    if (this.#stopped.signal.aborted) return
    this.#stopped.abort()
    await this.#running
    await this.ask('/healthz/ready')
  }

  /** How often readiness changed. */
  get changes (): number {
    const codes = this.probes.filter(({ url }) => url === '/healthz/ready').map(({ code }) => code)
    return codes.filter((code, i) => i > 0 && code !== codes[i - 1]).length
  }

  async #run (): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await Promise.all([this.ask('/healthz/live'), this.ask('/healthz/ready')])
      await sleep(20, undefined, { signal: this.#stopped.signal }).catch(() => {})
    }
  }
}

/** What must hold of probes whatever happens. */
function probesHold (t: Test, { probes }: Prober): void {
  t.same(
    probes.filter(({ url, code }) => url === '/healthz/live' && code !== 200),
    [],
    'liveness was 200 all the time'
  )
  const slowest = Math.max(...probes.map(({ ms }) => ms))
  t.ok(
    slowest < PROBE_WITHIN_MS,
    `the slowest of ${probes.length} probes took ${Math.round(slowest)} ms`
  )
}

async function startApp (t: Test, env: NodeJS.ProcessEnv = {}): Promise<FastifyInstance> {
  return await startAnyApp(t, { OUTAGE_MODE, ...env })
}

async function ready (
  app: FastifyInstance
): Promise<{ code: number; status: string; redis: string; etcd: string }> {
  const { status: code, body } = await as(app, null)('GET', '/healthz/ready')
  return {
    code,
    status: body.status,
    redis: body.components.redis.status,
    etcd: body.components.etcd.status
  }
}

/** Waits until readiness looks so. */
async function untilReady (
  app: FastifyInstance,
  wanted: Partial<Awaited<ReturnType<typeof ready>>>,
  deadlineMs: number
): Promise<void> {
  await waitFor(
    async () => {
      const seen = await ready(app)
      if (
        Object.entries(wanted).every(([name, value]) => seen[name as keyof typeof seen] === value)
      ) { return true }
      throw new Error(JSON.stringify(seen))
    },
    { what: `readiness to be ${JSON.stringify(wanted)}`, deadlineMs }
  )
}

/**
 * Every request that needs Redis is answered soon: refused and told when to come again, or with
 * what is known.
 */
async function refusesSoon (t: Test, app: FastifyInstance): Promise<void> {
  for (const [method, url, body] of [...REFUSED, ...KNOWN]) {
    const started = performance.now()
    const answer = await as(app, ADMIN)(method, url, body)
    const ms = performance.now() - started
    t.ok(ms < ANSWER_WITHIN_MS, `after ${Math.round(ms)} ms`)
    if (answer.status === 200 && KNOWN.some(([, known]) => known === url)) {
      t.ok(
        answer.body.degraded === true || answer.body.stale_ms >= 0,
        `${method} ${url} says that it is not from Redis`
      )
      continue
    }
    t.match(
      answer,
      {
        status: 503,
        headers: { 'content-type': /^application\/problem\+json/ },
        body: { code: 'store_unavailable' }
      },
      `${method} ${url}`
    )
    t.match(answer.headers['retry-after'], /^[1-9]\d*$/, 'Retry-After')
  }
}

/** Waits until limits can be written. */
async function untilWritable (app: FastifyInstance): Promise<void> {
  await waitFor(
    async () =>
      (await as(app, ADMIN)('PUT', '/api/sessions/limits/alice', { limit: 3 })).status === 200,
    {
      what: 'limits to be written again',
      deadlineMs: BACK_WITHIN_MS
    }
  )
}

/** Limits are created, read, updated and deleted. */
async function limitsWork (t: Test, app: FastifyInstance): Promise<void> {
  const send = as(app, ADMIN)
  const statuses = []
  for (const [method, url, body] of [...REFUSED, ...KNOWN]) {
    statuses.push((await send(method, url, body)).status)
  }
  t.same([...new Set(statuses)], [200], 'every request is answered')
  await send('PUT', '/api/sessions/limits/carol', { limit: 25 })
  t.match((await send('GET', '/api/sessions/limits/carol')).body, { limit: 25, source: 'user' })
  t.equal((await send('GET', '/api/sessions/limits')).body.user_limits.carol, 25)
  t.equal((await send('DELETE', '/api/sessions/limits/carol')).body.removed, true)
  t.match((await send('GET', '/api/sessions/limits/carol')).body, { source: 'default' })
}

// Outages take their time: the file may take more of it than others, on a busy machine.
t.setTimeout(300_000)

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
    await startApp(t, env),
    await startApp(t, { ...env, ETCD_REQUIRED: 'true' })
  ]

  t.test('is up when it is there, and nobody is told where', async (t) => {
    for (const one of [app, strict]) {
      t.same(
        await ready(one),
        { code: 200, status: 'ok', redis: 'up', etcd: 'up' },
        'from the first probe on'
      )
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
        { code: 200, status: 'degraded', redis: 'up', etcd: 'down' },
        LOST_WITHIN_MS
      )
      await untilReady(
        strict,
        { code: 503, status: 'down', redis: 'up', etcd: 'down' },
        LOST_WITHIN_MS
      )
      await limitsWork(t, app)
      await limitsWork(t, strict)
      t.match((await as(app, null)('GET', '/healthz/startup')).status, 200)
      await mend()
      for (const one of [app, strict]) {
        await untilReady(one, { code: 200, status: 'ok', redis: 'up', etcd: 'up' }, BACK_WITHIN_MS)
      }
      await Promise.all([prober.stop(), strictProber.stop()])
      probesHold(t, prober)
      probesHold(t, strictProber)
      t.equal(prober.changes, 0, 'readiness never changed where etcd is not required')
      t.equal(strictProber.changes, 2, 'and changed twice where it is')
    })
  }

  t.test('may be away when the service starts', async (t) => {
    etcd.pause()
    t.teardown(() => etcd.resume())
    const started = performance.now()
    const app = await startApp(t, env)
    t.ok(performance.now() - started < 3_000)
    t.match(await ready(app), { code: 200, status: 'degraded', redis: 'up', etcd: 'down' })
    const closing = performance.now()
    await app.close()
    t.ok(performance.now() - closing < 2_000, 'and when it ends')
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
    t.equal((await ready(app)).etcd, status, what)
    t.equal((await ready(app)).code, 200)
  }
  const frozen = await startEtcd(t)
  const app = await startApp(t, { ETCD_ENDPOINTS: `${frozen.url},${locked.url}`, ...user })
  frozen.pause()
  await t.rejects(untilReady(app, { etcd: 'down' }, 1_500), 'a frozen endpoint of two is still up')
})

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
    t.match(
      await ready(one),
      { code: 200, status: 'ok', redis: 'up' },
      'up from the first probe on'
    )
  }

  for (const [fault, app_, strike, mend] of [
    ['killed', app, async () => await redis.kill(), async () => await redis.restart()],
    ['frozen', app, async () => redis.pause(), async () => redis.resume()],
    ['cut off by resets', cut, async () => proxy.reset(), async () => proxy.pass()],
    ['cut off in silence', cut, async () => proxy.blackhole(), async () => proxy.pass()],
    ['slower than its deadline', cut, async () => proxy.delay(600), async () => proxy.pass()]
  ] as const) {
    t.test(
      `${fault}: not ready within 2 s, refusals within 500 ms, ready within 3 s of its return`,
      async (t) => {
        // Both reach the same Redis: the one that was not waited for may still be on its way back.
        await untilReady(app_, { code: 200, status: 'ok', redis: 'up', etcd: 'up' }, BACK_WITHIN_MS)
        const prober = new Prober(t, app_)
        await strike()
        await refusesSoon(t, app_)
        await untilReady(app_, { ...WITHOUT_REDIS, redis: 'down', etcd: 'up' }, LOST_WITHIN_MS)
        await refusesSoon(t, app_)
        await mend()
        await untilReady(app_, { code: 200, status: 'ok', redis: 'up', etcd: 'up' }, BACK_WITHIN_MS)
        await limitsWork(t, app_)
        await prober.stop()
        probesHold(t, prober)
        t.equal(prober.changes, WITHOUT_REDIS.code === 200 ? 0 : 2, 'readiness went and came once')
      }
    )
  }

  t.test('readiness is within 2 s of the loss also when nothing asks for anything', async (t) => {
    redis.pause()
    t.teardown(() => redis.resume())
    await untilReady(app, { ...WITHOUT_REDIS, redis: 'down' }, LOST_WITHIN_MS)
    redis.resume()
    await untilReady(app, { code: 200, redis: 'up' }, BACK_WITHIN_MS)
  })

  t.test('many requests at once are all refused in time', async (t) => {
    redis.pause()
    t.teardown(() => redis.resume())
    const started = performance.now()
    const answers = await Promise.all(
      Array.from(
        { length: 200 },
        async (_, i) => await as(app, ADMIN)('PUT', `/api/sessions/limits/user${i}`, { limit: i })
      )
    )
    t.ok(performance.now() - started < 1_000)
    t.same([...new Set(answers.map(({ status }) => status))], [503])
    redis.resume()
    await untilWritable(app)
    await untilReady(app, { code: 200, redis: 'up' }, BACK_WITHIN_MS)
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

t.test('Redis at the start', async (t) => {
  t.test('not there: the service starts, refuses, and finds it when it comes', async (t) => {
    const port = await freePort()
    const started = performance.now()
    const app = await startApp(t, { REDIS_URL: `redis://127.0.0.1:${port}` })
    t.ok(performance.now() - started < 2_000, 'it does not wait')
    t.match(await ready(app), { ...WITHOUT_REDIS, redis: 'down' })
    t.equal((await as(app, null)('GET', '/healthz/live')).status, 200)
    await refusesSoon(t, app)
    await startRedis(t, { port })
    await untilReady(app, { code: 200, status: 'ok', redis: 'up' }, BACK_WITHIN_MS)
    await limitsWork(t, app)
  })

  t.test('frozen: the same', async (t) => {
    const redis = await startRedis(t)
    redis.pause()
    const started = performance.now()
    const app = await startApp(t, { REDIS_URL: redis.url })
    t.ok(performance.now() - started < 3_000, 'it does not wait for long')
    t.match(await ready(app), { ...WITHOUT_REDIS, redis: 'down' })
    await refusesSoon(t, app)
    redis.resume()
    await untilReady(app, { code: 200, status: 'ok', redis: 'up' }, BACK_WITHIN_MS)
    await limitsWork(t, app)
  })

  t.test('of a name that does not resolve: it refuses', async (t) => {
    const app = await startApp(t, { REDIS_HOST: 'no-such-host.invalid' })
    await refusesSoon(t, app)
    t.match(await ready(app), { ...WITHOUT_REDIS, redis: 'down' })
  })

  t.test('loading its data: the service waits for that in its own time', async (t) => {
    // 2 ms a key, and a look at the network after each.
    const slow = [
      '--key-load-delay',
      '2000',
      '--loading-process-events-interval-bytes',
      '1024',
      '--rdbcompression',
      'no'
    ]
    const redis = await startRedis(t, { args: slow })
    await redis.load(
      Buffer.from(
        Array.from({ length: 1_500 }, (_, i) => `SET key:${i} ${'x'.repeat(1_100)}\r\n`).join('')
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
    await back
    await untilReady(app, { code: 200, redis: 'up' }, BACK_WITHIN_MS)
    t.match((await as(app, ADMIN)('GET', '/api/sessions/limits/dave')).body, { limit: 12 })
  })

  t.test(
    'with another password: it refuses, and works by itself once the password is right',
    async (t) => {
      const redis = await startRedis(t)
      await redis.cli('CONFIG', 'SET', 'requirepass', 'old')
      const app = await startApp(t, { REDIS_URL: redis.url, REDIS_PASSWORD: 'new' })
      await refusesSoon(t, app)
      t.match(await ready(app), { ...WITHOUT_REDIS, redis: 'down' })
      await redis.cli('-a', 'old', '--no-auth-warning', 'CONFIG', 'SET', 'requirepass', 'new')
      await untilReady(app, { code: 200, status: 'ok', redis: 'up' }, BACK_WITHIN_MS)
      await limitsWork(t, app)
    }
  )

  t.test('the policy that it holds is in force from the first request on', async (t) => {
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
      t.match(await ready(app), { code: 200, redis: 'up' })
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
      await refusesSoon(t, app)
      t.match(await ready(app), { ...WITHOUT_REDIS, redis: 'down' })
    })
  }
  t.test('a file that is not there is named', async (t) => {
    await t.rejects(startApp(t, { REDIS_URL: redis.url, REDIS_TLS_CA: '/nonexistent.pem' }), {
      message: /^REDIS_TLS_CA: must name a PEM file/
    })
  })
})

t.test(
  'Redis on the blink every 300 ms for 10 s changes readiness twice at the most',
  async (t) => {
    const [frozen, reset] = await Promise.all([startRedis(t), startRedis(t)])
    const proxy = await startProxy(t, reset)
    const apps = [
      await startApp(t, { REDIS_URL: frozen.url }),
      await startApp(t, { REDIS_URL: `redis://127.0.0.1:${proxy.port}` })
    ]
    const probers = apps.map((app) => new Prober(t, app))
    const ends = performance.now() + 10_000
    for (let away = true; performance.now() < ends || !away; away = !away) {
      if (away) frozen.pause()
      else frozen.resume()
      if (away) proxy.reset()
      else proxy.pass()
      await sleep(300)
    }
    for (const app of apps) {
      await untilReady(app, { code: 200, status: 'ok', redis: 'up' }, BACK_WITHIN_MS)
    }
    for (const prober of probers) {
      await prober.stop()
      t.ok(prober.changes <= 2, `${prober.changes} changes`)
      probesHold(t, prober)
    }
  }
)

t.test('the end', async (t) => {
  t.test('closing takes less than 2 s while Redis and etcd are frozen', async (t) => {
    const [redis, etcd] = await Promise.all([startRedis(t), startEtcd(t)])
    const app = await startApp(t, { REDIS_URL: redis.url, ETCD_ENDPOINTS: etcd.url })
    redis.pause()
    etcd.pause()
    const request = as(app, ADMIN)('PUT', '/api/sessions/limits/alice', { limit: 3 })
    const started = performance.now()
    await app.close()
    t.ok(
      performance.now() - started < 2_000,
      `it took ${Math.round(performance.now() - started)} ms`
    )
    t.equal((await request).status, 503, 'and the request under way was answered')
  })

  t.test(
    'the process is ready when it listens, and ends by itself on SIGTERM while Redis is frozen',
    async (t) => {
      const redis = await startRedis(t)
      const child = spawn(
        process.execPath,
        [...process.execArgv, fileURLToPath(new URL('../server.ts', import.meta.url))],
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
        deadlineMs: 20_000
      })
      t.match(await (await fetch(`${base}/healthz/ready`)).json(), {
        status: 'ok',
        components: { redis: { status: 'up' } }
      })
      redis.pause()
      const started = performance.now()
      child.kill('SIGTERM')
      t.same(await ended, [0, null])
      t.ok(
        performance.now() - started < 3_000,
        `it took ${Math.round(performance.now() - started)} ms`
      )
    }
  )
})

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
