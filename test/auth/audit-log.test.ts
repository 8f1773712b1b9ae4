/** The audit log has one line for each request to change something. */
import t from 'tap'
import { BY_POST } from '../../plugins/by-post.ts'
import { AUDITED } from '../../services/auth/audit.ts'
import { ACCESS } from '../../services/auth/access-table.ts'
import { LineBudget } from '../../services/auth/audit-bounds.ts'
import { ADMIN, type Claims, as, connected, listen, tokenFor } from '../helpers/app.ts'
import { sendRaw } from '../helpers/raw-http.ts'
import { startRedis } from '../helpers/servers.ts'
import { PASSWORD, root, service } from './logged-service.ts'

const actor = { sub: 'root', issuer: null, roles: ['admin', 'auditor'], token_id: 'token-7' }

const SWITCH: Claims = { sub: 'b2bua-1', role: 'switch' }

/**
 * Requests that change something, what each is called, and what the log must tell of it besides who
 * it was.
 */
const changes: Array<[route: string, path: string, body: object | undefined, told: object]> = [
  [
    'PUT /api/sessions/limits',
    '/api/sessions/limits',
    { max_sessions_per_user: 7, session_limit_action: 'observe' },
    {
      action: 'policy.update',
      target: {},
      values: { max_sessions_per_user: 7, session_limit_action: 'observe' },
      result: {}
    }
  ],
  [
    'PUT /api/sessions/limits/:username',
    '/api/sessions/limits/alice',
    { limit: 25 },
    { action: 'limit.set', target: { username: 'alice' }, values: { limit: 25 }, result: {} }
  ],
  [
    'DELETE /api/sessions/limits/:username',
    '/api/sessions/limits/alice',
    undefined,
    { action: 'limit.remove', target: { username: 'alice' }, values: {}, result: { removed: true } }
  ],
  [
    'POST /api/sessions/limits/bulk',
    '/api/sessions/limits/bulk',
    { limits: { alice: 5, bob: null } },
    {
      action: 'limit.set_many',
      target: {},
      values: { limits: { alice: 5, bob: null } },
      result: { set: 1, removed: 0 }
    }
  ],
  [
    'POST /api/sessions/users/:username/temporary-limit',
    '/api/sessions/users/alice/temporary-limit',
    { limit: 9, duration: 60, reason: 'a fair' },
    {
      action: 'temporary_limit.set',
      target: { username: 'alice' },
      values: { limit: 9, duration: 60, reason: 'a fair' },
      result: {}
    }
  ],
  [
    'DELETE /api/sessions/users/:username/temporary-limit',
    '/api/sessions/users/alice/temporary-limit',
    undefined,
    {
      action: 'temporary_limit.remove',
      target: { username: 'alice' },
      values: {},
      result: { removed: true }
    }
  ],
  [
    'PUT /api/sessions/users/:username/bar',
    '/api/sessions/users/alice/bar',
    { reason: 'fraud', expires_at: '2099-01-01T00:00:00Z' },
    {
      action: 'user.bar',
      target: { username: 'alice' },
      values: { reason: 'fraud', expires_at: '2099-01-01T00:00:00Z' },
      result: {}
    }
  ],
  [
    'DELETE /api/sessions/users/:username/bar',
    '/api/sessions/users/alice/bar',
    undefined,
    {
      action: 'user.unbar',
      target: { username: 'alice' },
      values: {},
      result: { removed: true }
    }
  ],
  [
    'DELETE /api/sessions/:session_id',
    '/api/sessions/call-1',
    { reason: 'a complaint' },
    {
      action: 'session.terminate',
      target: { session_id: 'call-1' },
      values: { reason: 'a complaint' },
      result: { released: true }
    }
  ],
  [
    'DELETE /api/sessions/users/:username/sessions',
    '/api/sessions/users/alice/sessions',
    undefined,
    {
      action: 'user.terminate',
      target: { username: 'alice' },
      values: {},
      result: { terminated: 1 }
    }
  ],
  [
    'PUT /api/sessions/nodes/:node',
    '/api/sessions/nodes/pbx-1',
    { epoch: 1, sessions: [{ username: 'bob', session_id: 'call-3' }] },
    {
      action: 'node.report',
      target: { node: 'pbx-1' },
      values: { epoch: 1 },
      result: { registered: 1, renewed: 0, released: 0 }
    }
  ],
  [
    'POST /api/sessions/nodes/:node',
    '/api/sessions/nodes/pbx-1',
    { epoch: 1, sessions: [{ username: 'bob', session_id: 'call-3' }] },
    {
      action: 'node.report',
      target: { node: 'pbx-1' },
      values: { epoch: 1 },
      result: { registered: 0, renewed: 1, released: 0 }
    }
  ],
  [
    'DELETE /api/sessions/nodes/:node',
    '/api/sessions/nodes/pbx-1',
    undefined,
    {
      action: 'node.forget',
      target: { node: 'pbx-1' },
      values: {},
      result: { released: 1 }
    }
  ],
  [
    'POST /api/sessions/:session_id/release',
    '/api/sessions/call-4/release',
    { reason: 'a complaint' },
    {
      action: 'session.terminate',
      target: { session_id: 'call-4' },
      values: { reason: 'a complaint' },
      result: { released: false }
    }
  ],
  [
    'POST /api/sessions/release',
    '/api/sessions/release',
    { sessions: [{ session_id: 'call-4' }], node: 'pbx-1' },
    { action: 'session.terminate_many', target: {}, values: { node: 'pbx-1' }, result: {} }
  ],
  [
    'POST /api/sessions/sweep',
    '/api/sessions/sweep',
    undefined,
    { action: 'ghosts.sweep', target: {}, values: {}, result: { removed: 0 } }
  ]
]

