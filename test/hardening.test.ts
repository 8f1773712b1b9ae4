/**
 * What the service does about too much, about what others say of themselves, and what it tells
 * browsers.
 */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { ConfigError, loadConfig } from '../config.ts'
import {
  ADMIN,
  type Answer,
  type Claims,
  as,
  connected,
  listen,
  startApp,
  startAppOn,
  tokenFor
} from './helpers/app.ts'
import { sendRaw } from './helpers/raw-http.ts'
import { isBackground, monitorRedis, quiet } from './helpers/redis-monitor.ts'
import { startRedis } from './helpers/servers.ts'
import { waitFor } from './helpers/wait.ts'

const alice = '/api/sessions/limits/alice'
const limited = { RATE_LIMIT_MAX: '3' }
const SWITCH: Claims = { sub: 'b2bua-1', role: 'switch' }
const root = new URL('..', import.meta.url)

/** How many requests are left half open at once, and by when they are cut, in milliseconds. */
const [HALF_OPEN, CUT_WITHIN_MS] = [50, 10_000]

/** The statuses of so many requests, one after the other. */
async function statuses (times: number, ask: () => Promise<{ status: number }>): Promise<number[]> {
  const seen = []
  for (let i = 0; i < times; i++) seen.push((await ask()).status)
  return seen
}

/** Asks from an address, with claims or without a token. */
function from (
  app: FastifyInstance,
  remoteAddress: string,
  claims: Claims | null,
  headers: Record<string, string> = {}
) {
  const authorization = claims === null ? {} : { authorization: `Bearer ${tokenFor(app, claims)}` }
  return async (url = alice, method: InjectOptions['method'] = 'GET') => {
    const {
      statusCode: status,
      headers: answered,
      body
    } = await app.inject({
      method: method ?? 'GET',
      url,
      remoteAddress,
      headers: { ...authorization, ...headers }
    })
    return { status, headers: answered as Answer['headers'], body }
  }
}

function isTooMany (
  t: Test,
  answer: Pick<Answer, 'status' | 'headers'> & { body: unknown },
  withinSeconds = 60
): void {
  const body = typeof answer.body === 'string' ? (JSON.parse(answer.body) as unknown) : answer.body
  t.match(
    { ...answer, body },
    {
      status: 429,
      headers: { 'content-type': /^application\/problem\+json/ },
      body: { status: 429, code: 'too_many_requests' }
    }
  )
  const seconds = Number(answer.headers['retry-after'])
  t.ok(
    Number.isInteger(seconds) && seconds >= 1 && seconds <= withinSeconds,
    `Retry-After: ${seconds}`
  )
}

