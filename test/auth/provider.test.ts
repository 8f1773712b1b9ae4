/** An identity provider's tokens: their lifetime, and keys that change or cannot be had. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { createDecoder, createVerifier } from 'fast-jwt'
import t from 'tap'
import { Jwks } from '../../services/auth/jwks.ts'
import { type Header, type JwtLibrary, TokenVerifier } from '../../services/auth/token-verifier.ts'
import { secretKey } from '../../services/auth/verification-key.ts'
import { ADMIN, as, startApp, TEST_SECRET } from '../helpers/app.ts'
import { signToken, startProvider } from '../helpers/tokens.ts'
import { waitFor } from '../helpers/wait.ts'
import { pemFile, statusOf, ed, rsa, ec, hs256 } from './key-pairs.ts'

t.test('exp and nbf hold to the millisecond', async (t) => {
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
      claims: {},
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

  t.test('the spellings of one token take one place', async (t) => {
    const verifier = verifierWith(5_000)
    now = start
    const other = `Bearer ${hs256({}, { exp: seconds + 900, other: true }, TEST_SECRET)}`
    await verifier.verify(other)
    for (let i = 0; i < 16; i++) {
      const token = hs256({}, { exp: seconds + 900, i }, TEST_SECRET)
      for (const word of spellings('bearer')) {
        for (const last of sameBits(token.at(-1) ?? '')) {
          await verifier.verify(`${word} ${token.slice(0, -1)}${last}`)
        }
      }
      t.ok(verifier.remembered(`Bearer ${token}`), 'as it was signed')
    }
    t.ok(verifier.remembered(other), 'nothing else is forgotten for them')
  })

  t.test('a refused token is checked again each time', async (t) => {
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
  const timing = { deadlineMs: 60_000, everyMs: 3_600_000, unknownMs: 3_600_000 }

  t.test('stay in use while the provider fails, which is logged once', async (t) => {
    const provider = await startProvider(t, [{ ...ec.jwk, kid: 'one' }])
    const { outcomes, report } = told()
    const own = { ...timing }
    const jwks = new Jwks(provider.url, report, own)
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
      own.deadlineMs = String(fault).startsWith('hangs') ? 300 : timing.deadlineMs
      await jwks.read()
      t.equal((await jwks.keysFor(of('one'))).length, 1, JSON.stringify(fault))
    }
    t.equal(elsewhere.asked, 0, 'no redirect is followed')
    provider.fault = undefined
    own.deadlineMs = timing.deadlineMs
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

  t.test('are read once for a flood of unknown key ids, and not for known ones', async (t) => {
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
  const accepted = async (token: string, what: string) =>
    await waitFor(async () => (await statusOf(app, token)) === 200, { what })
  await accepted(byOld(), 'the keys to be read')
  provider.keys = [
    { ...ec.jwk, kid: 'old' },
    { ...rsa.jwk, kid: 'new' }
  ]
  await accepted(
    signToken({ alg: 'RS256', kid: 'new' }, ADMIN, rsa.privateKey),
    'the new key to be accepted'
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
  t.equal(log.match(/could not be read/g)?.length, 1, 'said once')
  provider.fault = undefined
  await waitFor(async () => (await statusOf(app, byProvider(4))) === 200, {
    what: 'the keys to be asked for again'
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
    { what: 'a read that fails' }
  )
  t.equal(await statusOf(app, byProvider(5)), 200, 'a token that was never seen, by a key that was')
  t.notMatch(log, /eyJ/, 'no token in the log')
})

/** A word in all mixtures of small and capital letters. */
function spellings (word: string): string[] {
  return Array.from({ length: 2 ** word.length }, (_, bits) =>
    [...word].map((letter, i) => ((bits >> i) & 1 ? letter.toUpperCase() : letter)).join('')
  )
}

/** The last characters of a base64url text of 32 bytes that stand for the same bits. */
function sameBits (last: string): string[] {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const at = alphabet.indexOf(last) & ~3
  return [...alphabet.slice(at, at + 4)]
}