/** Requests that take and keep calls up: the daily work of a switch, too many for an audit log. */
const calls: Array<[route: string, path: string, body: object]> = [
  ['POST /api/sessions', '/api/sessions', { username: 'alice', session_id: 'call-1' }],
  ['POST /api/sessions', '/api/sessions', { username: 'alice', session_id: 'call-2' }],
  [
    'POST /api/sessions/renew',
    '/api/sessions/renew',
    { sessions: [{ username: 'alice', session_id: 'call-1' }] }
  ],
  ['POST /api/sessions/:session_id/renew', '/api/sessions/call-1/renew', { username: 'alice' }]
]

t.test('the audit log', async (t) => {
  const { log, app } = await service(t)
  const send = as(app, root)
  const post = (route: string) => route.split(' ')[0] as 'POST'

  t.test('knows every route that can change something', async (t) => {
    const changing = Object.keys(ACCESS).filter((route) => !route.startsWith('GET '))
    const known = [...Object.keys(AUDITED), ...calls.map(([route]) => route)]
    t.same(
      changing.filter((route) => !known.includes(route)),
      [],
      'name it in AUDITED, or here as a call'
    )
    t.same(
      Object.keys(AUDITED).filter((route) => !(route in ACCESS)),
      [],
      'and no other'
    )
    const tried = changes.map(([route]) => route)
    const byPost = Object.values(BY_POST).map((url) => `POST ${url}`)
    t.same(
      Object.keys(AUDITED).filter(
        (route) =>
          !tried.includes(route) && !byPost.includes(route) && !route.includes('/api/auth/')
      ),
      [],
      'each is tried here; logins are below, API keys and changes by POST in their own files'
    )
  })

  t.test(
    'has one line for each change: who, what, for whom, from where, and what came of it',
    async (t) => {
      for (const [route, path, body] of calls) {
        t.ok((await send(post(route), path, body)).status < 300, path)
      }
      t.same(log.take(), [], 'calls are none')
      for (const [i, [route, path, body, told]] of changes.entries()) {
        const { status } = await send(post(route), path, body, { 'x-request-id': `request-${i}` })
        t.equal(status, 200, route)
        t.strictSame(
          log.take(),
          [{ actor, address: '127.0.0.1', request_id: `request-${i}`, status, ...told }],
          route
        )
      }
    }
  )

  t.test('has none for reads', async (t) => {
    for (const [route, access] of Object.entries(ACCESS).filter(([route]) =>
      route.startsWith('GET ')
    )) {
      const done = new AbortController()
      const url = route.slice(4).replace(/:\w+/g, 'alice')
      // Over the wire, for a stream may have no end.
      const base = app.server.listening
        ? `http://127.0.0.1:${(app.server.address() as { port: number }).port}`
        : await listen(app)
      await fetch(base + url, {
        headers: access === 'public' ? {} : { authorization: `Bearer ${tokenFor(app, root)}` },
        signal: done.signal,
        redirect: 'manual'
      })
      done.abort()
    }
    await send('PATCH', '/api/sessions/limits/alice')
    await send('PUT', '/nowhere', {})
    t.same(log.take(), [])
  })

  t.test('leaves out admissions of the switch role, and of no other', async (t) => {
    const daily = changes.filter(([route]) =>
      [
        'DELETE /api/sessions/:session_id',
        'POST /api/sessions/:session_id/release',
        'POST /api/sessions/release',
        'PUT /api/sessions/nodes/:node',
        'POST /api/sessions/nodes/:node'
      ].includes(route)
    )
    t.equal(daily.length, 5)
    for (const [route, path, body] of daily) {
      const now = route.includes('/nodes/') ? { ...body, epoch: 2 } : body
      await as(app, SWITCH)(post(route), path, now)
      t.same(log.take(), [], route)
      for (const claims of [
        ADMIN,
        { sub: 'x', permissions: ['sessions:write'] },
        { sub: 'x', roles: ['switch', 'operator'] }
      ]) {
        await as(app, claims)(post(route), path, now)
        t.equal(log.take().length, 1, `${route} by ${JSON.stringify(claims)}`)
      }
    }
    await as(app, SWITCH)('DELETE', '/api/sessions/users/alice/sessions')
    t.match(
      log.take(),
      [{ action: 'user.terminate', actor: { sub: 'b2bua-1', roles: ['switch'] } }],
      'ending all of a user is no such thing'
    )
  })

  t.test(
    'has a line also for what was refused, without what a body that was not valid said',
    async (t) => {
      const put = async (claims: Claims | null, path: string, body: object | string) => {
        const { status } = await as(app, claims)('PUT', `/api/sessions/limits/${path}`, body)
        const lines = log.take()
        t.equal(lines.length, 1, `${status} is noted once`)
        return lines[0]
      }
      t.match(await put(null, 'alice', { limit: 3 }), {
        status: 401,
        actor: null,
        target: { username: 'alice' },
        result: { code: 'unauthorized' }
      })
      t.match(await put({ sub: 'eve', role: 'viewer' }, 'alice', { limit: 3 }), {
        status: 403,
        actor: { sub: 'eve' },
        values: {},
        result: { code: 'forbidden' }
      })
      t.match(await put(root, 'alice', { limit: 'hunter2' }), {
        status: 400,
        target: { username: 'alice' },
        values: {},
        result: { code: 'invalid_input' }
      })
      t.match(await put(root, 'alice', '{"limit": hunter2'), { status: 400, values: {} })
      for (const none of ['__proto__', '_default', 'x'.repeat(257)]) {
        t.strictSame(
          (await put(root, none, { limit: 3 }))?.target,
          {},
          'what is no name is not told'
        )
      }
      t.match(
        await put(root, '%0d%0aforged', { limit: 3 }),
        { status: 400, target: { username: '\r\nforged' } },
        'a name that another program may have stored stays within its one line'
      )
      t.match(await put(root, 'alice', 'x'.repeat(70_000)), {
        status: 413,
        result: { code: 'payload_too_large' }
      })
    }
  )

  t.test(
    'has a line for each login, whether it went well or not, and never the password or the token',
    async (t) => {
      const tries = [
        ['root', PASSWORD],
        ['root', 'wrong'],
        [PASSWORD, 'root'],
        ['root', 'wrong'],
        ['root', 'wrong'],
        ['root', 'wrong'],
        ['root', 'wrong']
      ]
      const answers = []
      for (const [username, password] of tries) {
        answers.push(await as(app, null)('POST', '/api/auth/login', { username, password }))
      }
      t.notOk(log.text.includes(PASSWORD))
      t.notOk(log.text.includes(answers[0]?.body.token))
      const lines = log.take()
      t.strictSame(
        lines.map(({ status }) => status),
        [200, 401, 401, 401, 401, 401, 429]
      )
      t.strictSame(
        lines.map(({ target }) => (target as { username?: string }).username),
        ['root', 'root', undefined, ...Array.from({ length: 4 }, () => 'root')],
        'a name that is not known may be a password'
      )
      t.match(lines[0], { action: 'login', actor: null, values: {}, result: {} })
    }
  )

  t.test('has a line for a caller that disconnects before the answer', async (t) => {
    const port = (app.server.address() as { port: number }).port
    const body = '{"limit":11}'
    await sendRaw(
      port,
      'PUT /api/sessions/limits/alice HTTP/1.1\r\nHost: x\r\nConnection: close\r\n' +
        `Authorization: Bearer ${tokenFor(app, root)}\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    )
    t.match(log.take(), [{ action: 'limit.set', values: { limit: 11 }, status: 200 }])
  })

  t.test(
    'is written whatever else is too little to be logged, but not where nothing is',
    async (t) => {
      for (const [level, lines] of [
        ['error', 1],
        ['fatal', 1],
        ['silent', 0]
      ] as const) {
        const { log, app } = await service(t, {}, level)
        await as(app, root)('PUT', '/api/sessions/limits/alice', { limit: 3 })
        t.equal(log.take().length, lines, level)
        t.equal(log.text, '')
      }
    }
  )

  t.test('has a line for whatever is denied, reads and calls too', async (t) => {
    const { log, app } = await service(t)
    for (const [route, access] of Object.entries(ACCESS)) {
      if (access === 'public') continue
      const [method, pattern = ''] = route.split(' ') as ['GET', string]
      const path = pattern.replace(/:\w+/g, 'bob')
      for (const [claims, status] of [[null, 401], [{ sub: 'eve' }, 403]] as const) {
        await as(app, claims)(method, path, method === 'GET' ? undefined : {})
        const lines = log.take()
        t.match(lines, [{ status, actor: claims === null ? null : { sub: 'eve' } }], route)
        t.equal(lines.length, 1)
        if (!(route in AUDITED)) t.match(lines, [{ action: 'denied', route, values: {} }])
      }
    }
    await as(app, root)('GET', '/nowhere')
    await as(app, { sub: 'alice' })('GET', '/api/sessions/limits/alice')
    t.same(log.take(), [], 'what is not denied has none')
  })

  t.test('has so many lines for those who are denied, and counts the others', async (t) => {
    const { log, app } = await service(t)
    for (let i = 0; i < 150; i++) await as(app, null)('GET', '/api/sessions/limits')
    t.equal(log.take().length, 100)
    const budget = new LineBudget({ perAddress: 2, inAll: 5, windowMs: 1000 }, () => now)
    let now = 0
    const taken = (address: string, times: number) =>
      Array.from({ length: times }, () => budget.take(address))
    t.same(taken('a', 3), [0, 0, undefined])
    t.same(taken('b', 2), [1, 0], 'another address is not affected, and tells of the others')
    t.same([...taken('c', 1), ...taken('d', 1)], [0, undefined], 'all together')
    now = 1000
    t.same(taken('a', 1), [1])
    for (let i = 0; i < 5_000; i++) budget.take(`address ${i}`)
  })

  t.test('has a line for each emergency call, and says who asked for it', async (t) => {
    const { log, app } = await service(t, { MAX_SESSIONS_PER_USER: '1' })
    const caller: Claims = { sub: 'b2bua-1', role: 'switch', iss: 'console', jti: 'token-8' }
    const call = { username: 'alice', session_id: 'sos-1', node: 'n1', emergency: true }
    const actor = { sub: 'b2bua-1', issuer: 'console', roles: ['switch'], token_id: 'token-8' }
    const action = 'session.emergency'
    const target = { username: 'alice', session_id: 'sos-1', node: 'n1' }
    await as(app, caller)('POST', '/api/sessions', call)
    t.match(log.take(), [{ action, actor, address: '127.0.0.1', target, status: 201 }])
    await as(app, caller)('POST', '/api/sessions', call)
    t.match(log.take(), [{ action, actor, target, status: 200 }])
    await as(app, caller)('POST', '/api/sessions', { ...call, username: 'bob' })
    t.match(log.take(), [{ action, status: 409, result: { code: 'session_id_conflict' } }])
    await as(app, null)('POST', '/api/sessions', call)
    t.match(log.take(), [{ action: 'denied', status: 401 }])
    await as(app, caller)('POST', '/api/sessions', { ...call, dry_run: true })
    await as(app, caller)('POST', '/api/sessions', { ...call, session_id: 'x', emergency: false })
    t.same(log.take(), [], 'other calls have none')
  })

  t.test('leaves no release of a switch out that may do more', async (t) => {
    const { log, app } = await service(t)
    for (const more of [{ permissions: ['limits:write'] }, { scope: 'policy:write' }]) {
      await as(app, { ...SWITCH, ...more })('DELETE', '/api/sessions/s1')
      t.match(log.take(), [{ action: 'session.terminate', actor: { sub: 'b2bua-1' } }])
    }
    await as(app, { ...SWITCH, permissions: ['sessions:write'] })('DELETE', '/api/sessions/s1')
    t.same(log.take(), [], 'what a switch may do anyway is no more')
  })

  t.test('has no line of more than 8 KiB, nor more than one', async (t) => {
    const { log, app } = await service(t)
    const odd = '\u0000\u001b\u007f\u0085\u009b\u2028\u2029\u202e\u2066\u200b\ufeff\u{e0041}"\\'
    const limits = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, i) => [`${'x'.repeat(100)}${i}`, i])
    )
    const long: Claims = {
      ...ADMIN,
      sub: odd.repeat(60),
      iss: odd.repeat(60),
      jti: odd.repeat(60),
      roles: Array.from({ length: 100 }, () => odd)
    }
    const send = as(app, long)
    t.equal((await send('POST', '/api/sessions/limits/bulk', { limits })).status, 200)
    await send('DELETE', `/api/sessions/${encodeURIComponent('"\\'.repeat(256))}`, {
      reason: odd.repeat(500)
    })
    await send('DELETE', `/api/sessions/limits/${encodeURIComponent('\u2028'.repeat(200))}`)
    await send('POST', '/api/sessions/release', {
      sessions: Array.from({ length: 5_000 }, (_, i) => ({ session_id: `s${i}` }))
    })
    const lines = log.text.split('\n').slice(0, -1)
    t.equal(lines.filter((line) => line.includes('"msg":"audit"')).length, 4)
    for (const line of lines) {
      t.ok(Buffer.byteLength(line) <= 8 * 1024, `${Buffer.byteLength(line)} bytes`)
      t.notMatch(line, /[\p{Cc}\p{Zl}\p{Zp}\p{Cf}]/u)
    }
    t.match(log.take()[0], { values: { limits: 10_000 }, result: { set: 10_000 } })
  })

  t.test('has a line for a change that failed for want of Redis', async (t) => {
    const redis = await startRedis(t)
    const { log, app } = await service(t, { REDIS_URL: redis.url })
    await connected(app)
    await redis.kill()
    log.take()
    await as(app, root)('PUT', '/api/sessions/limits/alice', { limit: 3 })
    t.match(log.take(), [
      {
        action: 'limit.set',
        values: { limit: 3 },
        status: 503,
        result: { code: 'store_unavailable' }
      }
    ])
  })
})
