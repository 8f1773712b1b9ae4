/** Forwarded addresses, security headers, and calls from other origins. */
import t from 'tap'
import { ConfigError, loadConfig } from '../../config.ts'
import { ADMIN, type Answer, as, listen, startApp } from '../helpers/app.ts'
import { sendRaw } from '../helpers/raw-http.ts'
import { from } from './callers.ts'

const alice = '/api/sessions/limits/alice'

const limited = { RATE_LIMIT_MAX: '3' }

t.test('whose X-Forwarded-For is trusted', async (t) => {
  const login = {
    ADMIN_USERNAME: 'root',
    ADMIN_PASSWORD_HASH: `$scrypt$ln=14,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
  }
  const forged = (i: number) => ({
    'x-forwarded-for': `203.0.113.${i}`,
    forwarded: `for=203.0.113.${i}`,
    'x-real-ip': `203.0.113.${i}`
  })

  t.test("nobody's, unless TRUST_PROXY names proxies", async (t) => {
    const app = await startApp(t, limited)
    for (let i = 0; i < 3; i++) {
      t.equal((await from(app, '192.0.2.1', null, forged(i))()).status, 401)
    }
    t.equal((await from(app, '192.0.2.1', null, forged(9))()).status, 429)
  })

  t.test("a named proxy's, for the one hop that it has seen", async (t) => {
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

  t.test('an address is the same with every port, and what is none hides nobody', async (t) => {
    const app = await startApp(t, { ...limited, TRUSTED_PROXIES: '10.0.0.7, fd00::/8' })
    const via = async (forwarded: string, proxy = '10.0.0.7') =>
      (await from(app, proxy, null, { 'x-forwarded-for': forwarded })()).status
    for (let i = 0; i < 3; i++) t.equal(await via(`198.51.100.1:${4000 + i}`), 401)
    t.equal(await via('198.51.100.1:5000'), 429)
    t.equal(await via('198.51.100.1'), 429)
    t.equal(await via('203.0.113.9, 198.51.100.1:6000'), 429)
    t.equal(await via('198.51.100.1:1 , 10.0.0.7:80', 'fd00::1'), 429, 'through a named proxy')
    for (let i = 0; i < 3; i++) t.equal(await via(`[2001:db8::1]:${4000 + i}`), 401)
    t.equal(await via('2001:db8::1'), 429)
    t.equal(await via('[2001:db8::1]'), 429)
    for (let i = 0; i < 3; i++) t.equal(await via(`_hidden${i}`), 401)
    t.equal(await via('unknown'), 429, "what is no address counts as the proxy's own")
    t.equal(await via(''), 429)
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

  t.test('a malformed list of addresses stops the start', async (t) => {
    for (const wrong of [
      'true',
      '*',
      '10.0.0.0/33',
      '10.0.0',
      'fd00::/129',
      'proxy.example.com',
      '10.0.0.7;10.0.0.8',
      '0.0.0.0/',
      '0.0.0.0/0',
      '::/0',
      '10.0.0.7,0.0.0.0/0',
      'fe80::1%eth0'
    ]) {
      t.throws(() => loadConfig({ TRUSTED_PROXIES: wrong }), new ConfigError(), wrong)
    }
  })
})

t.test('headers of every answer', async (t) => {
  const app = await startApp(t, { TRUSTED_PROXIES: '10.0.0.7' })
  const send = as(app, ADMIN)

  t.test('forbid browsers to sniff, frame, cache and send referrers', async (t) => {
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

  t.test('let pages load their own files and nothing else', async (t) => {
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

  t.test('have HSTS where the request came by TLS', async (t) => {
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

t.test('CORS', async (t) => {
  const origin = 'https://console.example.com'
  const app = await startApp(t, { CORS_ORIGINS: `${origin}, http://localhost:8080` })
  const preflight = {
    origin,
    'access-control-request-method': 'PUT',
    'access-control-request-headers': 'authorization,content-type'
  }
  const crossed = ({ headers }: Pick<Answer, 'headers'>) =>
    Object.keys(headers).filter((name) => name.startsWith('access-control'))

  t.test('has no headers unless origins are named', async (t) => {
    const closed = await startApp(t)
    t.same(crossed(await as(closed, ADMIN)('GET', alice, undefined, { origin })), [])
    const answer = await as(closed, null)('OPTIONS', alice, undefined, preflight)
    t.equal(answer.status, 405)
    t.same(crossed(answer), [])
  })

  t.test('lets the named origins in, without cookies', async (t) => {
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

  t.test('answers every preflight without a token', async (t) => {
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

  t.test('has no headers for other origins', async (t) => {
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

  t.test('leaves answers without an Origin as they are', async (t) => {
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

  t.test('stops the start for a malformed list of origins', async (t) => {
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
