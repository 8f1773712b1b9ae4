/**
 * Tokens of an identity provider: which key may sign what, and what happens when its keys change or
 * cannot be had.
 */
import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { createDecoder, createVerifier } from 'fast-jwt'
import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { loadConfig, readPublicKeys } from '../config.ts'
import { Jwks } from '../services/auth/jwks.ts'
import { type Header, type JwtLibrary, TokenVerifier } from '../services/auth/token-verifier.ts'
import { publicKeyOfJwk, publicKeysOf, secretKey } from '../services/auth/verification-key.ts'
import { ADMIN, as, startApp, TEST_SECRET, tokenFor } from './helpers/app.ts'
import { temporaryFolder } from './helpers/process.ts'
import { makeCertificates } from './helpers/tls.ts'
import { makePair, signToken, startProvider, type Pair } from './helpers/tokens.ts'
import { waitFor } from './helpers/wait.ts'

const [rsa, otherRsa, ec, ed] = [
  makePair('rsa'),
  makePair('rsa'),
  makePair('ec'),
  makePair('ed25519')
]
const fits: Array<[alg: string, pair: Pair]> = [
  ['RS256', rsa],
  ['PS256', rsa],
  ['ES256', ec],
  ['EdDSA', ed]
]

async function statusOf (app: FastifyInstance, token: string): Promise<number> {
  return (
    await as(app, null)('GET', '/api/sessions/limits/alice', undefined, {
      authorization: `Bearer ${token}`
    })
  ).status
}

