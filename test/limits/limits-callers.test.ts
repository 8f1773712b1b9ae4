/** Who may read and change limits, at what cost, and without Redis. */
import t from 'tap'
import { ADMIN, as, startApp, startAppOn, type Claims } from '../helpers/app.ts'
import { isBackground, monitorRedis, quiet } from '../helpers/redis-monitor.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import { alice, isProblem, viewer, operator } from './api.ts'

t.test('a caller without permissions reads its own limit and count only', async (t) => {
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
    ['PUT', '/users/bob/bar', {}, 'limits:write'],
    ['DELETE', '/users/bob/bar', undefined, 'limits:write'],
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

t.test('a refused caller sends no Redis command', async (t) => {
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
    ['PUT', '/users/bob/bar', { reason: 'fraud' }],
    ['DELETE', '/users/bob/bar'],
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
      ['PATCH', '/limits', /^DELETE, GET, HEAD, POST, PUT$/],
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
    const policyOf = async (bytes: number) =>
      await send('PUT', '/api/sessions/limits', padded(bytes, '{"enabled":true}'))
    t.equal((await policyOf(4 * 1024 * 1024)).status, 200, 'what GET gave can be put back')
    isProblem(
      t,
      await policyOf(4 * 1024 * 1024 + 1),
      tooLarge,
      'a policy'
    )
    const bulk = '/api/sessions/limits/bulk'
    t.equal(
      (await send('POST', bulk, padded(4 * 1024 * 1024, '{"limits":{}}'))).status,
      200,
      '4 MiB is not too large in bulk'
    )
    isProblem(
      t,
      await send('POST', bulk, padded(4 * 1024 * 1024 + 1, '{"limits":{}}')),
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

t.test('without Redis every write is answered 503 with Retry-After', async (t) => {
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
    ['PUT', '/users/bob/bar', { reason: 'fraud' }],
    ['DELETE', '/users/bob/bar'],
    ['POST', '/sweep']
  ] as Array<['GET' | 'PUT' | 'POST' | 'DELETE', string, object?]>) {
    const answer = await as(app, ADMIN)(method, `/api/sessions${url}`, body)
    isProblem(t, answer, { status: 503, code: 'store_unavailable' }, `${method} ${url}`)
    t.match(answer.headers['retry-after'], /^[1-9]\d*$/)
  }
  t.match(app.policy.current, { enabled: true }, 'a policy that could not be kept is not in force')
})