t.test('half-open requests are cut within ten seconds, while others are answered', async (t) => {
  const app = await startApp(t)
  const port = Number(new URL(await listen(app)).port)
  const open = new Set<Socket>()
  t.teardown(() => open.forEach((socket) => socket.destroy()))
  const head =
    `PUT ${alice} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
    `Authorization: Bearer ${tokenFor(app, ADMIN)}\r\n`
  for (let i = 0; i < HALF_OPEN; i++) {
    const socket = connect(port, '127.0.0.1')
    open.add(socket)
    socket
      .on('error', () => {})
      .on('close', () => open.delete(socket))
      .resume()
    await once(socket, 'connect')
    // Nothing at all, half a head, half a body.
    if (i % 3 > 0) socket.write(i % 3 === 1 ? head : `${head}Content-Length: 100\r\n\r\n{"limit":`)
  }
  const startMs = performance.now()
  let slowestMs = 0
  await waitFor(
    async () => {
      const askedMs = performance.now()
      const { status } = await sendRaw(
        port,
        'GET /healthz/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
      )
      slowestMs = Math.max(slowestMs, performance.now() - askedMs)
      return status === 200 && open.size === 0
    },
    { what: 'all of them to be cut', deadlineMs: CUT_WITHIN_MS + 5000, everyMs: 200 }
  )
  const cutMs = performance.now() - startMs
  t.ok(cutMs <= CUT_WITHIN_MS, `cut after ${Math.round(cutMs)} ms`)
  t.ok(slowestMs < 2000, `a probe took ${Math.round(slowestMs)} ms at the most`)
})

t.test('limits on requests', async (t) => {
  t.test('are off unless they are set', async (t) => {
    const app = await startApp(t)
    t.same(new Set(await statuses(100, from(app, '192.0.2.1', ADMIN))), new Set([200]))
    t.same(new Set(await statuses(100, from(app, '192.0.2.1', null))), new Set([401]))
  })

  t.test('hold for a caller, wherever it calls from, and for nobody else', async (t) => {
    const app = await startApp(t, limited)
    t.same(await statuses(3, from(app, '192.0.2.1', ADMIN)), [200, 200, 200])
    isTooMany(t, await from(app, '192.0.2.2', ADMIN)())
    t.equal(
      (await from(app, '192.0.2.1', { sub: 'other', role: 'viewer' })()).status,
      200,
      'another caller at the same address'
    )
  })

  t.test('hold for an address that is refused, whatever it is refused for', async (t) => {
    const app = await startApp(t, { ...limited, RATE_LIMIT_WINDOW_SECONDS: '7' })
    for (const [i, [what, claims, url]] of (
      [
        ['no token', null, alice],
        ['no permission', { sub: 'nobody' }, alice],
        ['nonsense', ADMIN, '/api/sessions/limits/_default'],
        ['no such path', null, '/nowhere'],
        ['pages', null, '/docs/static/index.html']
      ] as const
    ).entries()) {
      const ask = from(app, `192.0.2.${i}`, claims)
      const [first, ...others] = await statuses(3, async () => await ask(url))
      t.same(others, [first, first], `${what}: ${first}`)
      const answer = await ask(url)
      isTooMany(t, answer, 7)
      t.notOk(answer.headers['www-authenticate'], 'a 429 asks for no token')
    }
    t.equal(
      (await from(app, '192.0.2.0', ADMIN)()).status,
      200,
      'a caller with a token is not held up by others at its address'
    )
  })

  t.test('take the addresses of one IPv6 network for one', async (t) => {
    const app = await startApp(t, limited)
    for (let i = 0; i < 3; i++) t.equal((await from(app, `2001:db8::${i}`, null)()).status, 401)
    t.equal((await from(app, '2001:db8::ffff', null)()).status, 429)
    t.equal((await from(app, '2001:db8:0:1::1', null)()).status, 401)
  })

  t.test('leave out probes, and the switch unless told otherwise', async (t) => {
    const app = await startApp(t, limited)
    for (const url of [
      '/healthz/live',
      '/healthz/ready',
      '/healthz/startup',
      '/health',
      '/api/health'
    ]) {
      t.same(
        new Set(await statuses(9, async () => await from(app, '192.0.2.1', null)(url))),
        new Set([200]),
        url
      )
    }
    t.same(new Set(await statuses(9, from(app, '192.0.2.1', SWITCH))), new Set([200]))
    const strict = await startApp(t, { ...limited, RATE_LIMIT_EXEMPT_ROLES: 'none' })
    t.same(await statuses(4, from(strict, '192.0.2.1', SWITCH)), [200, 200, 200, 429])
    const kind = await startApp(t, { ...limited, RATE_LIMIT_EXEMPT_ROLES: 'switch, admin' })
    t.same(new Set(await statuses(9, from(kind, '192.0.2.1', ADMIN))), new Set([200]))
  })

  t.test('end with their window', async (t) => {
    const app = await startApp(t, { ...limited, RATE_LIMIT_WINDOW_SECONDS: '1' })
    const ask = from(app, '192.0.2.1', ADMIN)
    await waitFor(async () => (await ask()).status === 429, { what: 'the limit', everyMs: 1 })
    await waitFor(async () => (await ask()).status === 200, { what: 'the next window' })
  })

  t.test('hold on all replicas together, by one key a caller that expires', async (t) => {
    const redis = await startRedis(t)
    const env = { ...limited, REDIS_KEY_PREFIX: 'own:' }
    const [one, other] = [await startAppOn(t, redis, env), await startAppOn(t, redis, env)]
    await connected(one, other)
    const caller = { ...ADMIN, sub: `{slot} ${'x'.repeat(500)}` }
    t.same(
      [
        ...(await statuses(2, from(one, '192.0.2.1', caller))),
        ...(await statuses(1, from(other, '192.0.2.2', caller)))
      ],
      [200, 200, 200]
    )
    isTooMany(t, await from(one, '192.0.2.1', caller)())
    isTooMany(t, await from(other, '192.0.2.1', caller)())
    const keys = (await redis.cli('KEYS', '*request-count*')).split('\n')
    t.equal(keys.length, 1)
    t.match(keys[0], /^own:request-count:[\w-]{43}$/)
    const left = Number(await redis.cli('PTTL', keys[0] ?? ''))
    t.ok(left > 0 && left <= 60_000, `${left} ms are left`)
    await redis.cli('SET', keys[0] ?? '', '5')
    t.equal((await from(one, '192.0.2.1', caller)()).status, 429)
    t.ok(
      Number(await redis.cli('PTTL', keys[0] ?? '')) > 0,
      'a count that somebody took the end of gets one again'
    )
    await redis.cli('DEL', keys[0] ?? '')
    await redis.cli('LPUSH', keys[0] ?? '', 'x')
    t.equal(
      (await from(one, '192.0.2.1', caller)()).status,
      200,
      'a key of another type is no failure'
    )
  })

  t.test(
    'ask Redis nothing for what is refused, for the switch, or when they are off',
    async (t) => {
      const redis = await startRedis(t)
      const apps = [await startAppOn(t, redis, limited), await startAppOn(t, redis)]
      const monitor = await monitorRedis(t, redis)
      await quiet(monitor)
      const asked = async () => (await monitor.take()).filter((seen) => !isBackground(seen))
      const counted = async () =>
        (await asked()).filter((seen) => seen.some((word) => word.includes('request-count')))
      const [on, off] = apps as [FastifyInstance, FastifyInstance]
      t.equal((await from(on, '192.0.2.1', ADMIN)()).status, 200)
      t.not((await counted()).length, 0, 'what is let in is counted')
      for (const [claims, url, status] of [
        [null, alice, 401],
        [{ sub: 'x' }, alice, 403],
        [ADMIN, `${alice}?x=1`, 400]
      ] as const) {
        t.same(
          await statuses(4, async () => await from(on, `192.0.2.${status - 300}`, claims)(url)),
          [status, status, status, 429]
        )
      }
      t.same(await asked(), [])
      t.same(await statuses(5, from(on, '192.0.2.1', SWITCH)), [200, 200, 200, 200, 200])
      t.same(await statuses(5, from(off, '192.0.2.1', ADMIN)), [200, 200, 200, 200, 200])
      t.same(await counted(), [])
    }
  )

  t.test('go on alone while Redis hangs or is gone, and delay nobody', async (t) => {
    const redis = await startRedis(t)
    const app = await startAppOn(t, redis, { ...limited, REDIS_TIMEOUT_MS: '400' })
    const create = async (sub: string) => {
      const startMs = performance.now()
      const { status, body } = await as(app, { sub, role: 'operator' })('POST', '/api/sessions', {
        username: 'alice',
        session_id: 'one'
      })
      return {
        status,
        degraded: (body as { degraded?: boolean }).degraded,
        ms: performance.now() - startMs
      }
    }
    const firsts = async (sub: string) => {
      const answers = []
      for (let i = 0; i < 4; i++) answers.push(await create(sub))
      const slowest = Math.max(...answers.map(({ ms }) => ms))
      t.ok(slowest < 400, `the slowest of ${sub} took ${Math.round(slowest)} ms`)
      t.equal(answers[3]?.status, 429, `${sub}: the limit holds`)
      return answers
    }
    t.notOk((await firsts('before')).some(({ degraded }) => degraded))
    redis.pause()
    await waitFor(async () => (await create('waiting')).degraded ?? true, {
      what: 'the outage to be noticed'
    })
    t.ok((await firsts('hung'))[0]?.degraded)
    redis.resume()
    await redis.kill()
    t.ok((await firsts('gone'))[0]?.degraded)
  })
})

t.test('who is believed about where a request comes from', async (t) => {
  const login = {
    ADMIN_USERNAME: 'root',
    ADMIN_PASSWORD_HASH: `$scrypt$ln=14,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
  }
  const forged = (i: number) => ({
    'x-forwarded-for': `203.0.113.${i}`,
    forwarded: `for=203.0.113.${i}`,
    'x-real-ip': `203.0.113.${i}`
  })

  t.test('nobody, unless proxies are named', async (t) => {
    const app = await startApp(t, limited)
    for (let i = 0; i < 3; i++) {
      t.equal((await from(app, '192.0.2.1', null, forged(i))()).status, 401)
    }
    t.equal((await from(app, '192.0.2.1', null, forged(9))()).status, 429)
  })

  t.test('a named proxy, for the one hop that it has seen', async (t) => {
    const app = await startApp(t, {
      ...limited,
      TRUSTED_PROXIES: '10.0.0.7, 10.1.0.0/16, fd00::/8'
    })
    const via = async (proxy: string, forwarded: string) =>
      (await from(app, proxy, null, { 'x-forwarded-for': forwarded })()).status
    for (let i = 0; i < 3; i++) {
      t.equal(
        await via('10.0.0.7', `203.0.113.${i}, 198.51.100.1`),
        401,
        'what the caller wrote before it is not'
      )
    }
    t.equal(await via('10.0.0.7', '198.51.100.1'), 429)
    t.equal(await via('10.1.2.3', '198.51.100.1'), 429, 'through another proxy')
    t.equal(await via('fd00::1', '198.51.100.1, 10.1.2.3'), 429, 'through two')
    t.equal(await via('10.0.0.7', '198.51.100.2'), 401, 'another address')
    for (let i = 0; i < 3; i++) t.equal(await via('10.0.0.8', `198.51.100.${i}`), 401)
    t.equal(await via('10.0.0.8', '198.51.100.77'), 429, 'a neighbour of the proxy is none')
  })

  t.test(
    'logins are limited by the address that a trusted proxy saw; X-Forwarded-For is no way round',
    async (t) => {
      const app = await startApp(t, { ...login, TRUSTED_PROXIES: '10.0.0.7' })
      const guess = async (i: number, forwarded: string) =>
        (
          await app.inject({
            method: 'POST',
            url: '/api/auth/login',
            remoteAddress: '10.0.0.7',
            headers: { 'x-forwarded-for': forwarded },
            payload: { username: `user${i}`, password: 'guess' }
          })
        ).statusCode
      const seen = []
      for (let i = 0; i < 11; i++) seen.push(await guess(i, `203.0.113.${i}, 198.51.100.1`))
      t.same(seen, [...Array.from({ length: 10 }, () => 401), 429])
      t.equal(await guess(11, '198.51.100.2'), 401)
    }
  )

  t.test('what is no list of addresses stops the start', async (t) => {
    for (const wrong of [
      'true',
      '*',
      '10.0.0.0/33',
      '10.0.0',
      'fd00::/129',
      'proxy.example.com',
      '10.0.0.7;10.0.0.8',
      '0.0.0.0/'
    ]) {
      t.throws(() => loadConfig({ TRUSTED_PROXIES: wrong }), new ConfigError(), wrong)
    }
  })
})

