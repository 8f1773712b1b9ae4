/** Which tokens are accepted. */
import t from 'tap'
import { PERMISSIONS } from '../../services/auth/permissions.ts'
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
} from '../helpers/app.ts'
import { sendRaw } from '../helpers/raw-http.ts'
import { isBackground, monitorRedis } from '../helpers/redis-monitor.ts'
import { startRedis } from '../helpers/servers.ts'
import { waitFor } from '../helpers/wait.ts'
import { bearer, guarded, isUnauthorized, forged, alice } from './requests.ts'

t.test('tokens', async (t) => {
  const app = await startApp(t)
  const base = await listen(app)
  const ask = async (authorization: string): Promise<Answer> =>
    await as(app, null)('GET', alice, undefined, { authorization })
  const now = Math.floor(Date.now() / 1000)
  const hs256 = { alg: 'HS256', typ: 'JWT' }

  t.test('a token that does not verify is 401, never 500', async (t) => {
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
      'exp beyond all numbers': forged(hs256, '{"sub":"x","role":"admin","exp":1e999}'),
      'exp before all time': forged(hs256, '{"sub":"x","role":"admin","exp":-1e999}'),
      'a negative exp': forged(hs256, { ...ADMIN, exp: -now }),
      'exp after the last year': forged(hs256, { ...ADMIN, exp: 253_402_300_800 }),
      'exp in nanoseconds': forged(hs256, { ...ADMIN, exp: (now + 60) * 1e9 }),
      'nbf before all time': forged(hs256, `{"sub":"x","exp":${now + 60},"nbf":-1e999}`),
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

  t.test('a token is refused after its end, although it was accepted before', async (t) => {
    // The tolerance of five seconds is added to its end.
    const end = Math.floor(Date.now() / 1000)
    const token = forged(hs256, { ...ADMIN, exp: end })
    t.equal((await ask(`Bearer ${token}`)).status, 200)
    await waitFor(async () => (await ask(`Bearer ${token}`)).status === 401, {
      what: 'the end of the token'
    })
    t.ok(Date.now() > (end + 5) * 1000, 'accepted until its end')
  })

  t.test('a token anywhere but in the one Authorization header is ignored', async (t) => {
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

  t.test('no route asks the store before it answers 401 or 403', async (t) => {
    const redis = await startRedis(t)
    const app = await startAppOn(t, redis)
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

t.test('issuer and audience have to match where the settings name them', async (t) => {
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
