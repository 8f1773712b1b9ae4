/** Which key may sign what, and which settings of keys stop the start. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig, readPublicKeys } from '../../config.ts'
import { publicKeyOfJwk, publicKeysOf } from '../../services/auth/verification-key.ts'
import { ADMIN, startApp, TEST_SECRET, tokenFor } from '../helpers/app.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { makeCertificates } from '../helpers/tls.ts'
import { makePair, signToken, startProvider } from '../helpers/tokens.ts'
import { waitFor } from '../helpers/wait.ts'
import { hs256, statusOf, fits, pemFile, otherRsa, ed, ec, rsa } from './key-pairs.ts'

t.test('each key accepts its own algorithms and no other', async (t) => {
  const provider = await startProvider(t, [
    { ...rsa.jwk, kid: 'rsa' },
    { ...ec.jwk, kid: 'ec', use: 'sig' },
    { ...ed.jwk, kid: 'ed', alg: 'EdDSA', key_ops: ['verify'] },
    { ...otherRsa.jwk, kid: 'only-rs', alg: 'RS256' },
    { ...ec.jwk, kid: 'for-encryption', use: 'enc' },
    { ...ec.jwk, kid: 'wrong-alg', alg: 'ES384' },
    { ...makePair('rsa', { modulusLength: 1024 }).jwk, kid: 'short' },
    { kty: 'oct', k: Buffer.from(TEST_SECRET).toString('base64url'), kid: 'oct' },
    { ...ec.jwk },
    { kty: 'EC', kid: 'broken' },
    null as never,
    'text' as never
  ])
  const apps = {
    'a PEM file': await startApp(t, { JWT_PUBLIC_KEYS: pemFile(t, rsa, ec, ed) }),
    'a JWK Set': await startApp(t, { JWT_JWKS_URL: provider.url })
  }
  const byProvider = signToken({ alg: 'ES256', kid: 'ec' }, ADMIN, ec.privateKey)
  await waitFor(async () => (await statusOf(apps['a JWK Set'], byProvider)) === 200, {
    what: 'the keys to be read'
  })
  const names = new Map([
    [rsa, 'rsa'],
    [ec, 'ec'],
    [ed, 'ed']
  ])
  for (const [source, app] of Object.entries(apps)) {
    for (const [how, pair] of fits) {
      for (const kid of names.values()) {
        for (const alg of [
          'RS256',
          'PS256',
          'ES256',
          'EdDSA',
          'RS512',
          'HS256',
          'none',
          'None',
          'ES256K',
          'rs256'
        ]) {
          const token = signToken({ alg, kid }, ADMIN, pair.privateKey, how)
          const good = alg === how && (source === 'a PEM file' || kid === names.get(pair))
          t.equal(
            await statusOf(app, token),
            good ? 200 : 401,
            `${source}: ${alg} that is ${how} by ${names.get(pair)}, named ${kid}`
          )
        }
      }
    }
    t.equal(await statusOf(app, tokenFor(app, ADMIN)), 200, "the web console's beside it")
    t.equal(
      await statusOf(app, signToken({ alg: 'RS512', kid: 'rsa' }, ADMIN, rsa.privateKey)),
      401,
      'RS512 by the right key'
    )
    t.equal(
      await statusOf(app, signToken({ alg: 'RS256', kid: 'rsa' }, ADMIN, otherRsa.privateKey)),
      401,
      'another key'
    )
  }
  const set = apps['a JWK Set']
  t.equal(
    await statusOf(set, signToken({ alg: 'RS256', kid: 'only-rs' }, ADMIN, otherRsa.privateKey)),
    200
  )
  t.equal(
    await statusOf(set, signToken({ alg: 'PS256', kid: 'only-rs' }, ADMIN, otherRsa.privateKey)),
    401,
    'alg in the set narrows'
  )
  for (const kid of [
    'for-encryption',
    'wrong-alg',
    'broken',
    'nothing',
    '',
    undefined,
    5,
    ['ec'],
    { toString: 'ec' },
    '__proto__'
  ]) {
    t.equal(
      await statusOf(set, signToken({ alg: 'ES256', kid }, ADMIN, ec.privateKey)),
      401,
      `kid ${JSON.stringify(kid)}`
    )
  }
  t.equal(
    await statusOf(set, hs256({ kid: 'oct' }, ADMIN, 'a secret of another, 32 bytes or more')),
    401,
    'no secret comes from a set'
  )
})

t.test('a token cannot choose the key that verifies it', async (t) => {
  const attacker = makePair('ec')
  const trap = await startProvider(t, [{ ...attacker.jwk, kid: 'x' }])
  const provider = await startProvider(t, [{ ...ec.jwk, kid: 'x' }])
  const app = await startApp(t, {
    JWT_PUBLIC_KEYS: pemFile(t, rsa),
    JWT_JWKS_URL: provider.url,
    JWT_PROVIDER_ISSUER: 'https://idp',
    JWT_ISSUER: 'console'
  })
  const claims = { ...ADMIN, iss: 'https://idp' }
  const der = Buffer.from(rsa.pem.replace(/-----[^-]+-----|\s/g, ''), 'base64').toString('latin1')
  const secrets = [
    rsa.pem,
    rsa.pem.trim(),
    der,
    JSON.stringify(rsa.jwk),
    JSON.stringify({ ...ec.jwk, kid: 'x' }),
    JSON.stringify({ keys: provider.keys }),
    ''
  ]
  for (const secret of secrets) {
    for (const iss of ['https://idp', 'console', undefined]) {
      t.equal(
        await statusOf(app, hs256({ kid: 'x' }, { ...claims, iss }, secret)),
        401,
        `HS256 over ${secret.slice(0, 30)} of ${iss}`
      )
    }
  }
  for (const header of [
    { jwk: attacker.jwk },
    { jku: trap.url },
    { x5u: trap.url },
    { x5c: [attacker.pem] },
    { kid: trap.url },
    { kid: '../../../../dev/null' },
    { kid: "x' UNION SELECT 'key" },
    { kid: 'x\u0000' },
    { kid: 'x', jwk: attacker.jwk, jku: trap.url }
  ]) {
    const forged = signToken({ alg: 'ES256', kid: 'x', ...header }, claims, attacker.privateKey)
    t.equal(await statusOf(app, forged), 401, JSON.stringify(header))
    t.equal(
      await statusOf(app, hs256({ ...header }, { ...claims, iss: 'console' }, '')),
      401,
      'nor HS256 over nothing'
    )
  }
  t.equal(
    await statusOf(
      app,
      signToken(
        { alg: 'ES256', kid: 'x', jwk: attacker.jwk, jku: trap.url, x5u: trap.url },
        claims,
        ec.privateKey
      )
    ),
    200,
    'what a good token holds besides is not looked at'
  )
  t.equal(trap.asked, 0, 'nobody was asked for the keys of an attacker')
  for (const crit of [['exp'], ['x'], ['b64'], [], 'x', '', null, false, 0, {}]) {
    t.equal(
      await statusOf(
        app,
        signToken({ alg: 'ES256', kid: 'x', crit, x: 1, b64: false }, claims, ec.privateKey)
      ),
      401,
      `crit ${JSON.stringify(crit)}`
    )
  }
})

t.test('the keys of one issuer do not verify the tokens of the other', async (t) => {
  const env = {
    JWT_SECRET: TEST_SECRET,
    JWT_PUBLIC_KEYS: pemFile(t, rsa),
    JWT_SECRET_PREVIOUS: 'the secret before the one of today',
    JWT_PROVIDER_ISSUER: 'https://idp',
    JWT_PROVIDER_AUDIENCE: 'limits'
  }
  const open = await startApp(t, env)
  const named = await startApp(t, { ...env, JWT_ISSUER: 'console', JWT_AUDIENCE: 'switch' })
  const byRsa = (claims: object) =>
    signToken({ alg: 'RS256' }, { ...ADMIN, ...claims }, rsa.privateKey)
  const bySecret = (claims: object) => hs256({}, { ...ADMIN, ...claims }, TEST_SECRET)
  for (const [claims, status] of [
    [{ iss: 'https://idp', aud: 'limits' }, 200],
    [{ iss: 'https://idp', aud: ['x', 'limits'] }, 200],
    [{ iss: 'https://idp' }, 401],
    [{ iss: 'https://idp', aud: 'switch' }, 401],
    [{ iss: 'console', aud: 'limits' }, 401],
    [{ iss: 'console', aud: 'switch' }, 401],
    [{}, 401],
    [{ iss: 'https://idp/', aud: 'limits' }, 401],
    [{ iss: ['https://idp'], aud: 'limits' }, 401],
    [{ iss: 'https://other', aud: 'limits' }, 401]
  ] as const) {
    for (const app of [open, named]) {
      t.equal(
        await statusOf(app, byRsa(claims)),
        status,
        `by the provider ${JSON.stringify(claims)}`
      )
    }
  }
  for (const [claims, whenOpen, whenNamed] of [
    [{}, 200, 401],
    [{ iss: 'console', aud: 'switch' }, 200, 200],
    [{ iss: 'console' }, 200, 401],
    [{ iss: 'other' }, 200, 401],
    [{ iss: 'https://idp', aud: 'limits' }, 401, 401],
    [{ iss: 'https://idp', aud: 'switch' }, 401, 401]
  ] as const) {
    t.equal(
      await statusOf(open, bySecret(claims)),
      whenOpen,
      `by the secret ${JSON.stringify(claims)}`
    )
    t.equal(
      await statusOf(named, bySecret(claims)),
      whenNamed,
      `by the secret ${JSON.stringify(claims)}, where it is named`
    )
  }
  t.equal(
    await statusOf(open, hs256({}, ADMIN, env.JWT_SECRET_PREVIOUS)),
    200,
    'the secret before is accepted'
  )
  t.equal(
    await statusOf(await startApp(t), hs256({}, ADMIN, env.JWT_SECRET_PREVIOUS)),
    401,
    'until it is taken out'
  )
  t.equal(await statusOf(open, hs256({}, ADMIN, tokenFor(open, ADMIN))), 401)
})

t.test('unusable keys stop the start', async (t) => {
  const folder = temporaryFolder(t)
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const keys = (env: Record<string, string>) => readPublicKeys(loadConfig(env))()
  for (const [name, text, problem] of [
    ['empty.pem', '', /has no key/],
    ['text.pem', 'hello', /has no key/],
    [
      'private.pem',
      rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      /has a private key/
    ],
    [
      'both.pem',
      rsa.pem + ec.privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
      /has a private key/
    ],
    ['short.pem', makePair('rsa', { modulusLength: 1024 }).pem, /RSA key of less than 2048 bits/],
    [
      'curve.pem',
      makePair('ec', { namedCurve: 'P-384' }).pem,
      /neither RSA nor P-256 nor Ed25519/
    ],
    [
      'koblitz.pem',
      makePair('ec', { namedCurve: 'secp256k1' }).pem,
      /neither RSA nor P-256 nor Ed25519/
    ],
    [
      'second.pem',
      ec.pem + makePair('rsa', { modulusLength: 1024 }).pem,
      /RSA key of less than 2048 bits/
    ],
    ['broken.pem', rsa.pem.replace(/^MII/m, 'AAA'), /has a key that cannot be read/]
  ] as const) {
    t.throws(() => keys({ JWT_PUBLIC_KEYS: file(name, text) }), { message: problem }, name)
    t.throws(
      () => keys({ JWT_PUBLIC_KEYS: join(folder, name) }),
      { message: /^JWT_PUBLIC_KEYS: [^\n]+$/ },
      `${name} in one line`
    )
  }
  t.throws(() => keys({ JWT_PUBLIC_KEYS: join(folder, 'nowhere.pem') }), {
    message: /^JWT_PUBLIC_KEYS: must name a PEM file that can be read \(ENOENT\)/
  })
  const { server } = await makeCertificates(folder)
  t.same(
    keys({ JWT_PUBLIC_KEYS: server.cert }).map(({ algorithms }) => algorithms),
    [['ES256']],
    'a certificate will do'
  )
  t.same(
    publicKeysOf(`${rsa.pem}text between\n${ec.pem}${ed.pem}`).map(({ algorithms }) => algorithms),
    [['RS256', 'PS256'], ['ES256'], ['EdDSA']]
  )
  t.throws(() => publicKeyOfJwk({ ...rsa.jwk, alg: 'HS256' }))

  const secret = { JWT_SECRET: TEST_SECRET }
  for (const [env, message] of [
    [{ JWT_JWKS_URL: 'ftp://idp' }, /^JWT_JWKS_URL: must be a URL that begins with https:/],
    [{ JWT_JWKS_URL: 'http://' }, /^JWT_JWKS_URL: must be a URL/],
    [
      { JWT_JWKS_URL: 'https://user:hunter2@idp/jwks' },
      /^JWT_JWKS_URL: must be a URL without a password(?!.*hunter2)/
    ],
    [
      {
        NODE_ENV: 'production',
        JWT_JWKS_URL: 'http://idp/jwks',
        JWT_PROVIDER_ISSUER: 'https://idp',
        JWT_PROVIDER_AUDIENCE: 'session-limits'
      },
      /^JWT_JWKS_URL: must begin with https:/
    ],
    [{ JWT_PROVIDER_ISSUER: 'x' }, /^JWT_PROVIDER_ISSUER: needs JWT_PUBLIC_KEYS/],
    [{ JWT_PROVIDER_AUDIENCE: 'x' }, /^JWT_PROVIDER_AUDIENCE: needs JWT_PUBLIC_KEYS/],
    [{ JWT_SECRET_PREVIOUS: TEST_SECRET }, /^JWT_SECRET: must be set because JWT_SECRET_PREVIOUS is set/],
    [
      { ...secret, JWT_SECRET_PREVIOUS: 'hunter2' },
      /^JWT_SECRET_PREVIOUS: must have at least 32 bytes(?!.*hunter2)/
    ],
    [
      {
        JWT_SECRET: randomBytes(48).toString('base64'),
        NODE_ENV: 'production',
        JWT_SECRET_PREVIOUS: 'changeme'.repeat(4)
      },
      /^JWT_SECRET_PREVIOUS: must not be a well-known default/
    ],
    [{ JWT_CLOCK_TOLERANCE_SECONDS: '61' }, /^JWT_CLOCK_TOLERANCE_SECONDS: must be a whole number from 0 to 60/],
    [{ JWT_CLOCK_TOLERANCE_SECONDS: '-1' }, /^JWT_CLOCK_TOLERANCE_SECONDS: must be a whole number/],
    [
      {
        NODE_ENV: 'production',
        JWT_JWKS_URL: 'https://idp/jwks',
        JWT_PROVIDER_ISSUER: 'https://idp',
        JWT_PROVIDER_AUDIENCE: 'session-limits',
        ADMIN_USERNAME: 'a',
        ADMIN_PASSWORD_HASH: `$scrypt$ln=17,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
      },
      /^JWT_SECRET: must be set in production because ADMIN_USERNAME is set/
    ]
  ] as Array<[Record<string, string>, RegExp]>) {
    t.throws(() => loadConfig(env), { message }, JSON.stringify(env))
  }
  const production = { NODE_ENV: 'production', MOCK_SESSION_LIMITS: 'true' }
  const named = { JWT_PROVIDER_ISSUER: 'https://idp', JWT_PROVIDER_AUDIENCE: 'session-limits' }
  for (const keys of [{ JWT_JWKS_URL: 'https://idp/jwks' }, { JWT_PUBLIC_KEYS: 'x.pem' }]) {
    t.equal(
      loadConfig({ ...production, ...named, ...keys }).JWT_SECRET,
      undefined,
      'a provider will do in production'
    )
    for (const name of ['JWT_PROVIDER_ISSUER', 'JWT_PROVIDER_AUDIENCE'] as const) {
      const message = new RegExp(`^${name}: must be set in production`)
      t.throws(() => loadConfig({ ...production, ...named, ...keys, [name]: '' }), { message })
      t.ok(loadConfig({ ...named, ...keys, [name]: '' }), 'development is left alone')
    }
  }
})