t.test('what every answer says', async (t) => {
  const app = await startApp(t, { TRUSTED_PROXIES: '10.0.0.7' })
  const send = as(app, ADMIN)

  t.test('to browsers: not to guess, frame, keep or pass on', async (t) => {
    const answers = {
      'an answer': await send('GET', alice),
      'no answer': await send('GET', '/nowhere'),
      'a wrong method': await send('PATCH', alice),
      'no token': await as(app, null)('GET', alice),
      'a bad escape': await send('GET', '/api/sessions/limits/%zz'),
      'a long name': await send('GET', `/api/sessions/limits/${'a'.repeat(3000)}`),
      'a broken body': await send('PUT', alice, '{'),
      'a list': await send('GET', '/api/sessions/limits'),
      'a probe': await send('GET', '/healthz/live')
    }
    for (const [what, { headers }] of Object.entries(answers)) {
      t.match(
        headers,
        {
          'x-content-type-options': 'nosniff',
          'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
          'referrer-policy': 'no-referrer',
          'cache-control': 'no-store',
          'x-request-id': /^[\w-]+$/
        },
        what
      )
      for (const name of [
        'strict-transport-security',
        'x-powered-by',
        'server',
        'access-control-allow-origin',
        'vary'
      ]) {
        t.notOk(name in headers, `${what} has no ${name}`)
      }
    }
  })

  t.test('pages may load what comes with them, and nothing else', async (t) => {
    for (const url of ['/docs', '/docs/static/index.html', '/docs/static/swagger-ui.css']) {
      const { headers } = await send('GET', url)
      t.match(
        headers['content-security-policy'],
        /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'$/,
        url
      )
      t.notMatch(
        headers['content-security-policy'],
        /script-src[^;]*unsafe|upgrade-insecure|https?:|\*/
      )
      t.equal(headers['x-content-type-options'], 'nosniff')
    }
  })

  t.test('HSTS, where the request came by TLS', async (t) => {
    const hsts = async (address: string) =>
      (await from(app, address, null, { 'x-forwarded-proto': 'https' })('/healthz/live')).headers[
        'strict-transport-security'
      ]
    t.equal(await hsts('10.0.0.7'), 'max-age=31536000')
    t.equal(await hsts('192.0.2.1'), undefined, 'not because somebody says so')
  })

  t.test(
    "which request it was: by the caller's own name for it, where that is well-formed",
    async (t) => {
      const idOf = async (given?: string) =>
        (await send('GET', alice, undefined, given === undefined ? {} : { 'x-request-id': given }))
          .headers['x-request-id']
      for (const id of [
        'a',
        '0af7651916cd43dd8448eb211c80319c',
        'Root=1-67891233-abcdef012345678912345678',
        'x'.repeat(64)
      ]) {
        t.equal(await idOf(id), id)
      }
      for (const id of [
        '',
        ' ',
        'x'.repeat(65),
        'a b',
        'a, b',
        'a"b',
        'a\tb',
        '<script>',
        '$' + '{jndi:ldap://x}',
        'ä',
        '%0d%0a',
        'a;b',
        '{}',
        '__proto__[x]'
      ]) {
        const made = await idOf(id)
        t.not(made, id)
        t.match(made, /^[\w-]{8}-[a-z0-9]+$/, JSON.stringify(id))
      }
      const made = await Promise.all(Array.from({ length: 100 }, async () => await idOf()))
      t.equal(new Set(made).size, 100, 'no two are the same')
      const port = Number(new URL(await listen(app)).port)
      const ask = async (header: string) =>
        await sendRaw(
          port,
          'GET /healthz/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n' +
            `X-Request-Id: ${header}\r\n\r\n`
        )
      for (const injected of [
        'a\r\nSet-Cookie: x=1',
        'a\nSet-Cookie: x=1',
        'a\rSet-Cookie: x=1',
        'a\x00b',
        'one\r\nX-Request-Id: two'
      ]) {
        t.notMatch(
          (await ask(injected)).head,
          /set-cookie|x-request-id: (?:one|two)/i,
          JSON.stringify(injected)
        )
      }
    }
  )
})

