/** Input that the limits API refuses. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { ADMIN, as, startAppOn, startOwnApp } from '../helpers/app.ts'
import { isBackground, monitorRedis, quiet, type Seen } from '../helpers/redis-monitor.ts'
import { startRedis } from '../helpers/servers.ts'
import { invalid, writes, isProblem } from './api.ts'

const redis = await startRedis(t)

t.test('refused input is answered with what is wrong, and sends no Redis command', async (t) => {
  const own = await startRedis(t)
  const app = await startAppOn(t, own, { GHOST_SWEEP_INTERVAL_SECONDS: '0' })
  const send = as(app, ADMIN)
  const monitor = await monitorRedis(t, own)
  const ours = async () => (await monitor.take()).filter((seen) => !isBackground(seen))
  const silent = async (what: string) =>
    t.strictSame(await ours(), [] as Seen[], `${what}: Redis is not asked`)
  await quiet(monitor)
  await send('PUT', '/api/sessions/limits/alice', { limit: 25 })
  const key = `${app.config.REDIS_KEY_PREFIX}user-limit:alice`
  t.ok((await ours()).some((words) => words.includes(key)), 'what is accepted is seen')

  // Names of no form that a user may have. They can be read and removed, if another program stored
  // them, but not set.
  const foreignNames = [
    'a%20b',
    '%20',
    'a%0Ab',
    'a%00',
    '%7Ba%7D',
    'a%22',
    'a%5Cb',
    'a%7Cb',
    '%C3%A4',
    '%F0%9F%98%80',
    'a%0A'
  ]
  const reservedNames = [
    '_default',
    '__proto__',
    'prototype',
    'constructor',
    'a'.repeat(257),
    '%5F%5Fproto%5F%5F'
  ]
  type Named = ['GET' | 'PUT' | 'POST' | 'DELETE', (name: string) => string, object?]
  const changes: Named[] = [
    ['PUT', (name) => `/limits/${name}`, { limit: 1 }],
    ['POST', (name) => `/users/${name}/temporary-limit`, { limit: 1, duration: 1 }],
    ['PUT', (name) => `/users/${name}/bar`, {}]
  ]
  const reads: Named[] = [
    ['GET', (name) => `/limits/${name}`],
    ['DELETE', (name) => `/limits/${name}`],
    ['DELETE', (name) => `/users/${name}/temporary-limit`],
    ['DELETE', (name) => `/users/${name}/bar`],
    ['GET', (name) => `/counts/${name}`]
  ]
  for (const name of [...foreignNames, ...reservedNames]) {
    const named = reservedNames.includes(name) ? [...changes, ...reads] : changes
    for (const [method, url, body] of named) {
      const answer = await send(method, `/api/sessions${url(name)}`, body)
      isProblem(
        t,
        answer,
        { status: 400, code: 'invalid_input', errors: true },
        `${method} ${url(name)}`
      )
      t.equal(answer.body.errors[0].path, 'params/username')
    }
    await silent(name)
  }

  const badLimits = [-1, 1.5, 1_000_001, 1e21, '25', '', null, true, [], [25], {}, undefined]
  const put = (body?: object | string) => ['PUT', '/limits/bob', body] as const
  const policyOf = (body?: object | string) => ['PUT', '/limits', body] as const
  const bulk = (body?: object | string) => ['POST', '/limits/bulk', body] as const
  const temporary = (body?: object | string) =>
    ['POST', '/users/bob/temporary-limit', body] as const
  const query = (url: string) => ['GET', url, undefined] as const
  const refused: ReadonlyArray<
    readonly ['GET' | 'PUT' | 'POST', string, object | string | undefined]
  > = [
    ...badLimits.map((limit) => put({ limit })),
    ...badLimits.map((limit) => temporary({ limit, duration: 1 })),
    ...badLimits
      .filter((n) => n !== 1_000_001)
      .map((duration) => temporary({ limit: 1, duration })),
    ...badLimits
      .filter((limit) => limit !== null && limit !== undefined)
      .map((limit) => bulk({ limits: { carol: 1, bob: limit } })),
    ...badLimits.map((limit) =>
      policyOf({ max_sessions_per_user: limit === undefined ? 'x' : limit })
    ),
    ...['true', 1, 0, null, 'yes', {}].map((enabled) => policyOf({ enabled })),
    ...['Reject', '', null, 'terminate', 1, ['reject']].map((action) =>
      policyOf({ session_limit_action: action })
    ),
    ...[undefined, 'null', '1', '"x"', '[]', '{}', 'true'].flatMap((body) => [
      put(body),
      policyOf(body),
      bulk(body),
      temporary(body)
    ]),
    put({ limit: 1, extra: 1 }),
    put({ Limit: 1 }),
    policyOf({ enabled: true, limit: 1 }),
    bulk({ limits: {}, alice: 1 }),
    bulk({ alice: 1 }),
    ...[null, [], [1], 'alice', 1].map((limits) => bulk({ limits })),
    ...['_default', 'constructor', 'prototype', 'a b', '', 'a|', 'a'.repeat(257)].map((name) =>
      bulk({ limits: { carol: 1, [name]: 1 } })
    ),
    temporary({ limit: 1 }),
    temporary({ duration: 1 }),
    temporary({ limit: 1, duration: 0 }),
    temporary({ limit: 1, duration: 30 * 24 * 3600 + 1 }),
    temporary({ limit: 1, duration: 1, reason: 5 }),
    temporary({ limit: 1, duration: 1, reason: null }),
    temporary({ limit: 1, duration: 1, until: 1 }),
    ...['limits', 'counts'].flatMap((list) =>
      [
        'count=0',
        'count=1001',
        'count=-1',
        'count=1.5',
        'count=abc',
        'count=',
        'count=1&count=2',
        'cursor=a.b',
        'cursor=%00',
        'cursor=a%20b',
        'cursor=bnVsbA',
        'cursor=a&cursor=b',
        `cursor=${'a'.repeat(12_001)}`,
        'page=1',
        'Count=1',
        '__proto__=1'
      ].map((text) => query(`/${list}?${text}`))
    ),
    ...['a'.repeat(257), 'a&prefix=b'].map((prefix) => query(`/limits?prefix=${prefix}`)),
    query('/counts?prefix=a')
  ]
  for (const [method, url, body] of refused) {
    const what = `${method} ${url.slice(0, 80)} ${JSON.stringify(body)?.slice(0, 80)}`
    isProblem(
      t,
      await send(method, `/api/sessions${url}`, body),
      { status: 400, code: 'invalid_input', errors: true },
      what
    )
    await silent(what)
  }

  const unreadable = [
    '{',
    '{"limit":}',
    '{"limit":1',
    'limit=1',
    '{"limit":NaN}',
    '{"limit":0x10}',
    "{'limit':1}",
    '{"limit":1}{',
    '\u0000',
    '[[[',
    '{"limit":1,"__proto__":{"limit":2}}',
    '{"__proto__":1}',
    '{"limit":1,"constructor":{"prototype":{"x":1}}}',
    '\ufeff'.repeat(2)
  ]
  for (const text of unreadable) {
    for (const [method, url] of writes) {
      isProblem(
        t,
        await send(method, `/api/sessions${url}`, text),
        invalid,
        `${method} ${url} ${JSON.stringify(text)}`
      )
    }
    await silent(JSON.stringify(text))
  }
  for (const poison of [
    '{"__proto__":5}',
    '{"alice":5,"__proto__":{"x":1}}',
    '{"constructor":{"prototype":{}}}'
  ]) {
    isProblem(
      t,
      await send('POST', '/api/sessions/limits/bulk', `{"limits":${poison}}`),
      invalid,
      poison
    )
    await silent(poison)
  }
  t.strictSame(Object.keys(Object.prototype), [], 'no prototype was changed')
  for (const cursor of [
    'x',
    'bnVsbA',
    Buffer.from('[0,"99999999999999999999",[]]').toString('base64url')
  ]) {
    for (const list of ['limits', 'counts']) {
      isProblem(
        t,
        await send('GET', `/api/sessions/${list}?cursor=${cursor}`),
        invalid,
        `${list}: a cursor of no list`
      )
      await silent(`cursor ${cursor}`)
    }
  }
  for (const url of [
    '/api/sessions/limits/%',
    '/api/sessions/limits/%zz',
    '/api/sessions/counts/%ff',
    '/api/sessions/limits/%c3%28'
  ]) {
    isProblem(t, await send('GET', url), invalid, url)
    await silent(url)
  }
  t.equal(await own.cli('EXISTS', `${app.config.REDIS_KEY_PREFIX}user-limit:bob`), '0')
})

t.test('random bytes are never answered with a 5xx', async (t) => {
  const send = as(await startOwnApp(t, redis), ADMIN)
  const routes = [...writes, ['POST', '/sweep'] as const]
  for (let i = 0; i < 200; i++) {
    const bytes = randomBytes(1 + i)
    const [method, url] = routes[i % routes.length] ?? writes[0]
    const { status, text } = await send(method, `/api/sessions${url}`, bytes)
    if (status >= 500) t.fail(`${method} ${url} ${bytes.toString('hex')}: ${text}`)
    const kind = i % 2 === 0 ? 'limits' : 'counts'
    const name = encodeURIComponent(bytes.toString('latin1'))
    const read = await send('GET', `/api/sessions/${kind}/${name}`)
    if (read.status >= 500) t.fail(`${bytes.toString('hex')}: ${read.text}`)
    const cursor = bytes.toString('base64url')
    const list = await send(
      'GET',
      `/api/sessions/${i % 2 === 0 ? 'limits' : 'counts'}?cursor=${cursor}`
    )
    if (list.status !== 400) t.fail(`cursor ${cursor}: ${list.status}`)
  }
  t.pass('600 requests')
})