t.test('what a provider publishes is bounded, and its secrets are not used', async (t) => {
  const provider = await startProvider(t, [{ ...ec.jwk, kid: 'ec' }])
  const outcomes: Array<Record<string, unknown>> = []
  const jwks = new Jwks(provider.url, (outcome) => outcomes.push(outcome))
  t.teardown(() => jwks.stop())
  const keys = async () => await jwks.keysFor({ alg: 'ES256', kid: 'ec' })
  await jwks.read()
  t.equal((await keys()).length, 1)

  const endless = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('{"keys":[')
    const chunk = Buffer.alloc(1 << 16, ' ')
    const more = () => {
      while (!response.destroyed && response.write(chunk)) sent += chunk.length
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  })
  let sent = 0
  await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    endless.closeAllConnections()
    endless.close()
  })
  const { port } = endless.address() as AddressInfo
  const before = process.memoryUsage().rss
  const large = new Jwks(`http://127.0.0.1:${port}/`, (outcome) => outcomes.push(outcome))
  t.teardown(() => large.stop())
  await large.read()
  t.match(outcomes.at(-1), { error: /1 MiB|1048576/ })
  t.ok(sent < 64 << 20, `${sent} bytes were taken`)
  t.ok(process.memoryUsage().rss - before < 200 << 20)

  provider.keys = Array.from({ length: 101 }, (_, i) => ({ ...ec.jwk, kid: `k${i}` }))
  await jwks.read()
  t.match(outcomes.at(-1), { error: /100 keys/ })
  t.equal((await keys()).length, 1, 'the last known keys stay in use')

  provider.keys = [
    { ...ec.privateKey.export({ format: 'jwk' }), kid: 'ec' },
    { ...rsa.privateKey.export({ format: 'jwk' }), kid: 'rsa' },
    { ...ed.jwk, kid: 'ed' }
  ]
  await jwks.read()
  t.match(outcomes.at(-1), { usable: 1, private: 2 })
  t.equal((await jwks.keysFor({ alg: 'EdDSA', kid: 'ed' })).length, 1)
  t.equal((await keys()).length, 0, 'a private key that everybody can read proves nothing')
})

t.test('what a provider answers beside the point costs no connection', async (t) => {
  let open = 0
  const endless = createServer((request, response) => {
    const fault = new URL(request.url ?? '', 'http://x').pathname.slice(1)
    response.writeHead(fault === 'redirect' ? 302 : Number(fault), { location: '/200' })
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(1 << 16, ' ')));
      if (!response.destroyed) response.once('drain', more)
    }
    more()
  })
  endless.on('connection', (socket) => {
    open++
    socket.once('close', () => open--)
  })
  await new Promise<void>((resolve) => endless.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    endless.closeAllConnections()
    endless.close()
  })
  const { port } = endless.address() as AddressInfo
  for (const fault of ['500', '404', '200', 'redirect']) {
    const jwks = new Jwks(`http://127.0.0.1:${port}/${fault}`, () => {})
    t.teardown(() => jwks.stop())
    for (let i = 0; i < 10; i++) await jwks.read()
    await waitFor(() => open === 0, { what: `the connections of ${fault}`, deadlineMs: 10_000 })
  }
})

t.test('what is no key in a set does not spoil the keys that are', async (t) => {
  const provider = await startProvider(t, [{ ...ec.jwk, kid: 'one' }])
  const jwks = new Jwks(provider.url, () => {})
  t.teardown(() => jwks.stop())
  const odd: unknown[] = [
    null, 0, 'text', true, [], {}, { kid: null }, { kid: {} }, { kty: 'EC', kid: 'one' },
    { ...ec.jwk, kid: 'one', crv: 'P-521' }, { ...ec.jwk, kid: '__proto__', x: '' },
    { kty: 'oct', k: 'AAAA', kid: 'one' }, { ...ec.jwk, kid: 'one', key_ops: 'verify' },
    { ...ec.jwk, kid: 'one', alg: 'none' }, { ...ec.jwk, kid: 'one', alg: ['ES256'] },
    { ...ec.jwk, kid: 'one', use: null }
  ]
  const of = async (kid: string) => await jwks.keysFor({ alg: 'ES256', kid })
  for (const one of odd) {
    const some = one as typeof ec.jwk
    provider.keys = [some, { ...ec.jwk, kid: 'new' }, some]
    await jwks.read()
    t.equal((await of('new')).length, 1, JSON.stringify(one))
    t.equal((await of('one')).length, 0, JSON.stringify(one))
  }
})
