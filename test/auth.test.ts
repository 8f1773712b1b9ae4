/**
 * Who may do what: every route of the access table against every way a token can grant, or fail to.
 */
import { createHmac, scryptSync } from 'node:crypto'
import diagnostics from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { Writable } from 'node:stream'
import t, { type Test } from 'tap'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { buildApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import { ACCESS } from '../services/auth/access-table.ts'
import { PERMISSIONS, type Permission } from '../services/auth/permissions.ts'
import { withPermissions } from '../scripts/write-permissions.ts'
import {
  ADMIN,
  type Answer,
  type Claims,
  TEST_SECRET,
  as,
  listen,
  startApp,
  startAppOn,
  tokenFor
} from './helpers/app.ts'
import { sendRaw } from './helpers/raw-http.ts'
import { isBackground, monitorRedis } from './helpers/redis-monitor.ts'
import { startRedis } from './helpers/servers.ts'
import { waitFor } from './helpers/wait.ts'

const alice = '/api/sessions/limits/alice'
const roles: Record<string, readonly Permission[]> = {
  admin: PERMISSIONS,
  operator: ['limits:read', 'limits:write', 'sessions:read', 'sessions:write'],
  switch: ['sessions:read', 'sessions:write', 'limits:read'],
  viewer: ['limits:read', 'sessions:read'],
  nobody: []
}

/** The routes that need a token, with a path that matches their pattern. */
const guarded = Object.entries(ACCESS).flatMap(([route, access]) => {
  const [method = '', pattern = ''] = route.split(' ')
  return access === 'public'
    ? []
    : [{ route, method, path: pattern.replace(/:\w+/g, 'alice'), access }]
})

/** Asks over the wire for the status only, so that a stream that never ends is no trouble. */
async function statusOf (
  base: string,
  method: string,
  path: string,
  headers: Record<string, string> = {}
): Promise<number> {
  const done = new AbortController()
  const body = ['POST', 'PUT', 'PATCH'].includes(method) ? { body: '{}' } : {}
  const response = await fetch(base + path, {
    method,
    headers: { ...('body' in body && { 'content-type': 'application/json' }), ...headers },
    ...body,
    signal: done.signal,
    redirect: 'manual'
  })
  done.abort()
  return response.status
}

function bearer (token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}

/**
 * A token made by hand, as an attacker would; valid for an hour unless its claims say otherwise.
 */
function forged (header: unknown, payload: unknown, secret = TEST_SECRET, hash = 'sha256'): string {
  const part = (value: unknown) =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + 3600
  const claims = typeof payload === 'object' ? { exp, ...payload } : payload
  const input = `${part(header)}.${part(claims)}`
  return `${input}.${createHmac(hash, secret).update(input).digest('base64url')}`
}

function isUnauthorized (t: Test, { status, headers, body }: Answer, what: string): void {
  t.match(
    { status, headers, body },
    {
      status: 401,
      headers: { 'www-authenticate': 'Bearer', 'content-type': /^application\/problem\+json/ },
      body: { status: 401, code: 'unauthorized' }
    },
    what
  )
}

t.test('every route of the access table', async (t) => {
  const app = await startApp(t)
  const base = await listen(app)
  const status = async (
    { method, path }: (typeof guarded)[number],
    claims: Claims
  ): Promise<number> => await statusOf(base, method, path, bearer(tokenFor(app, claims)))
  const isLetIn = (status: number) => status !== 401 && status !== 403 && status < 500

  t.test('public ones need no token, and a bad one does no harm', async (t) => {
    for (const route of Object.keys(ACCESS).filter((route) => ACCESS[route] === 'public')) {
      const [method = '', path = ''] = route.split(' ')
      t.ok(isLetIn(await statusOf(base, method, path)), route)
      t.ok(
        isLetIn(await statusOf(base, method, path, bearer('garbage'))),
        `${route} with a bad token`
      )
    }
    t.equal(await statusOf(base, 'GET', '/docs/'), 200, 'the documentation')
  })

  t.test('the others are 401 without a token', async (t) => {
    for (const { route, method, path } of guarded) {
      t.equal(await statusOf(base, method, path), 401, route)
    }
  })

  t.test('each permission, by whatever claim, opens what needs it and nothing else', async (t) => {
    const claims: Array<(permissions: readonly Permission[]) => Claims> = [
      (permissions) => ({ sub: 'x', permissions }),
      (permissions) => ({ sub: 'x', scope: permissions.join(' ') })
    ]
    for (const one of guarded) {
      const {
        route,
        access: { permission }
      } = one
      const others = PERMISSIONS.filter((other) => other !== permission)
      for (const claim of claims) {
        t.ok(isLetIn(await status(one, claim([permission]))), `${route} with ${permission} alone`)
        t.equal(await status(one, claim(others)), 403, `${route} with all but ${permission}`)
      }
      if (one.method === 'GET') {
        t.equal(
          await statusOf(base, 'HEAD', one.path, bearer(tokenFor(app, { permissions: others }))),
          403,
          `HEAD ${one.path}`
        )
      }
    }
  })

  t.test('each role opens what its permissions do', async (t) => {
    for (const [role, permissions] of Object.entries(roles)) {
      for (const one of guarded) {
        const expected = permissions.includes(one.access.permission)
        for (const claims of [
          { sub: 'x', role },
          { sub: 'x', roles: [role] },
          { sub: 'x', roles: ['unknown', role] }
        ]) {
          const actual = await status(one, claims)
          t.ok(
            expected ? isLetIn(actual) : actual === 403,
            `${JSON.stringify(claims)} ${one.route}: ${actual}`
          )
        }
      }
    }
  })

  t.test('a caller without permissions reads its own data and nothing else', async (t) => {
    for (const one of guarded) {
      const { ownData } = one.access
      const query = ownData === 'query' ? '?username=alice' : ''
      for (const claims of [
        { sub: 'alice' },
        { username: 'alice' },
        { username: 'alice', role: 'user' }
      ]) {
        const actual = await status({ ...one, path: one.path + query }, claims)
        t.ok(
          ownData !== undefined ? isLetIn(actual) : actual === 403,
          `${JSON.stringify(claims)} ${one.route}: ${actual}`
        )
      }
      for (const claims of [
        { sub: 'Alice' },
        { sub: 'bob' },
        { sub: 'bob', username: 'alice' },
        {},
        { sub: '' },
        { sub: ['alice'] },
        { sub: 5 }
      ]) {
        t.equal(
          await status({ ...one, path: one.path + query }, claims),
          403,
          `${JSON.stringify(claims)} ${one.route}`
        )
      }
      for (const query of [
        '',
        '?username=bob',
        '?username=alice&username=bob',
        '?username[]=alice',
        '?user=alice'
      ]) {
        if (ownData !== 'params') {
          t.equal(
            await status({ ...one, path: one.path + query }, { sub: 'alice' }),
            403,
            one.route + query
          )
        }
      }
    }
    t.equal(
      await statusOf(
        base,
        'GET',
        '/api/sessions/limits/%61lice',
        bearer(tokenFor(app, { sub: 'alice' }))
      ),
      200,
      'however it is written'
    )
    t.equal(
      await statusOf(
        base,
        'GET',
        '/api/sessions/counts/alice',
        bearer(tokenFor(app, { sub: 'alice' }))
      ),
      200,
      'its count'
    )
    t.equal(
      await statusOf(
        base,
        'GET',
        '/api/sessions/limits/__proto__',
        bearer(tokenFor(app, { sub: '__proto__' }))
      ),
      400
    )
    t.equal(
      await statusOf(
        base,
        'GET',
        '/api/sessions/limits?prefix=alice',
        bearer(tokenFor(app, { sub: 'alice' }))
      ),
      403,
      'no lists'
    )
  })

  t.test('what is not understood grants nothing', async (t) => {
    for (const claims of [
      { role: 'Admin' },
      { role: 'admin ' },
      { role: ['nobody'] },
      { role: { admin: true } },
      { role: true },
      { roles: 'admins' },
      { roles: { 0: 'admin' } },
      { permissions: 'limits' },
      { permissions: ['*'] },
      { permissions: ['limits:*'] },
      { permissions: { 'limits:read': true } },
      { permissions: [['limits:read']] },
      { scope: ['limits:read'] },
      { scope: 'limits:readx' },
      { scope: 'limits:read,sessions:read' },
      { role: '__proto__' },
      { role: 'constructor' },
      { admin: true },
      { isAdmin: true }
    ]) {
      t.equal(
        await statusOf(base, 'GET', '/api/sessions/limits', bearer(tokenFor(app, claims))),
        403,
        JSON.stringify(claims)
      )
    }
  })

  t.test('claims add up', async (t) => {
    const token = tokenFor(app, {
      role: 'viewer',
      permissions: ['policy:write', 'nonsense'],
      scope: 'limits:write unknown'
    })
    t.equal(await statusOf(base, 'GET', '/api/sessions/limits', bearer(token)), 200)
    t.equal(await statusOf(base, 'PUT', '/api/sessions/limits', bearer(token)), 400)
    t.equal(await statusOf(base, 'PUT', alice, bearer(token)), 400)
    t.equal(await statusOf(base, 'POST', '/api/sessions/sweep', bearer(token)), 403)
  })

  t.test('a 403 is a problem document that says what is missing', async (t) => {
    t.match(await as(app, { sub: 'x', role: 'viewer' })('PUT', alice, { limit: 5 }), {
      status: 403,
      headers: { 'content-type': /^application\/problem\+json/ },
      body: {
        status: 403,
        code: 'forbidden',
        detail: /limits:write/
      }
    })
  })

  t.test('a method that a path lacks is no way around', async (t) => {
    t.equal(await statusOf(base, 'PATCH', alice), 405)
    t.equal(await statusOf(base, 'GET', '/api/sessions/limits/alice/', {}), 404)
    t.equal(await statusOf(base, 'GET', '/api/sessions/limits?x=/healthz/live', {}), 401)
    t.equal(await statusOf(base, 'GET', '/docs/..%2fapi/sessions/limits', {}), 404)
  })
})

t.test('tokens', async (t) => {
  const app = await startApp(t)
  const base = await listen(app)
  const ask = async (authorization: string): Promise<Answer> =>
    await as(app, null)('GET', alice, undefined, { authorization })
  const now = Math.floor(Date.now() / 1000)
  const hs256 = { alg: 'HS256', typ: 'JWT' }

  t.test('what does not verify is 401, never 500', async (t) => {
    const good = tokenFor(app, ADMIN)
    const [header, payload, signature] = good.split('.') as [string, string, string]
    const tokens = {
      garbage: 'garbage',
      nothing: '',
      dots: '..',
      'four parts': `${good}.x`,
      'a cut signature': good.slice(0, -2),
      'no signature': `${header}.${payload}.`,
      'another payload': [
        header, Buffer.from('{"role":"admin","sub":"y"}').toString('base64url'), signature
      ].join('.'),
      'alg none': `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`,
      'alg none, signed': forged({ alg: 'none' }, ADMIN),
      'alg None': `${Buffer.from('{"alg":"None"}').toString('base64url')}.${payload}.${signature}`,
      'no alg': forged({ typ: 'JWT' }, ADMIN),
      HS512: forged({ alg: 'HS512' }, ADMIN, TEST_SECRET, 'sha512'),
      HS384: forged({ alg: 'HS384' }, ADMIN, TEST_SECRET, 'sha384'),
      RS256: forged({ alg: 'RS256' }, ADMIN),
      ES256: forged({ alg: 'ES256', kid: 'x' }, ADMIN),
      'alg of another type': forged({ alg: ['HS256'] }, ADMIN),
      'a wrong secret': forged(hs256, ADMIN, `${TEST_SECRET}!`),
      'an empty secret': forged(hs256, ADMIN, ''),
      'a key in the header': forged({ ...hs256, jwk: { kty: 'oct', k: 'eA' } }, ADMIN, 'x'),
      'an unknown critical header': forged({ ...hs256, crit: ['x'], x: 1 }, ADMIN),
      expired: forged(hs256, { ...ADMIN, exp: now - 6 }),
      'without exp': forged(hs256, { ...ADMIN, exp: undefined }),
      'exp of text': forged(hs256, { ...ADMIN, exp: String(now + 60) }),
      'exp of null': forged(hs256, { ...ADMIN, exp: null }),
      'several exp': forged(hs256, { ...ADMIN, exp: [now + 60] }),
      'not yet valid': forged(hs256, { ...ADMIN, nbf: now + 60 }),
      'exp of another type': forged(hs256, { ...ADMIN, exp: 'never' }),
      'a payload of text': forged(hs256, '"admin"'),
      'a payload of null': forged(hs256, 'null'),
      'a payload that is no JSON': forged(hs256, '{'),
      'a payload that is an array': forged(hs256, '[{"role":"admin"}]').replace(/^/, 'x'),
      'a header that is no JSON': forged('{', ADMIN),
      'ten thousand characters': 'e'.repeat(10_000)
    }
    for (const [what, token] of Object.entries(tokens)) {
      isUnauthorized(t, await ask(`Bearer ${token}`), what)
    }
    for (const authorization of [
      good,
      `Basic ${good}`,
      `Bearer${good}`,
      `Token ${good}`,
      `Bearer ${good} x`,
      `Bearer: ${good}`,
      'Bearer',
      'Bearer ',
      `Bearer "${good}"`
    ]) {
      isUnauthorized(t, await ask(authorization), authorization.replaceAll(good, '…'))
    }
    isUnauthorized(t, await as(app, null)('GET', alice), 'no header')
    t.equal((await ask(`Bearer ${good}`)).status, 200, 'and a good one is good still')
  })

  t.test('a verdict is not remembered beyond the end of the token', async (t) => {
    // The tolerance of five seconds is added to its end.
    const end = Math.floor(Date.now() / 1000) - 3
    const token = forged(hs256, { ...ADMIN, exp: end })
    t.equal((await ask(`Bearer ${token}`)).status, 200)
    await waitFor(async () => (await ask(`Bearer ${token}`)).status === 401, {
      what: 'the end of the token',
      deadlineMs: 6_000
    })
    t.ok(Date.now() > (end + 5) * 1000, 'accepted until its end')
  })

  t.test('a token elsewhere than in the one header counts for nothing', async (t) => {
    const token = tokenFor(app, ADMIN)
    for (const query of [
      `token=${token}`,
      `access_token=${token}`,
      `authorization=Bearer%20${token}`
    ]) {
      isUnauthorized(t, await as(app, null)('GET', `${alice}?${query}`), 'in the query')
    }
    isUnauthorized(
      t,
      await as(app, null)('GET', alice, undefined, { cookie: `token=${token}` }),
      'in a cookie'
    )
    isUnauthorized(
      t,
      await as(app, null)('GET', alice, undefined, { 'x-access-token': token }),
      'in another header'
    )
    isUnauthorized(
      t,
      await as(app, null)('GET', alice, undefined, { 'proxy-authorization': `Bearer ${token}` }),
      'for a proxy'
    )
    const port = Number(new URL(base).port)
    const [one, other] = [`Authorization: Bearer ${token}\r\n`, 'Authorization: Bearer garbage\r\n']
    for (const headers of [one + other, other + one, one + one, one + other.toLowerCase()]) {
      t.equal(
        (
          await sendRaw(
            port,
            `GET ${alice} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`
          )
        ).status,
        401,
        'two headers'
      )
    }
    t.equal(
      (await sendRaw(port, `GET ${alice} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${one}\r\n`))
        .status,
      200,
      'one header'
    )
  })

  t.test('tokens as the web console and the switch sign them are accepted', async (t) => {
    for (const [payload, status] of [
      [{ id: 1, username: 'admin', role: 'admin', iat: now, exp: now + 86_400 }, 200],
      [{ id: 7, username: 'alice', role: 'user' }, 200],
      [{ id: 8, username: 'bob', role: 'viewer' }, 200],
      [
        {
          id: 8,
          username: 'bob',
          role: 'user'
        },
        403
      ],
      [{ sub: 'b2bua-1', role: 'switch' }, 200]
    ] as const) {
      t.equal(
        (await ask(`Bearer ${forged(hs256, payload)}`)).status,
        status,
        JSON.stringify(payload)
      )
      t.equal(
        (await ask(`bearer ${forged(hs256, payload)}`)).status,
        status,
        'the scheme in any case'
      )
    }
  })

  t.test('a 401 or 403 reaches no store, whatever the route', async (t) => {
    const redis = await startRedis(t)
    const app = await startApp(t, { REDIS_URL: redis.url })
    const monitor = await monitorRedis(t, redis)
    t.equal((await as(app, ADMIN)('PUT', alice, { limit: 3 })).status, 200)
    t.ok(
      (await monitor.take()).some(([name]) => name === 'SET'),
      'what is let in is seen'
    )
    for (const {
      method,
      path,
      access: { permission }
    } of guarded) {
      const body = method === 'PUT' || method === 'POST' ? { limit: 9 } : undefined
      const others = PERMISSIONS.filter((other) => other !== permission)
      for (const [claims, expected] of [
        [null, 401],
        [{ sub: 'x' }, 403],
        [{ sub: 'x', permissions: others }, 403]
      ] as const) {
        t.equal(
          (await as(app, claims)(method as 'GET', path, body)).status,
          expected,
          `${method} ${path} ${JSON.stringify(claims)}`
        )
      }
    }
    // What was sent and not waited for comes before this on its connection.
    await app.redis.ping()
    t.same(
      (await monitor.take()).filter((seen) => !isBackground(seen)),
      []
    )
  })
})

t.test('issuer and audience, where the settings name them', async (t) => {
  const app = await startApp(t, { JWT_ISSUER: 'voice-ferry', JWT_AUDIENCE: 'limits' })
  const status = async (claims: Claims): Promise<number> =>
    (
      await as(app, null)(
        'GET',
        alice,
        undefined,
        bearer(forged({ alg: 'HS256' }, { ...ADMIN, ...claims }))
      )
    ).status
  for (const claims of [
    { iss: 'voice-ferry', aud: 'limits' },
    {
      iss: 'voice-ferry',
      aud: ['other', 'limits']
    }
  ]) { t.equal(await status(claims), 200) }
  for (const claims of [
    {},
    { iss: 'voice-ferry' },
    { aud: 'limits' },
    { iss: 'other', aud: 'limits' },
    { iss: 'voice-ferry', aud: 'other' },
    { iss: ['voice-ferry'], aud: 'limits' },
    { iss: 'voice-ferry', aud: [] },
    { iss: 'voice-ferry', aud: 5 },
    { iss: 'voice-ferry ', aud: 'limits' },
    { iss: null, aud: null }
  ]) { t.equal(await status(claims), 401, JSON.stringify(claims)) }
  t.equal((await as(app, ADMIN)('GET', alice)).status, 200, 'tokens of our own name both')

  const issuerOnly = await startApp(t, { JWT_ISSUER: 'voice-ferry' })
  const token = forged({ alg: 'HS256' }, { ...ADMIN, iss: 'voice-ferry', aud: 'any' })
  t.equal((await as(issuerOnly, null)('GET', alice, undefined, bearer(token))).status, 200)
})

t.test('the router and the table name the same routes', async (t) => {
  const routes: RouteOptions[] = []
  // Fastify tells of every instance that it makes, so that no route can be registered before this
  // listens.
  const listen = (message: unknown): void => {
    ;(message as { fastify: FastifyInstance }).fastify.addHook('onRoute', (route) => {
      routes.push(route)
    })
  }
  diagnostics.subscribe('fastify.initialization', listen)
  const salt = 'A'.repeat(22)
  const app = await startApp(t, {
    ADMIN_USERNAME: 'root',
    ADMIN_PASSWORD_HASH: `$scrypt$ln=14,r=8,p=1$${salt}$${salt}`
  })
  diagnostics.unsubscribe('fastify.initialization', listen)
  const seen = new Set<string>()
  for (const route of routes) {
    for (const method of [route.method].flat()) {
      const name = `${method === 'HEAD' ? 'GET' : method} ${route.url}`
      const { access } = route.config as { access?: unknown }
      if (name in ACCESS) {
        seen.add(name)
        t.strictSame(access, ACCESS[name], `${method} ${route.url} needs what the table says`)
      } else {
        const { statusCode } = await app.inject({
          method: method as 'GET',
          url: route.url.replace(/:\w+/g, 'alice'),
          ...(method === 'QUERY' && { payload: {} })
        })
        t.equal(statusCode, 405, `${name} is not in the table, and does nothing`)
      }
    }
  }
  t.strictSame([...seen].sort(), Object.keys(ACCESS).sort(), 'every entry has a route')
})

t.test('docs/security.md says what the table says', async (t) => {
  const text = readFileSync(new URL('../docs/security.md', import.meta.url), 'utf8')
  t.equal(text, withPermissions(text), 'run `npm run permissions` and commit what it writes')
  for (const route of Object.keys(ACCESS)) t.ok(text.includes(`| \`${route}\` |`), route)
})

t.test("nobody reads what is another's, however it is asked for", async (t) => {
  const app = await startApp(t)
  const admin = as(app, ADMIN)
  await admin('PUT', '/api/sessions/limits/bob', { limit: 77 })
  await admin('POST', '/api/sessions', { username: 'bob', session_id: 'call-of-bob' })
  const base = await listen(app)
  const headers = bearer(tokenFor(app, { sub: 'alice' }))
  const paths = [
    'limits/bob?username=alice',
    'counts/bob?username=alice',
    'users/bob?username=alice',
    'limits/BOB',
    'limits/%62ob',
    'limits/%62%6f%62',
    'limits/alice%2F..%2Fbob',
    'limits/alice/../bob',
    'limits/..%2Flimits%2Fbob',
    'limits/%2562ob',
    'limits/bob%00',
    'limits/alice%00bob',
    'limits/alice;bob',
    'limits/alice,bob',
    'limits/alice%0d%0abob',
    'users/bob',
    'users/%62ob',
    'users',
    'counts',
    'limits',
    'active',
    'call-of-bob',
    'nodes',
    'active?username=bob',
    'active?username=alice&username=bob',
    'active?username=bob&username=alice',
    'active?username[]=alice&username[]=bob',
    'active?username[0]=bob',
    'active?username=alice&USERNAME=bob',
    'active?username=alice&username%5B%5D=bob',
    'active?%75sername=bob',
    'active?username=alice,bob',
    'active?username=alice%00',
    'active?username=alice%26username=bob',
    'active?username=',
    'active?username',
    'active?Username=alice',
    'active?username=alice%20',
    'active?username=*',
    'active?username=alice&username=alice',
    'active?username=alice;username=bob'
  ]
  for (const path of paths) {
    const response = await fetch(`${base}/api/sessions/${path}`, { headers })
    t.ok([400, 403, 404].includes(response.status), `${path}: ${response.status}`)
    t.notMatch(await response.text(), /77|call-of-bob/, path)
  }
  t.equal(
    (await fetch(`${base}/api/sessions/active?%75sername=alice`, { headers })).status,
    200,
    'its own it does read'
  )
})

/** A body for each route that changes sessions, about the session `id` of alice on a node. */
const changes: Record<string, (id: string, node: string) => object | undefined> = {
  'POST /api/sessions': (id) => ({ username: 'alice', session_id: id }),
  'POST /api/sessions/renew': (id) => ({
    sessions: [
      { session_id: `${id}-new`, username: 'alice' },
      { session_id: id, username: 'alice' }
    ]
  }),
  'POST /api/sessions/:session_id/renew': () => ({ username: 'alice' }),
  'DELETE /api/sessions/:session_id': () => undefined,
  'PUT /api/sessions/nodes/:node': (id) => ({
    epoch: 1,
    sessions: [{ session_id: id, username: 'alice' }]
  }),
  'DELETE /api/sessions/users/:username/sessions': () => undefined,
  'POST /api/sessions/sweep': () => undefined
}

t.test('with BIND_NODES a token of a switch node', async (t) => {
  const redis = await startRedis(t)
  const app = await startAppOn(t, redis, {
    BIND_NODES: 'true',
    MAX_SESSIONS_PER_USER: '0',
    GHOST_SWEEP_INTERVAL_SECONDS: '0'
  })
  const of = (claims: Claims) => as(app, { sub: 'sw', role: 'switch', ...claims })
  const [a, b, unbound] = [of({ node: 'pbx-a' }), of({ node: 'pbx-b' }), of({})]
  const change = async (send: typeof a, route: string, id: string, node: string) => {
    const [method, pattern = ''] = route.split(' ')
    const path = pattern
      .replace(':session_id', id)
      .replace(':node', node)
      .replace(':username', 'alice')
    return await send(method as 'GET', path, changes[route]?.(id, node))
  }
  const routes = Object.entries(ACCESS).flatMap(([route, access]) =>
    access !== 'public' && 'changes' in access ? [{ route, changes: access.changes }] : []
  )
  t.strictSame(
    routes.map(({ route }) => route).sort(),
    Object.keys(changes).sort(),
    'every route that changes sessions is tried'
  )

  t.test('takes sessions for its node, whether it names it or not', async (t) => {
    for (const [body, status, node] of [
      [{ session_id: 'a-1' }, 201, 'pbx-a'],
      [{ session_id: 'a-2', node: 'pbx-a' }, 201, 'pbx-a'],
      [{ session_id: 'a-3', node: 'pbx-b' }, 403],
      [{ session_id: 'a-3', node: 'PBX-A' }, 403],
      [{ session_id: 'a-3', node: 'pbx-b', emergency: true }, 403]
    ] as const) {
      const answer = await a('POST', '/api/sessions', { username: 'alice', ...body })
      t.match(
        answer,
        {
          status,
          body: status === 201 ? { session: { node } } : { code: 'forbidden', detail: /pbx-a/ }
        },
        JSON.stringify(body)
      )
    }
    t.match(await a('POST', '/api/sessions/a-4/renew', { username: 'alice' }), {
      status: 200,
      body: { session: { node: 'pbx-a' } }
    })
    await a('POST', '/api/sessions/renew', { sessions: [{ session_id: 'a-5', username: 'alice' }] })
    t.match(
      await a('GET', '/api/sessions/a-5'),
      { body: { node: 'pbx-a' } },
      'and so do renewals of what was unknown'
    )
  })

  t.test('changes nothing of another node, and its own as ever', async (t) => {
    await unbound('POST', '/api/sessions', { username: 'alice', session_id: 'free' })
    for (const { route, changes } of routes) {
      const before = (await a('GET', '/api/sessions/active?username=alice')).text
      for (const [id, node] of [
        ['a-1', 'pbx-a'],
        ['a-1', 'pbx-b'],
        ['free', 'pbx-b']
      ] as const) {
        const { status } = await change(b, route, id, node)
        t.equal(status, 403, `${route} ${id} ${node}`)
      }
      t.equal(
        (await a('GET', '/api/sessions/active?username=alice')).text,
        before,
        `${route} changed nothing`
      )
      if (changes === 'any') {
        t.equal(
          (await change(a, route, 'a-1', 'pbx-a')).status,
          403,
          `${route} reaches beyond any node`
        )
      }
    }
    for (const { route, changes } of routes) {
      if (changes === 'any') continue
      await a('POST', '/api/sessions', {
        username: 'alice',
        session_id: `mine ${route}`.replace(/\W/g, '-')
      })
      const { status } = await change(a, route, `mine ${route}`.replace(/\W/g, '-'), 'pbx-a')
      t.equal(status, 200, route)
    }
    t.match(
      await a('DELETE', '/api/sessions/nobodys'),
      { status: 200, body: { released: false } },
      "what is not up is nobody's"
    )
  })

  t.test('takes over what the switch recorded itself, which names no node', async (t) => {
    const external = {
      session_id: 'ext-1',
      call_id: 'c',
      username: 'carol',
      from_uri: '',
      to_uri: '',
      status: 'active',
      created_at: 1,
      last_activity: 1
    }
    await app.redis.set('voice-ferry-c4:session:ext-1', JSON.stringify(external), 'EX', 60)
    await app.redis.sadd('voice-ferry-c4:user-sessions:carol', 'ext-1')
    t.equal(
      (await a('POST', '/api/sessions', { username: 'carol', session_id: 'ext-1' })).status,
      201
    )
    t.equal(
      (await b('DELETE', '/api/sessions/ext-1?username=carol')).status,
      403,
      'and has it then'
    )
  })

  t.test('that is not of a form that names a node changes nothing', async (t) => {
    for (const node of [
      '',
      null,
      5,
      true,
      ['pbx-a'],
      { name: 'pbx-a' },
      'pbx-a ',
      'pbx-a\npbx-b',
      '*'
    ]) {
      for (const { route } of routes) {
        t.equal(
          (await change(of({ node }), route, 'any', 'pbx-a')).status,
          403,
          `${JSON.stringify(node)} ${route}`
        )
      }
    }
  })

  t.test('costs one look, and other tokens none', async (t) => {
    const monitor = await monitorRedis(t, redis)
    const commands = async (send: typeof a, session_id: string, node?: string) => {
      await monitor.take()
      await send('POST', '/api/sessions', {
        username: 'dave',
        session_id,
        ...(node !== undefined && { node })
      })
      return await monitor.take()
    }
    // Only a look at one session reads what the switch has of it.
    const looks = async (...request: Parameters<typeof commands>) =>
      (await commands(...request)).filter(
        ([, key]) => key === `voice-ferry-c4:session:${request[1]}`
      ).length
    t.equal(await looks(unbound, 'd-1', 'pbx-a'), 0)
    t.equal(await looks(a, 'd-2'), 1)
    t.same(
      (await commands(a, 'd-3', 'pbx-b')).filter((seen) => !isBackground(seen)),
      [],
      'nothing for what is refused'
    )
  })

  t.test('is let in as ever while Redis is away, but not to what is known of others', async (t) => {
    await unbound('POST', '/api/sessions', {
      username: 'alice',
      session_id: 'known',
      node: 'pbx-a'
    })
    await redis.stop()
    t.match(await b('POST', '/api/sessions', { username: 'erin', session_id: 'away-1' }), {
      status: 201,
      body: { degraded: true }
    })
    t.equal((await b('DELETE', '/api/sessions/known?username=alice')).status, 403)
  })
})

t.test('without BIND_NODES a node claim binds nobody', async (t) => {
  const app = await startApp(t)
  const send = as(app, { sub: 'sw', role: 'switch', node: 'pbx-a' })
  t.match(
    await send('POST', '/api/sessions', { username: 'alice', session_id: 'x', node: 'pbx-b' }),
    { status: 201, body: { session: { node: 'pbx-b' } } }
  )
  t.match(await send('POST', '/api/sessions', { username: 'alice', session_id: 'y' }), {
    status: 201,
    body: { session: { node: null } }
  })
  t.equal((await send('DELETE', '/api/sessions/users/alice/sessions')).status, 200)
})

t.test('a route that is not in the table fails the start', async (t) => {
  const build = async (): Promise<FastifyInstance> => {
    const app = await buildApp(loadConfig({ LOG_LEVEL: 'silent' }), TEST_SECRET)
    t.teardown(async () => await app.close())
    return app
  }
  const [one, other] = [await build(), await build()]
  t.throws(
    () => one.get('/api/sessions/unguarded', async () => 'open'),
    /GET \/api\/sessions\/unguarded is not in the access table/
  )
  await t.rejects(
    async () =>
      await other.register(async (scope) => {
        scope.post('/unguarded', async () => 'open')
      }),
    /not in the access table/
  )
})

t.test('logging in', async (t) => {
  const password = 'correct horse battery staple'
  const salt = Buffer.from('a salt of tests!')
  const text = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  const key = scryptSync(password, salt, 32, { N: 2 ** 14, r: 8, p: 1 })
  const hash = `$scrypt$ln=14,r=8,p=1$${text(salt)}$${text(key)}`
  const env = { ADMIN_USERNAME: 'root', ADMIN_PASSWORD_HASH: hash }
  const url = '/api/auth/login'

  t.test('gives a token that works', async (t) => {
    const app = await startApp(t, { ...env, LOGIN_TOKEN_SECONDS: '120' })
    const { status, body } = await as(app, null)('POST', url, { username: 'root', password })
    t.match(
      { status, body },
      {
        status: 200,
        body: {
          success: true,
          user: { username: 'root', role: 'admin' },
          expiresIn: 120,
          token: String
        }
      }
    )
    t.equal(
      (
        await as(app, null)(
          'PUT',
          '/api/sessions/limits',
          { max_sessions_per_user: 9 },
          bearer(body.token)
        )
      ).status,
      200
    )
    const { iat, exp, sub, role } = app.jwt.decode<{
      iat: number
      exp: number
      sub: string
      role: string
    }>(body.token) ?? {
      iat: 0,
      exp: 0
    }
    t.match({ for: exp - iat, sub, role }, { for: 120, sub: 'root', role: 'admin' })
  })

  t.test('with a wrong password is 401, the same as with an unknown name', async (t) => {
    const app = await startApp(t, env)
    const wrong = await as(app, null)('POST', url, { username: 'root', password: 'wrong' })
    const unknown = await as(app, null)('POST', url, { username: 'nobody', password })
    t.match(wrong, {
      status: 401,
      body: { code: 'invalid_credentials' },
      headers: { 'content-type': /^application\/problem\+json/ }
    })
    t.equal(unknown.text, wrong.text)
    t.equal((await as(app, null)('POST', url, { username: 'ROOT', password })).status, 401)
  })

  t.test('is 404 where it is not configured, and the settings go together', async (t) => {
    t.equal(
      (await as(await startApp(t), null)('POST', url, { username: 'root', password })).status,
      404
    )
    t.throws(() => loadConfig({ ADMIN_USERNAME: 'root' }), {
      message: /^ADMIN_PASSWORD_HASH: must be set too/
    })
    t.throws(() => loadConfig({ ADMIN_PASSWORD_HASH: hash }), {
      message: /^ADMIN_USERNAME: must be set too/
    })
    t.throws(() => loadConfig({ ...env, ADMIN_PASSWORD_HASH: '$scrypt$ln=4,r=8,p=1$x$y' }), {
      message: /^ADMIN_PASSWORD_HASH: /
    })
    t.throws(() => loadConfig({ ...env, ADMIN_PASSWORD_HASH: password }), {
      message: /^ADMIN_PASSWORD_HASH: (?!.*correct horse)/
    })
  })

  t.test('with a body that is none is 400', async (t) => {
    const send = as(await startApp(t, env), null)
    for (const body of [
      {},
      { username: 'root' },
      { password },
      { username: 'root', password: '' },
      { username: '', password },
      { username: 5, password },
      { username: 'root', password: [password] },
      { username: { $ne: null }, password: { $ne: null } },
      {
        username: 'root',
        password,
        extra: 1
      },
      { username: 'r'.repeat(129), password },
      { username: 'root', password: 'p'.repeat(1025) },
      '{',
      '',
      'null',
      '[]'
    ]) {
      const answer = await send('POST', url, body)
      t.match(
        answer,
        { status: 400, body: { code: 'invalid_input' } },
        JSON.stringify(body).slice(0, 60)
      )
      t.notMatch(answer.text, password)
    }
    t.equal(
      (
        await send('POST', url, `username=root&password=${password}`, {
          'content-type': 'application/x-www-form-urlencoded'
        })
      ).status,
      415
    )
    t.equal((await send('GET', url)).status, 405)
  })

  t.test('is slowed down by account, whatever the address says', async (t) => {
    const send = as(await startApp(t, env), null)
    const guess = async (i: number): Promise<Answer> =>
      await send(
        'POST',
        url,
        { username: 'root', password: `guess ${i}` },
        {
          'x-forwarded-for': `192.0.2.${i}`,
          forwarded: `for=192.0.2.${i}`,
          'x-real-ip': `192.0.2.${i}`
        }
      )
    const answers = []
    for (let i = 0; i < 7; i++) answers.push(await guess(i))
    t.same(
      answers.map(({ status }) => status),
      [401, 401, 401, 401, 401, 429, 429]
    )
    const last = answers.at(-1)
    t.match(last, {
      headers: { 'content-type': /^application\/problem\+json/ },
      body: { code: 'too_many_requests' }
    })
    const retryAfter = Number(last?.headers['retry-after'])
    t.ok(retryAfter >= 1 && retryAfter <= 60, `Retry-After: ${retryAfter}`)
    t.equal(
      (await send('POST', url, { username: 'root', password })).status,
      429,
      'the right password does not help either'
    )
  })

  t.test('is slowed down by address, whatever the account', async (t) => {
    const app = await startApp(t, env)
    const statuses = []
    for (let i = 0; i < 12; i++) {
      statuses.push(
        (
          await as(app, null)(
            'POST',
            url,
            { username: `user${i}`, password: 'guess' },
            { 'x-forwarded-for': `192.0.2.${i}` }
          )
        ).status
      )
    }
    t.same(statuses, [...Array.from({ length: 10 }, () => 401), 429, 429])
    const elsewhere = await app.inject({
      method: 'POST',
      url,
      remoteAddress: '192.0.2.77',
      payload: { username: 'root', password }
    })
    t.equal(elsewhere.statusCode, 200, 'another address is not')
    t.equal((await as(app, ADMIN)('GET', alice)).status, 200, 'nor is anything else')
  })

  t.test('leaves no password and no token in the log', async (t) => {
    let log = ''
    const stream = new Writable({
      write (chunk: Buffer, _encoding, done) {
        log += chunk.toString()
        done()
      }
    })
    const app = await startApp(t, env, { logger: { level: 'trace', stream } })
    const {
      body: { token }
    } = await as(app, null)('POST', url, { username: 'root', password })
    await as(app, null)('POST', url, { username: 'root', password: `${password} wrong` })
    await as(app, null)('POST', url, `{"username":"root","password":"${password}",}`)
    await as(app, null)('GET', alice, undefined, bearer(`${token}x`))
    await as(app, null)('GET', `${alice}?token=${token}`, undefined, bearer(token))
    t.not(log, '')
    for (const secret of [password, token, hash, TEST_SECRET]) {
      t.notOk(log.includes(secret), 'not in the log')
    }
  })
})