t.test('calls from pages of other origins', async (t) => {
  const origin = 'https://console.example.com'
  const app = await startApp(t, { CORS_ORIGINS: `${origin}, http://localhost:8080` })
  const preflight = {
    origin,
    'access-control-request-method': 'PUT',
    'access-control-request-headers': 'authorization,content-type'
  }
  const crossed = ({ headers }: Pick<Answer, 'headers'>) =>
    Object.keys(headers).filter((name) => name.startsWith('access-control'))

  t.test('are none of our business unless origins are named', async (t) => {
    const closed = await startApp(t)
    t.same(crossed(await as(closed, ADMIN)('GET', alice, undefined, { origin })), [])
    const answer = await as(closed, null)('OPTIONS', alice, undefined, preflight)
    t.equal(answer.status, 405)
    t.same(crossed(answer), [])
  })

  t.test('are let through from the named origins, without cookies', async (t) => {
    for (const one of [origin, 'http://localhost:8080']) {
      const answer = await as(app, ADMIN)('GET', alice, undefined, { origin: one })
      t.match(answer, {
        status: 200,
        headers: { 'access-control-allow-origin': one, vary: /origin/i }
      })
      t.match(answer.headers['access-control-expose-headers'], /Retry-After.*X-Request-Id/)
      t.notOk('access-control-allow-credentials' in answer.headers)
    }
    const refused = await as(app, null)('GET', alice, undefined, { origin })
    t.match(
      refused,
      { status: 401, headers: { 'access-control-allow-origin': origin } },
      'a page can read why it is refused'
    )
  })

  t.test('a preflight needs no token, wherever it goes', async (t) => {
    for (const url of [alice, '/api/sessions', '/api/sessions/limits/bulk', '/healthz/live']) {
      const answer = await as(app, null)('OPTIONS', url, undefined, preflight)
      t.match(
        answer,
        {
          status: 204,
          text: '',
          headers: {
            'access-control-allow-origin': origin,
            'access-control-allow-methods': 'GET, POST, PUT, DELETE',
            'access-control-allow-headers': /^Authorization, Content-Type/,
            'access-control-max-age': '600'
          }
        },
        url
      )
    }
  })

  t.test('from any other origin are as if there was no such thing', async (t) => {
    for (const other of [
      'https://evil.example',
      'null',
      `${origin}.evil.example`,
      `${origin}:443`,
      'http://console.example.com',
      origin.toUpperCase(),
      `${origin}/`,
      `${origin}, https://evil.example`,
      '*',
      ''
    ]) {
      const answer = await as(app, ADMIN)('GET', alice, undefined, { origin: other })
      t.equal(answer.status, 200)
      t.same(crossed(answer), [], other)
      const asked = await as(app, null)('OPTIONS', alice, undefined, {
        ...preflight,
        origin: other
      })
      t.equal(asked.status, 405)
      t.same(crossed(asked), [], other)
    }
  })

  t.test('leave every other answer as it was', async (t) => {
    t.match(await as(app, ADMIN)('OPTIONS', alice), {
      status: 405,
      body: { code: 'method_not_allowed' }
    })
    t.match(await as(app, ADMIN)('OPTIONS', alice, undefined, { origin }), {
      status: 405,
      headers: { allow: 'DELETE, GET, HEAD, PUT' }
    })
    t.match(await as(app, ADMIN)('OPTIONS', '/nowhere'), {
      status: 404,
      body: { code: 'not_found' }
    })
    t.match(await as(app, ADMIN)('GET', '/nowhere'), { status: 404 })
  })

  t.test('what is no list of origins stops the start', async (t) => {
    for (const wrong of [
      '*',
      'console.example.com',
      'https://*.example.com',
      `${origin}/`,
      `${origin} https://b.example`,
      'null',
      `${origin},*`
    ]) {
      t.throws(() => loadConfig({ CORS_ORIGINS: wrong }), new ConfigError(), wrong)
    }
  })
})

