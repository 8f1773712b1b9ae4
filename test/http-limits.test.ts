import { randomBytes, randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { ADMIN, as, startApp, startAppOn, type Answer, type Claims } from './helpers/app.ts'
import { isBackground, monitorRedis, quiet, type Seen } from './helpers/redis-monitor.ts'
import { startRedis, waitFor } from './helpers/servers.ts'

const redis = await startRedis(t)
const [json, problemJson] = ['application/json; charset=utf-8', 'application/problem+json']
const invalid = { status: 400, code: 'invalid_input' }
const writes = [
  ['PUT', '/limits/bob'],
  ['PUT', '/limits'],
  ['POST', '/limits/bulk'],
  ['POST', '/users/bob/temporary-limit']
] as const
const [alice, viewer, operator] = [
  { sub: 'alice' },
  { sub: 'v', role: 'viewer' },
  { sub: 'o', role: 'operator' }
]

/**
 * The service on the shared Redis, under a key prefix that nobody else has, with no sweep in the
 * background.
 */
async function startOwn (t: Test, env: NodeJS.ProcessEnv = {}): Promise<FastifyInstance> {
  return await startAppOn(t, redis, {
    REDIS_KEY_PREFIX: `${randomUUID()}:`,
    GHOST_SWEEP_INTERVAL_SECONDS: '0',
    ...env
  })
}

interface Expected {
  status: number
  code: string
  errors?: boolean
}

/**
 * Checks that an answer is a problem document, whole and well-formed, and one that gives nothing
 * away.
 */
function isProblem (
  t: Test,
  { status, headers, body, text }: Answer,
  expected: Expected,
  what: string
) {
  const { type, title, detail, errors, ...rest } = (body ?? {}) as Record<string, unknown>
  const places = (errors ?? []) as Array<Record<string, unknown>>
  t.strictSame(
    {
      status,
      type: String(headers['content-type']).split(';')[0],
      ...rest,
      texts: [type, title, detail].map((part) => typeof part === 'string' && part !== ''),
      errors: expected.errors === undefined ? undefined : places.length > 0,
      wrongPlaces: places.filter(
        ({ path, message, ...more }) =>
          !/^(body|params|querystring|headers)/.test(String(path)) ||
          typeof message !== 'string' ||
          Object.keys(more).length > 0
      ),
      stackTrace: /\bat .*\.[tj]s:\d+|node_modules/.test(text)
    },
    {
      status: expected.status,
      type: problemJson,
      code: expected.code,
      texts: [true, true, true],
      errors: expected.errors,
      wrongPlaces: [],
      stackTrace: false
    },
    `${what}: ${expected.status}`
  )
}

const starts = { memory: async (t: Test) => await startApp(t), redis: startOwn }

for (const [store, start] of Object.entries(starts)) {
  t.test(store, async (t) => {
    const send = as(await start(t), ADMIN)

    t.test('every route has its fixed shape', async (t) => {
      /** The very text, as existing clients read it. */
      const answers = async (
        method: 'GET' | 'PUT' | 'POST' | 'DELETE',
        url: string,
        body: object | undefined,
        text: string
      ) => {
        const answer = await send(method, url, body)
        t.strictSame([answer.status, answer.text], [200, text], `${method} ${url}`)
        t.equal(answer.headers['content-type'], json)
      }
      const updated = '{"success":true,"message":"Session limits policy updated"'
      const policy = '"enabled":true,"max_sessions_per_user":5,"session_limit_action":"reject"'

      await answers(
        'GET',
        '/api/sessions/limits',
        undefined,
        `{${policy},"user_limits":{"_default":5}}`
      )
      await answers('GET', '/api/sessions/counts', undefined, '{"counts":{},"total":0}')
      await answers(
        'GET',
        '/api/sessions/counts?count=5',
        undefined,
        '{"counts":{},"total":0,"next_cursor":null}'
      )
      await answers(
        'PUT',
        '/api/sessions/limits/alice',
        { limit: 25 },
        '{"success":true,"username":"alice","limit":25,' +
          '"message":"Session limit for user alice set to 25"}'
      )
      await answers(
        'GET',
        '/api/sessions/limits/alice',
        undefined,
        '{"username":"alice","limit":25,"source":"user","unlimited":false}'
      )
      await answers(
        'GET',
        '/api/sessions/limits',
        undefined,
        `{${policy},"user_limits":{"_default":5,"alice":25}}`
      )
      await answers(
        'GET',
        '/api/sessions/limits?count=10',
        undefined,
        `{${policy},"user_limits":{"_default":5,"alice":25},"next_cursor":null}`
      )
      await answers(
        'GET',
        '/api/sessions/limits?prefix=al',
        undefined,
        `{${policy},"user_limits":{"_default":5,"alice":25}}`
      )
      await answers(
        'GET',
        '/api/sessions/limits?prefix=bo&count=10',
        undefined,
        `{${policy},"user_limits":{"_default":5},"next_cursor":null}`
      )
      await answers(
        'GET',
        '/api/sessions/counts/alice',
        undefined,
        '{"username":"alice","count":0,"limit":25,"available":25,"leases":0,"external":0}'
      )
      await answers(
        'DELETE',
        '/api/sessions/limits/alice',
        undefined,
        '{"success":true,"username":"alice",' +
          '"message":"Session limit for user alice removed (will use default)","removed":true}'
      )
      await answers(
        'DELETE',
        '/api/sessions/limits/alice',
        undefined,
        '{"success":true,"username":"alice",' +
          '"message":"Session limit for user alice removed (will use default)","removed":false}'
      )
      await answers(
        'GET',
        '/api/sessions/limits/alice',
        undefined,
        '{"username":"alice","limit":5,"source":"default","unlimited":false}'
      )

      await answers(
        'POST',
        '/api/sessions/limits/bulk',
        { limits: { alice: 10, bob: 0, carol: null } },
        '{"set":2,"removed":0}'
      )
      await answers(
        'POST',
        '/api/sessions/limits/bulk',
        { limits: { alice: null, bob: 0 } },
        '{"set":1,"removed":1}'
      )
      await answers(
        'GET',
        '/api/sessions/limits/bob',
        undefined,
        '{"username":"bob","limit":0,"source":"user","unlimited":true}'
      )
      await answers(
        'GET',
        '/api/sessions/counts/bob',
        undefined,
        '{"username":"bob","count":0,"limit":0,"available":null,"leases":0,"external":0}'
      )

      await answers(
        'PUT',
        '/api/sessions/limits',
        { max_sessions_per_user: 7 },
        `${updated},"enabled":true,"max_sessions_per_user":7,"session_limit_action":"reject"}`
      )
      await answers(
        'PUT',
        '/api/sessions/limits',
        { enabled: false, session_limit_action: 'observe' },
        `${updated},"enabled":false,"max_sessions_per_user":7,"session_limit_action":"observe"}`
      )
      await answers(
        'GET',
        '/api/sessions/limits/alice',
        undefined,
        '{"username":"alice","limit":7,"source":"default","unlimited":false}'
      )
      await answers(
        'PUT',
        '/api/sessions/limits',
        { enabled: true, max_sessions_per_user: 5, session_limit_action: 'reject' },
        `${updated},${policy}}`
      )
      await answers(
        'POST',
        '/api/sessions/limits/bulk',
        { limits: { alice: null, bob: null } },
        '{"set":0,"removed":1}'
      )
      await answers('POST', '/api/sessions/sweep', undefined, '{"users":0,"removed":0}')
    })

    t.test('a temporary limit has its shape, and an end that fits its duration', async (t) => {
      const url = '/api/sessions/users/alice/temporary-limit'
      const earliest = Date.now() + 3_600_000
      const {
        status,
        body: { expires_at: expiresAt, ...rest }
      } = await send('POST', url, { limit: 2, duration: 3600, reason: 'fraud' })
      t.strictSame([status, rest], [200, { success: true, username: 'alice', limit: 2 }])
      t.match(expiresAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      t.ok(
        Date.parse(expiresAt) >= earliest - 1 && Date.parse(expiresAt) <= Date.now() + 3_600_001,
        expiresAt
      )
      t.strictSame((await send('GET', '/api/sessions/limits/alice')).body, {
        username: 'alice',
        limit: 2,
        source: 'temporary',
        unlimited: false,
        expires_at: expiresAt,
        reason: 'fraud'
      })
      t.match((await send('GET', '/api/sessions/counts/alice')).body, { limit: 2, available: 2 })
      const unlimited = await send('POST', url, { limit: 0, duration: 30 * 24 * 3600 })
      t.equal(unlimited.status, 200, 'thirty days is not too long')
      t.match((await send('GET', '/api/sessions/counts/alice')).body, { limit: 0, available: null })
      t.match(await send('DELETE', url), {
        status: 200,
        body: { success: true, username: 'alice', removed: true }
      })
      t.match(await send('DELETE', url), {
        status: 200,
        body: { success: true, username: 'alice', removed: false }
      })
      t.match((await send('GET', '/api/sessions/limits/alice')).body, {
        limit: 5,
        source: 'default'
      })
    })

    t.test('pages and the whole list agree', async (t) => {
      const limits = Object.fromEntries(
        Array.from({ length: 321 }, (_, i) => [`${'ab'[i % 2]}${i}@example.net`, i])
      )
      await send('POST', '/api/sessions/limits/bulk', { limits })
      for (const prefix of ['', 'a', 'b1', 'a0@example.net', 'c']) {
        const wanted = Object.fromEntries(
          Object.entries(limits).filter(([name]) => name.startsWith(prefix))
        )
        for (const count of [1, 50, 1000]) {
          const got: Array<[string, unknown]> = []
          for (let cursor: string | null = ''; cursor !== null;) {
            const { body } = await send(
              'GET',
              `/api/sessions/limits?count=${count}&prefix=${prefix}&cursor=${cursor}`
            )
            const { _default: byDefault, ...page } = body.user_limits
            if (byDefault !== 5) t.fail(`every page names the default, not ${byDefault}`)
            if (Object.keys(page).length > count) {
              t.fail(`a page of ${count} holds ${Object.keys(page).length}`)
            }
            got.push(...Object.entries(page))
            cursor = body.next_cursor
          }
          t.equal(
            got.length,
            Object.keys(wanted).length,
            `each once in pages of ${count} with prefix ${prefix}`
          )
          t.same(Object.fromEntries(got), wanted)
        }
        t.same(
          (await send('GET', `/api/sessions/limits?prefix=${prefix}`)).body.user_limits,
          { _default: 5, ...wanted },
          'the whole list'
        )
      }
    })

    t.test('a bulk change is all or nothing, up to 10,000', async (t) => {
      const url = '/api/sessions/limits/bulk'
      const many = (n: number) =>
        Object.fromEntries(Array.from({ length: n }, (_, i) => [`${i}-`.padEnd(128, 'u'), i]))
      const before = (await send('GET', '/api/sessions/limits')).body.user_limits
      await send('PUT', '/api/sessions/limits/alice', { limit: 25 })
      for (const [what, limits] of [
        ['a bad limit at the end', { ...many(3), alice: 1, bob: 1.5 }],
        ['a bad name at the end', { ...many(3), alice: null, 'no body': 1 }],
        ['10,001', many(10_001)]
      ] as const) {
        t.equal((await send('POST', url, { limits })).status, 400, what)
        t.same(
          (await send('GET', '/api/sessions/limits')).body.user_limits,
          { ...before, alice: 25 },
          'nothing was changed'
        )
      }
      t.strictSame(
        (await send('POST', url, { limits: many(10_000) })).body,
        { set: 10_000, removed: 0 },
        'as many as may be'
      )
      t.same((await send('GET', '/api/sessions/limits')).body.user_limits, {
        ...before,
        alice: 25,
        ...many(10_000)
      })
    })
  })
}

t.test('who lacks the permission is refused, but may read what is its own', async (t) => {
  const app = await startApp(t)
  const status = async (
    claims: Claims | null,
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    url: string,
    body?: object
  ) => (await as(app, claims)(method, `/api/sessions${url}`, body)).status
  const routes: Array<['GET' | 'PUT' | 'POST' | 'DELETE', string, object | undefined, string]> = [
    ['GET', '/limits', undefined, 'limits:read'],
    ['GET', '/limits/bob', undefined, 'limits:read'],
    ['PUT', '/limits', { enabled: true }, 'policy:write'],
    ['PUT', '/limits/bob', { limit: 1 }, 'limits:write'],
    ['DELETE', '/limits/bob', undefined, 'limits:write'],
    ['POST', '/limits/bulk', { limits: {} }, 'limits:write'],
    ['POST', '/users/bob/temporary-limit', { limit: 1, duration: 1 }, 'limits:write'],
    ['DELETE', '/users/bob/temporary-limit', undefined, 'limits:write'],
    ['GET', '/counts', undefined, 'sessions:read'],
    ['GET', '/counts/bob', undefined, 'sessions:read'],
    ['POST', '/sweep', undefined, 'sessions:write']
  ]
  const all = ['limits:read', 'limits:write', 'sessions:read', 'sessions:write', 'policy:write']
  for (const [method, url, body, permission] of routes) {
    const others = all.filter((other) => other !== permission)
    t.strictSame(
      [
        await status(null, method, url, body),
        await status({ sub: 'alice' }, method, url, body),
        await status({ sub: 'x', permissions: others }, method, url, body),
        await status({ sub: 'x', permissions: [permission] }, method, url, body)
      ],
      [401, 403, 403, 200],
      `${method} ${url} needs ${permission} and nothing else`
    )
  }
  const roles: Record<string, string[]> = {
    admin: all,
    operator: all.slice(0, 4),
    switch: ['limits:read', 'sessions:read', 'sessions:write'],
    viewer: ['limits:read', 'sessions:read'],
    guest: []
  }
  for (const [role, permissions] of Object.entries(roles)) {
    for (const [method, url, body, permission] of routes) {
      const expected = permissions.includes(permission) ? 200 : 403
      t.equal(
        await status({ sub: 'x', role }, method, url, body),
        expected,
        `${role}: ${method} ${url} is ${expected}`
      )
    }
  }
  for (const claims of [
    { sub: 'alice' },
    { username: 'alice' },
    { username: 'alice', role: 'guest' }
  ]) {
    t.equal(await status(claims, 'GET', '/limits/alice'), 200, 'its own limit')
    t.equal(await status(claims, 'GET', '/counts/alice'), 200, 'its own count')
    t.equal(await status(claims, 'GET', '/limits/Alice'), 403, 'but not that of another case')
    t.equal(
      await status(claims, 'PUT', '/limits/alice', { limit: 9 }),
      403,
      'and it may not change it'
    )
    t.equal(await status(claims, 'DELETE', '/limits/alice'), 403)
    t.equal(
      await status(claims, 'POST', '/users/alice/temporary-limit', { limit: 9, duration: 9 }),
      403
    )
  }
})

t.test('refused input is told what is wrong with it, and reaches no Redis command', async (t) => {
  const own = await startRedis(t)
  const app = await startAppOn(t, own, { GHOST_SWEEP_INTERVAL_SECONDS: '0' })
  const send = as(app, ADMIN)
  const monitor = await monitorRedis(t, own)
  const ours = async () => (await monitor.take()).filter((seen) => !isBackground(seen))
  const silent = async (what: string) =>
    t.strictSame(await ours(), [] as Seen[], `${what}: Redis is not asked`)
  await quiet(monitor)
  await send('PUT', '/api/sessions/limits/alice', { limit: 25 })
  t.match(
    await ours(),
    [['SET', `${app.config.REDIS_KEY_PREFIX}user-limit:alice`, '25']],
    'what is accepted is seen'
  )

  const badNames = [
    '_default',
    '__proto__',
    'prototype',
    'constructor',
    'a%20b',
    '%20',
    'a%2Fb',
    'a%0Ab',
    'a%00',
    'a*',
    'a%5Bb%5D',
    'a%3Ab',
    '%7Ba%7D',
    'a%22',
    "a'b",
    '%C3%A4',
    '%F0%9F%98%80',
    'a,b',
    'a;b',
    'a!',
    'a%25',
    '$a',
    'a=b',
    'a&b',
    'a'.repeat(129),
    'sip%3Abob',
    'a%0A',
    '%5F%5Fproto%5F%5F'
  ]
  const named: Array<['GET' | 'PUT' | 'POST' | 'DELETE', (name: string) => string, object?]> = [
    ['GET', (name) => `/limits/${name}`],
    ['PUT', (name) => `/limits/${name}`, { limit: 1 }],
    ['DELETE', (name) => `/limits/${name}`],
    ['POST', (name) => `/users/${name}/temporary-limit`, { limit: 1, duration: 1 }],
    ['DELETE', (name) => `/users/${name}/temporary-limit`],
    ['GET', (name) => `/counts/${name}`]
  ]
  for (const name of badNames) {
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
    ...['_default', 'constructor', 'prototype', 'a b', '', 'a*', 'a'.repeat(129)].map((name) =>
      bulk({ limits: { carol: 1, [name]: 1 } })
    ),
    temporary({ limit: 1 }),
    temporary({ duration: 1 }),
    temporary({ limit: 1, duration: 0 }),
    temporary({ limit: 1, duration: 30 * 24 * 3600 + 1 }),
    temporary({ limit: 1, duration: 1, reason: 5 }),
    temporary({ limit: 1, duration: 1, reason: 'x'.repeat(257) }),
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
        'cursor=a&cursor=b',
        `cursor=${'a'.repeat(12_001)}`,
        'page=1',
        'Count=1',
        '__proto__=1'
      ].map((text) => query(`/${list}?${text}`))
    ),
    ...['a*', 'a%20', '%00', 'a%5B', 'a%3F', 'a:', 'a'.repeat(129), 'a&prefix=b'].map((prefix) =>
      query(`/limits?prefix=${prefix}`)
    ),
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

t.test('whatever bytes are sent, no answer is a 5xx', async (t) => {
  const send = as(await startOwn(t), ADMIN)
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

t.test('who is refused causes no Redis command either', async (t) => {
  const own = await startRedis(t)
  const app = await startAppOn(t, own, { GHOST_SWEEP_INTERVAL_SECONDS: '0' })
  const monitor = await monitorRedis(t, own)
  await quiet(monitor)
  const forged = ['{"alg":"none"}', '{"sub":"a","role":"admin"}', '']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
  const expired = app.jwt.sign({ sub: 'a', role: 'admin', exp: 1 })
  for (const [method, url, body] of [
    ['GET', '/limits'],
    ['PUT', '/limits', { enabled: true }],
    ['GET', '/limits/bob'],
    ['PUT', '/limits/bob', { limit: 1 }],
    ['DELETE', '/limits/bob'],
    ['POST', '/limits/bulk', { limits: { bob: 1 } }],
    ['POST', '/users/bob/temporary-limit', { limit: 1, duration: 9 }],
    ['DELETE', '/users/bob/temporary-limit'],
    ['GET', '/counts'],
    ['GET', '/counts/bob'],
    ['POST', '/sweep']
  ] as Array<['GET' | 'PUT' | 'POST' | 'DELETE', string, object?]>) {
    const path = `/api/sessions${url}`
    const anonymous = await as(app, null)(method, path, body)
    isProblem(
      t,
      anonymous,
      { status: 401, code: 'unauthorized' },
      `${method} ${url} without a token`
    )
    t.match(anonymous.headers['www-authenticate'], /^Bearer/)
    for (const authorization of [
      `Bearer ${forged}`,
      `Bearer ${expired}`,
      'Bearer x',
      'Bearer',
      'Basic YTpi'
    ]) {
      const answer = await as(app, null)(method, path, body, { authorization })
      isProblem(
        t,
        answer,
        { status: 401, code: 'unauthorized' },
        `${method} ${url} ${authorization.slice(0, 20)}`
      )
    }
    isProblem(
      t,
      await as(app, alice)(method, path, body),
      { status: 403, code: 'forbidden' },
      `${method} ${url} of another`
    )
    t.strictSame(
      (await monitor.take()).filter((seen) => !isBackground(seen)),
      [],
      `${method} ${url}`
    )
  }
  const forbidden = { status: 403, code: 'forbidden' }
  isProblem(
    t,
    await as(app, viewer)('PUT', '/api/sessions/limits/bob', 'not JSON at all'),
    forbidden,
    'before its body is read'
  )
  isProblem(
    t,
    await as(app, operator)('PUT', '/api/sessions/limits', { enabled: false }),
    forbidden,
    'an operator and the policy'
  )
  t.strictSame(
    (await monitor.take()).filter((seen) => !isBackground(seen)),
    []
  )
})

t.test(
  'what is not there, not allowed, too large or of another type is a problem document',
  async (t) => {
    const app = await startApp(t)
    const send = as(app, ADMIN)
    for (const url of [
      '/nothing',
      '/api',
      '/api/session',
      '/api/sessions/limits/alice/bob',
      '/api/sessions/limits/bulk/x',
      '/api//sessions/limits',
      '/.env'
    ]) {
      isProblem(t, await send('GET', url), { status: 404, code: 'not_found', errors: false }, url)
      isProblem(
        t,
        await as(app, null)('GET', url),
        { status: 404, code: 'not_found' },
        `${url} without a token`
      )
    }
    for (const [method, url, allow] of [
      ['PATCH', '/limits', /GET, HEAD, PUT$/],
      ['POST', '/limits', /GET, HEAD, PUT$/],
      ['PUT', '/counts', /GET, HEAD$/],
      ['PATCH', '/limits/alice', /^DELETE, GET, HEAD, PUT$/],
      ['POST', '/limits/alice', /^DELETE, GET, HEAD, PUT$/],
      ['POST', '/counts/alice', /^GET, HEAD$/],
      ['DELETE', '/counts/alice', /^GET, HEAD$/],
      ['GET', '/users/alice/temporary-limit', /^DELETE, POST$/],
      ['PUT', '/sweep', /POST$/]
    ] as const) {
      const answer = await send(method, `/api/sessions${url}`)
      isProblem(
        t,
        answer,
        { status: 405, code: 'method_not_allowed', errors: false },
        `${method} ${url}`
      )
      t.match(answer.headers.allow, allow)
    }
    const tooLarge = { status: 413, code: 'payload_too_large' }
    const padded = (bytes: number, text: string) => text.padEnd(bytes)
    const url = '/api/sessions/limits/alice'
    t.equal(
      (await send('PUT', url, padded(64 * 1024, '{"limit":3}'))).status,
      200,
      '64 KiB is not too large'
    )
    isProblem(t, await send('PUT', url, padded(64 * 1024 + 1, '{"limit":4}')), tooLarge, 'a limit')
    isProblem(
      t,
      await send('PUT', '/api/sessions/limits', padded(64 * 1024 + 1, '{"enabled":true}')),
      tooLarge,
      'a policy'
    )
    const bulk = '/api/sessions/limits/bulk'
    t.equal(
      (await send('POST', bulk, padded(2 * 1024 * 1024, '{"limits":{}}'))).status,
      200,
      '2 MiB is not too large in bulk'
    )
    isProblem(
      t,
      await send('POST', bulk, padded(2 * 1024 * 1024 + 1, '{"limits":{}}')),
      tooLarge,
      'a bulk'
    )
    const forms = ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']
    for (const type of ['text/plain', 'text/xml', ...forms, 'application/jsonx', 'x', '']) {
      const answer = await send('PUT', url, '{"limit":5}', { 'content-type': type })
      isProblem(t, answer, { status: 415, code: 'unsupported_media_type' }, `the type "${type}"`)
    }
    t.equal(
      (await send('PUT', url, '{"limit":6}', { 'content-type': 'application/json; charset=utf-8' }))
        .status,
      200
    )
    t.match((await send('GET', url)).body, { limit: 6 }, 'what was refused changed nothing')
    t.equal((await send('HEAD', url)).status, 200)
    t.equal((await send('HEAD', url)).text, '')
  }
)

t.test('without Redis every write is a 503 that says when to try again', async (t) => {
  const own = await startRedis(t)
  const app = await startAppOn(t, own)
  await own.kill()
  await waitFor(() => app.redis.status !== 'ready', { what: 'the service to lose Redis' })
  for (const [method, url, body] of [
    ['PUT', '/limits', { enabled: false }],
    ['PUT', '/limits/bob', { limit: 1 }],
    ['DELETE', '/limits/bob'],
    ['POST', '/limits/bulk', { limits: { bob: 1 } }],
    ['POST', '/users/bob/temporary-limit', { limit: 1, duration: 9 }],
    ['DELETE', '/users/bob/temporary-limit'],
    ['POST', '/sweep']
  ] as Array<['GET' | 'PUT' | 'POST' | 'DELETE', string, object?]>) {
    const answer = await as(app, ADMIN)(method, `/api/sessions${url}`, body)
    isProblem(t, answer, { status: 503, code: 'store_unavailable' }, `${method} ${url}`)
    t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
  }
  t.match(app.policy.current, { enabled: true }, 'a policy that could not be kept is not in force')
})