function hs256 (header: object, claims: object, secret: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const exp = Math.floor(Date.now() / 1000) + 3600
  const input = `${part({ alg: 'HS256', ...header })}.${part({ exp, ...claims })}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

/** A PEM file of these keys. */
function pemFile (t: Test, ...pairs: Pair[]): string {
  const path = join(temporaryFolder(t), 'keys.pem')
  writeFileSync(path, pairs.map(({ pem }) => pem).join('\n'))
  return path
}

t.test('each algorithm is accepted by the key that it is for, and by no other', async (t) => {
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

t.test('no token chooses its key', async (t) => {
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

t.test('two issuers are kept apart', async (t) => {
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

t.test('the end and the beginning of a token, to the millisecond', async (t) => {
  const start = Date.UTC(2026, 0, 1)
  let now = start
  let verified = 0
  const jwt: JwtLibrary = {
    decode: createDecoder({ complete: true }) as unknown as JwtLibrary['decode'],
    verify: (token, checks) => {
      verified++
      return createVerifier({ ...checks })(token) as Record<string, unknown>
    }
  }
  let keys = [secretKey(TEST_SECRET)]
  const verifierWith = (toleranceMs: number) =>
    new TokenVerifier({
      issuers: [{ name: undefined, audience: undefined, keys: [() => keys] }],
      jwt,
      toleranceMs,
      bindNodes: false,
      clock: () => now
    })
  const seconds = start / 1000
  const accepts = async (verifier: TokenVerifier, claims: object) =>
    await verifier.verify(`Bearer ${hs256({}, claims, TEST_SECRET)}`).then(
      () => true,
      () => false
    )

  for (const tolerance of [0, 5_000, 60_000]) {
    const verifier = verifierWith(tolerance)
    for (const [offset, good] of [
      [-60_000, true],
      [tolerance, true],
      [tolerance + 1, false],
      [tolerance + 1_000, false]
    ] as const) {
      now = start + offset
      t.equal(
        await accepts(verifier, { exp: seconds }),
        good,
        `exp, ${offset} ms later, tolerance ${tolerance}`
      )
    }
    for (const [offset, good] of [
      [-tolerance - 1, false],
      [-tolerance, true],
      [0, true]
    ] as const) {
      now = start + offset
      t.equal(
        await accepts(verifier, { exp: seconds + 900, nbf: seconds }),
        good,
        `nbf, ${offset} ms later, tolerance ${tolerance}`
      )
    }
  }
  now = start
  for (const claims of [
    { exp: undefined },
    { exp: '9999999999' },
    { exp: null },
    { exp: true },
    { exp: {} },
    { exp: [9_999_999_999] },
    { exp: seconds + 9, nbf: '0' },
    { exp: seconds + 9, nbf: null }
  ]) {
    t.equal(await accepts(verifierWith(5_000), claims), false, JSON.stringify(claims))
  }

  t.test(
    'a verdict is remembered for a minute, never beyond the end, and not without bounds',
    async (t) => {
      const verifier = verifierWith(5_000)
      const [long, short] = [900, 20].map(
        (left, id) => `Bearer ${hs256({}, { exp: seconds + left, id }, TEST_SECRET)}`
      ) as [string, string]
      now = start
      t.equal(verifier.remembered(long), undefined)
      const caller = await verifier.verify(long)
      await verifier.verify(short)
      t.equal(verifier.remembered(long), caller)
      now = start + 25_000
      t.ok(verifier.remembered(short))
      now = start + 25_001
      t.notOk(verifier.remembered(short), 'its end')
      now = start + 60_000
      t.ok(verifier.remembered(long))
      now = start + 60_001
      t.notOk(verifier.remembered(long), 'a minute')
      keys = []
      await t.rejects(verifier.verify(long), 'its key is gone')
      keys = [secretKey(TEST_SECRET)]
      verified = 0
      for (let i = 0; i < 1_005; i++) {
        await verifier.verify(`Bearer ${hs256({}, { exp: seconds + 900, i }, TEST_SECRET)}`)
      }
      t.equal(verified, 1_005)
      const remembered = Array.from({ length: 1_005 }, (_, i) =>
        verifier.remembered(`Bearer ${hs256({}, { exp: seconds + 900, i }, TEST_SECRET)}`)
      )
      t.equal(remembered.filter((one) => one !== undefined).length, 1_000)
      t.ok(remembered.at(-1), 'the last ones')
    }
  )

  t.test('nothing that failed is remembered', async (t) => {
    const verifier = verifierWith(0)
    const bad = `Bearer ${hs256({}, ADMIN, 'another secret')}`
    await t.rejects(verifier.verify(bad))
    t.equal(verifier.remembered(bad), undefined)
  })
})

t.test('the keys of a provider', async (t) => {
  const of = (kid: string, alg = 'ES256'): Header => ({ alg, kid })
  const told = () => {
    const outcomes: string[] = []
    return {
      outcomes,
      report: (outcome: object) => {
        outcomes.push('usable' in outcome ? `${outcome.usable} keys` : 'away')
      }
    }
  }
  const timing = { deadlineMs: 300, everyMs: 3_600_000, unknownMs: 3_600_000 }

  t.test('hold while it is away, however it fails, and that is said once', async (t) => {
    const provider = await startProvider(t, [{ ...ec.jwk, kid: 'one' }])
    const { outcomes, report } = told()
    const jwks = new Jwks(provider.url, report, timing)
    t.teardown(() => jwks.stop())
    await jwks.read()
    const elsewhere = await startProvider(t, [])
    for (const fault of [
      'hangs',
      'hangs in the middle',
      { status: 500, body: '{"keys":[]}' },
      { status: 404, body: '' },
      { status: 200, body: '<html>' },
      { status: 200, body: '{}' },
      { status: 200, body: '{"keys":{}}' },
      { status: 200, body: 'null' },
      { status: 302, body: '', location: elsewhere.url }
    ] as const) {
      provider.fault = fault
      const began = performance.now()
      await jwks.read()
      t.ok(performance.now() - began < 5_000, 'within the deadline')
      t.equal((await jwks.keysFor(of('one'))).length, 1, JSON.stringify(fault))
    }
    t.equal(elsewhere.asked, 0, 'no redirect is followed')
    provider.fault = undefined
    await jwks.read()
    await jwks.read()
    t.same(outcomes, ['1 keys', 'away', '1 keys'])
  })

  t.test(
    'are read again and again: a new one arrives and one that is withdrawn goes, until the end',
    async (t) => {
      const provider = await startProvider(t, [{ ...ec.jwk, kid: 'one' }])
      const jwks = new Jwks(provider.url, () => {}, { ...timing, everyMs: 20 })
      t.teardown(() => jwks.stop())
      jwks.start()
      await waitFor(() => provider.asked > 1, { what: 'the second read' })
      provider.keys = [{ ...rsa.jwk, kid: 'two' }]
      const before = provider.asked
      await waitFor(() => provider.asked > before + 2, { what: 'two more reads' })
      t.equal((await jwks.keysFor(of('two', 'RS256'))).length, 1)
      t.equal((await jwks.keysFor(of('one'))).length, 0)
      jwks.stop()
      await jwks.read()
      const after = provider.asked
      await t.rejects(
        waitFor(() => provider.asked > after, { what: 'a read after the end', deadlineMs: 300 })
      )
    }
  )

  t.test('are asked for once in a flood of unknown ones, and by nobody else', async (t) => {
    const provider = await startProvider(t, [{ ...ec.jwk, kid: 'one' }])
    const jwks = new Jwks(provider.url, () => {}, timing)
    t.teardown(() => jwks.stop())
    await jwks.read()
    await jwks.keysFor(of('one'))
    await jwks.keysFor(of('one', 'RS256'))
    await jwks.keysFor(of('unknown', 'HS256'))
    await jwks.keysFor({ alg: 'ES256', kid: 5 })
    t.equal(provider.asked, 1, 'not for what is known, nor for what no key of it can have signed')
    provider.keys.push({ ...ed.jwk, kid: 'new' })
    const found = await Promise.all(
      Array.from(
        { length: 200 },
        async (_, i) => await jwks.keysFor(of(i === 99 ? 'new' : `x${i}`, 'EdDSA'))
      )
    )
    t.equal(found.flat().length, 1, 'a new one is found in the midst of them')
    for (let i = 0; i < 200; i++) await jwks.keysFor(of(`y${i}`))
    t.equal(provider.asked, 2)
  })
})

t.test('a provider whose keys change', async (t) => {
  const provider = await startProvider(t, [{ ...ec.jwk, kid: 'old' }])
  const app = await startApp(t, { JWT_JWKS_URL: provider.url })
  const byOld = (id = 0) =>
    signToken({ alg: 'ES256', kid: 'old' }, { ...ADMIN, jti: `o${id}` }, ec.privateKey)
  t.equal(await statusOf(app, byOld()), 200)
  provider.keys = [
    { ...ec.jwk, kid: 'old' },
    { ...rsa.jwk, kid: 'new' }
  ]
  t.equal(
    await statusOf(app, signToken({ alg: 'RS256', kid: 'new' }, ADMIN, rsa.privateKey)),
    200,
    'the new one at once'
  )
  t.equal(await statusOf(app, byOld(1)), 200, 'the old one still')
  const [before, began] = [provider.asked, performance.now()]
  const flood = Array.from({ length: 300 }, (_, i) =>
    signToken({ alg: 'ES256', kid: `x${i}` }, ADMIN, ec.privateKey)
  )
  const statuses = await Promise.all(flood.map(async (token) => await statusOf(app, token)))
  t.ok(statuses.every((status) => status === 401))
  const allowed = Math.floor((performance.now() - began) / 5_000) + 1
  t.ok(
    provider.asked - before <= allowed,
    `asked ${provider.asked - before} times in a flood of 300, at most ${allowed}`
  )
})

t.test('a provider that is away', async (t) => {
  let log = ''
  const stream = new Writable({
    write (chunk: Buffer, _encoding, done) {
      log += chunk.toString()
      done()
    }
  })
  const provider = await startProvider(t, [{ ...ec.jwk, kid: 'one' }])
  provider.fault = 'hangs'
  const app = await startApp(
    t,
    { JWT_JWKS_URL: provider.url, JWT_PUBLIC_KEYS: pemFile(t, rsa) },
    { logger: { level: 'info', stream } }
  )
  const byProvider = (id: number) =>
    signToken({ alg: 'ES256', kid: 'one' }, { ...ADMIN, jti: id }, ec.privateKey)
  const waiting: string[] = []
  const hung = Promise.all(
    [1, 2, 3].map(async (id) => {
      const status = await statusOf(app, byProvider(id))
      waiting.push('answered')
      return status
    })
  )
  const began = performance.now()
  t.equal(
    (await as(app, ADMIN)('POST', '/api/sessions', { username: 'alice', session_id: 'one' }))
      .status,
    201,
    "the web console's token"
  )
  t.equal(
    await statusOf(app, signToken({ alg: 'RS256', kid: 'pem' }, ADMIN, rsa.privateKey)),
    200,
    'a key of the PEM file'
  )
  t.equal(waiting.length, 0, 'neither waits for the provider')
  t.same(await hung, [401, 401, 401], 'its own are 401')
  t.ok(performance.now() - began < 6_000, 'by a deadline')
  t.equal(log.match(/could not be read/g)?.length, 1, 'said once')
  provider.fault = undefined
  await waitFor(async () => (await statusOf(app, byProvider(4))) === 200, {
    what: 'the keys to be asked for again',
    deadlineMs: 9_000
  })
  provider.fault = { status: 503, body: '' }
  await waitFor(
    async () => {
      await statusOf(
        app,
        signToken({ alg: 'ES256', kid: `unknown ${log.length}` }, ADMIN, ec.privateKey)
      )
      return log.match(/could not be read/g)?.length === 2
    },
    { what: 'a read that fails', deadlineMs: 9_000 }
  )
  t.equal(await statusOf(app, byProvider(5)), 200, 'a token that was never seen, by a key that was')
  t.notMatch(log, /eyJ/, 'no token in the log')
})

t.test('keys that cannot be used stop the start', async (t) => {
  const folder = temporaryFolder(t)
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const keys = (env: Record<string, string>) => readPublicKeys(loadConfig(env))
  for (const [name, text, problem] of [
    ['empty.pem', '', /holds no key/],
    ['text.pem', 'hello', /holds no key/],
    [
      'private.pem',
      rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      /holds a private key/
    ],
    [
      'both.pem',
      rsa.pem + ec.privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
      /holds a private key/
    ],
    ['short.pem', makePair('rsa', { modulusLength: 1024 }).pem, /RSA key of less than 2048 bits/],
    [
      'curve.pem',
      makePair('ec', { namedCurve: 'P-384' }).pem,
      /neither RSA nor of the curve P-256 or Ed25519/
    ],
    [
      'koblitz.pem',
      makePair('ec', { namedCurve: 'secp256k1' }).pem,
      /neither RSA nor of the curve P-256 or Ed25519/
    ],
    [
      'second.pem',
      ec.pem + makePair('rsa', { modulusLength: 1024 }).pem,
      /RSA key of less than 2048 bits/
    ],
    ['broken.pem', rsa.pem.replace(/^MII/m, 'AAA'), /holds a key that cannot be read/]
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
    [{ JWT_JWKS_URL: 'ftp://idp' }, /^JWT_JWKS_URL: must match/],
    [{ JWT_JWKS_URL: 'http://' }, /^JWT_JWKS_URL: must be a URL/],
    [
      { JWT_JWKS_URL: 'https://user:hunter2@idp/jwks' },
      /^JWT_JWKS_URL: must be a URL without a password(?!.*hunter2)/
    ],
    [
      { ...secret, NODE_ENV: 'production', JWT_JWKS_URL: 'http://idp/jwks' },
      /^JWT_JWKS_URL: must begin with https:/
    ],
    [{ JWT_PROVIDER_ISSUER: 'x' }, /^JWT_PROVIDER_ISSUER: means nothing without/],
    [{ JWT_PROVIDER_AUDIENCE: 'x' }, /^JWT_PROVIDER_AUDIENCE: means nothing/],
    [{ JWT_SECRET_PREVIOUS: TEST_SECRET }, /^JWT_SECRET: must be set too/],
    [
      { ...secret, JWT_SECRET_PREVIOUS: 'hunter2' },
      /^JWT_SECRET_PREVIOUS: must have at least 32 bytes(?!.*hunter2)/
    ],
    [
      { ...secret, NODE_ENV: 'production', JWT_SECRET_PREVIOUS: 'changeme'.repeat(4) },
      /^JWT_SECRET_PREVIOUS: must not be a default one/
    ],
    [{ JWT_CLOCK_TOLERANCE_SECONDS: '61' }, /^JWT_CLOCK_TOLERANCE_SECONDS: must be <= 60/],
    [{ JWT_CLOCK_TOLERANCE_SECONDS: '-1' }, /^JWT_CLOCK_TOLERANCE_SECONDS: must be >= 0/],
    [
      {
        NODE_ENV: 'production',
        JWT_JWKS_URL: 'https://idp/jwks',
        ADMIN_USERNAME: 'a',
        ADMIN_PASSWORD_HASH: `$scrypt$ln=17,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
      },
      /^JWT_SECRET: must be set in production, as ADMIN_USERNAME is/
    ]
  ] as Array<[Record<string, string>, RegExp]>) {
    t.throws(() => loadConfig(env), { message }, JSON.stringify(env))
  }
  t.equal(
    loadConfig({ NODE_ENV: 'production', JWT_JWKS_URL: 'https://idp/jwks' }).JWT_SECRET,
    undefined,
    'a provider will do in production'
  )
  t.equal(loadConfig({ NODE_ENV: 'production', JWT_PUBLIC_KEYS: 'x.pem' }).JWT_SECRET, undefined)
})