t.test('what the service is made of', async (t) => {
  interface Locked {
    version?: string
    integrity?: string
    resolved?: string
    link?: boolean
    dev?: boolean
    optional?: boolean
    dependencies?: Record<string, string>
  }
  const read = (file: string) =>
    JSON.parse(readFileSync(new URL(file, root), 'utf8')) as Record<string, Record<string, unknown>>
  const lock = read('package-lock.json')
  const packages = Object.entries(lock.packages as Record<string, Locked>).filter(
    ([path]) => path !== ''
  )

  t.test('comes from the registry, as it was when it was locked', async (t) => {
    t.ok(packages.length > 400)
    t.same(
      packages.filter(([, { link }]) => link),
      [],
      'nothing is a link'
    )
    t.same(
      packages.filter(
        ([, { resolved = 'https://registry.npmjs.org/' }]) =>
          !resolved.startsWith('https://registry.npmjs.org/')
      ),
      []
    )
    t.same(
      packages.filter(([, { version = '' }]) => !/^\d+\.\d+\.\d+(?:-[\w.-]+)?$/.test(version)),
      [],
      'every version is one'
    )
    t.same(
      packages.filter(([, { integrity = '' }]) => !/^sha512-[\w+/]{86}==/.test(integrity)),
      [],
      'every content is known'
    )
    const asked = [lock.packages?.[''] as Locked, ...packages.map(([, one]) => one)].flatMap(
      ({ dependencies = {} }) => Object.values(dependencies)
    )
    t.same(
      asked.filter((wanted) => /^(?:git|http|file|link|github|[\w-]+\/[\w-]+)/.test(wanted)),
      [],
      'and asks for nothing else'
    )
  })

  t.test('is pinned, and listed by `npm run sbom`', async (t) => {
    const { dependencies = {} } = read('package.json') as { dependencies?: Record<string, string> }
    for (const [name, version] of Object.entries(dependencies)) {
      t.match(version, /^\d+\.\d+\.\d+$/, name)
    }
    const { bomFormat, components } = JSON.parse(
      execFileSync('npm', ['run', '--silent', 'sbom'], {
        cwd: root,
        encoding: 'utf8',
        maxBuffer: 64 * 1024 * 1024
      })
    ) as {
      bomFormat: string
      components: Array<{ name: string; version: string; properties?: Array<{ name: string }> }>
    }
    t.equal(bomFormat, 'CycloneDX')
    const needed = components.filter(
      ({ properties = [] }) =>
        !properties.some(({ name }) => name === 'cdx:npm:package:development')
    )
    const listed = new Set(needed.map(({ name, version }) => `${name}@${version}`))
    const missing = packages
      .filter(([, { dev, optional }]) => !dev && !optional)
      .map(([path, { version }]) => `${path.replace(/^.*node_modules\//, '')}@${version}`)
      .filter((one) => !listed.has(one))
    t.same(missing, [], 'all that production needs is there')
    t.ok(
      components.length > needed.length && !needed.some(({ name }) => name === 'tap'),
      'what is for development is said to be'
    )
  })
})
