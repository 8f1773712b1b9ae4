/**
 * Tokens that are none, and ways to bring one past the check. Every one of them is 401, but for
 * those that are as they should be.
 */
import { generateKeyPairSync } from 'node:crypto'
import { TEST_SECRET } from '../helpers/app.ts'
import { type Case, get } from './case.ts'
import {
  NOW,
  PROVIDER,
  PROVIDER_PEM,
  claims,
  forged,
  part,
  providerKey,
  signed,
  validToken
} from './forge.ts'

const PATH = '/api/sessions/limits/alice'
const ADMIN = claims({ sub: 'admin', role: 'admin' })
const BY_PROVIDER = { ...ADMIN, iss: PROVIDER }
const [HS256, RS256] = [
  { alg: 'HS256', typ: 'JWT' },
  { alg: 'RS256', typ: 'JWT' }
]
const [header = '', payload = '', signature = ''] = forged(HS256, ADMIN).split('.')

/** A key of the attacker's own. */
const own = generateKeyPairSync('rsa', { modulusLength: 2048 })

const withHeader = (more: object, secret?: string | Buffer) =>
  forged({ ...HS256, ...more }, ADMIN, secret)
const withClaims = (more: object) => forged(HS256, { ...ADMIN, ...more })
const unsigned = (alg: unknown) => `${part({ alg, typ: 'JWT' })}.${payload}.`

/** Signed by the attacker's own key, which the header offers. */
const signedByOwn = (more: object) => signed({ ...RS256, ...more }, BY_PROVIDER, own.privateKey)

/** HS256 with the provider's public key for a secret, however it may be read from its file. */
const overPublicKey = Object.fromEntries(
  Object.entries({
    PEM: PROVIDER_PEM,
    'PEM without its last line break': PROVIDER_PEM.trimEnd(),
    DER: providerKey.publicKey.export({ type: 'spki', format: 'der' }),
    'PKCS #1': providerKey.publicKey.export({ type: 'pkcs1', format: 'pem' }),
    JWK: JSON.stringify(providerKey.publicKey.export({ format: 'jwk' }))
  }).flatMap(([form, key]) => [
    [`HS256 over the public key (${form})`, forged(HS256, ADMIN, key)],
    [`HS256 over the public key (${form}), in the provider's name`, forged(HS256, BY_PROVIDER, key)]
  ])
)

const tokens: Record<string, string> = {
  garbage: 'garbage',
  'an empty token': '',
  dots: '..',
  'four parts': `${header}.${payload}.${signature}.x`,
  'two parts': `${header}.${payload}`,
  'a line of JSON': '{"alg":"none"}',
  'a stripped signature': `${header}.${payload}.`,
  'a cut signature': `${header}.${payload}.${signature.slice(0, -2)}`,
  'a signature of NULs': `${header}.${payload}.${Buffer.alloc(32).toString('base64url')}`,
  'another payload': `${header}.${part({ ...ADMIN, sub: 'root' })}.${signature}`,
  'another header': `${part({ ...HS256, kid: 'x' })}.${payload}.${signature}`,
  "a signature in the payload's place": `${header}.${signature}.${payload}`,
  'a header that is no JSON': forged('{', ADMIN),
  'a header that is null': forged('null', ADMIN),
  'a payload that is no JSON': forged(HS256, '{'),
  'a payload of text': forged(HS256, '"admin"'),
  'a payload of null': forged(HS256, 'null'),
  'a payload that is an array': forged(HS256, '[{"role":"admin"}]'),
  '64 KiB of payload': withClaims({ note: 'x'.repeat(64 * 1024) }),

  ...Object.fromEntries(
    ['none', 'None', 'NONE', 'nOnE', 'none ', '', null, ['none'], undefined].flatMap((alg) => [
      [`alg ${JSON.stringify(alg)} without a signature`, unsigned(alg)],
      [`alg ${JSON.stringify(alg)} with a good signature`, withHeader({ alg })]
    ])
  ),
  ...Object.fromEntries(
    [
      'hs256',
      'HS1',
      'RS256',
      'RS1',
      'PS256',
      'ES256',
      'ES256K',
      'EdDSA',
      'dir',
      ['HS256'],
      { toString: 'HS256' }
    ].map((alg) => [`alg ${JSON.stringify(alg)} with an HMAC`, withHeader({ alg })])
  ),
  'HS384 with the secret': forged({ alg: 'HS384' }, ADMIN, TEST_SECRET, 'sha384'),
  'HS512 with the secret': forged({ alg: 'HS512' }, ADMIN, TEST_SECRET, 'sha512'),

  'a wrong secret': forged(HS256, ADMIN, `${TEST_SECRET}!`),
  'an empty secret': forged(HS256, ADMIN, ''),
  'a secret that is known': forged(HS256, ADMIN, 'your-secret-key-change-in-production'),
  ...overPublicKey,
  'RS256 by another key': signed(RS256, BY_PROVIDER, own.privateKey),
  'RS256 by the provider, in the name of the console': signed(RS256, ADMIN),
  'RS256 by the provider, in no name': signed(RS256, { ...BY_PROVIDER, iss: undefined }),
  'RS256 by the provider, for another audience': signed(RS256, { ...BY_PROVIDER, aud: 'other' }),
  'RS256 by the provider, without an end': signed(RS256, { ...BY_PROVIDER, exp: undefined }),
  'PS256 by the provider, signed as RS256': signed({ alg: 'PS256' }, BY_PROVIDER),
  'HS256 in the name of the provider': forged(HS256, BY_PROVIDER),

  'a secret of its own as jwk': withHeader({ jwk: { kty: 'oct', k: part('x') } }, 'x'),
  'a key of its own as jwk': signedByOwn({ jwk: own.publicKey.export({ format: 'jwk' }) }),
  'a key of its own as x5c': signedByOwn({
    x5c: [own.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')]
  }),
  'a key of its own by jku': signedByOwn({ jku: 'http://127.0.0.1:9/jwks.json', kid: 'mine' }),
  'a key of its own by x5u': signedByOwn({ x5u: 'file:///etc/passwd' }),
  ...Object.fromEntries(
    [
      '../../../../dev/null',
      '/dev/null',
      'file:///dev/null',
      "' UNION SELECT 'x' --",
      "x' OR '1'='1",
      '|/usr/bin/id',
      '\u0000',
      '__proto__',
      'constructor',
      'http://127.0.0.1:9/',
      'x'.repeat(5000)
    ].flatMap((kid) => [
      [`kid ${JSON.stringify(kid.slice(0, 30))} over nothing`, withHeader({ kid }, '')],
      [`kid ${JSON.stringify(kid.slice(0, 30))} over itself`, withHeader({ kid }, kid)]
    ])
  ),
  'a kid that is an object': withHeader({ kid: { $ne: null } }, 'x'),
  'an unknown extension that is critical': withHeader({ crit: ['x'], x: 1 }),
  'a known extension that is critical': withHeader({ crit: ['b64'], b64: false }),
  'a list of critical extensions that is none': withHeader({ crit: 'x', x: 1 }),

  expired: withClaims({ exp: NOW - 3600 }),
  'expired at the beginning of time': withClaims({ exp: 0 }),
  'no end': withClaims({ exp: undefined }),
  'an end by text': withClaims({ exp: String(NOW + 3600) }),
  'an end that is null': withClaims({ exp: null }),
  'an end that is a list': withClaims({ exp: [NOW + 3600] }),
  'not yet valid': withClaims({ nbf: NOW + 3600 }),
  'a beginning by text': withClaims({ nbf: 'tomorrow' }),
  'no issuer': withClaims({ iss: undefined }),
  'another issuer': withClaims({ iss: 'voice-ferry.example' }),
  'the issuer in another case': withClaims({ iss: 'Voice-Ferry' }),
  'the issuer in a list': withClaims({ iss: ['voice-ferry'] }),
  'no audience': withClaims({ aud: undefined }),
  'another audience': withClaims({ aud: 'other' }),
  'an empty list of audiences': withClaims({ aud: [] }),
  'an audience that is an object': withClaims({ aud: { toString: 'session-limits' } })
}

const good = validToken({ sub: 'admin', role: 'admin' })
const bearer = `Authorization: Bearer ${good}`
const without = (what: string, headers: string[], path = PATH): Case => ({
  what,
  ...get(path, { token: null, headers }),
  status: 401
})

export const tokenCases: Case[] = [
  { what: 'no token', ...get(PATH, { token: null }), status: 401 },
  ...Object.entries(tokens).map(([what, token]): Case =>
    // Longer than all headers together may be.
    ({ what, ...get(PATH, { token }), status: token.length > 16_000 ? 431 : 401 })
  ),
  ...[
    good,
    `Basic ${good}`,
    `Bearer${good}`,
    `Token ${good}`,
    `Bearer ${good} x`,
    `Bearer: ${good}`,
    'Bearer',
    'Bearer ',
    `Bearer "${good}"`,
    `Bearer ${good},${good}`,
    `Negotiate ${good}`
  ].map((value) =>
    without(`Authorization: ${value.replaceAll(good, '…')}`, [`Authorization: ${value}`])
  ),
  without('two headers, a good one first', [bearer, 'Authorization: Bearer garbage']),
  without('two headers, a good one last', ['Authorization: Bearer garbage', bearer]),
  without('the same header twice', [bearer, bearer]),
  without('two headers in two cases', [bearer, bearer.toLowerCase()]),
  without('a token in the query', [], `${PATH}?token=${good}`),
  without('an access token in the query', [], `${PATH}?access_token=${good}`),
  without('a header in the query', [], `${PATH}?authorization=Bearer%20${good}`),
  without('a token in a cookie', [`Cookie: token=${good}`]),
  without('a token in another header', [
    `X-Access-Token: ${good}`,
    `X-Authorization: Bearer ${good}`
  ]),
  without('a token for a proxy', [`Proxy-Authorization: Bearer ${good}`]),
  {
    what: 'a token in the body',
    method: 'PUT',
    path: PATH,
    token: null,
    body: JSON.stringify({ limit: 5, token: good }),
    status: 401
  },
  { what: 'a bad token on a probe', ...get('/healthz/live', { token: 'garbage' }), status: 200 },
  {
    what: 'the scheme in another case',
    ...get(PATH, { token: null, headers: [`Authorization: bEaReR ${good}`] }),
    status: 200,
    leaves: []
  },
  {
    what: 'several audiences, one of them ours',
    ...get(PATH, { token: withClaims({ aud: ['other', 'session-limits'] }) }),
    status: 200,
    leaves: []
  },
  { what: 'a good token', ...get(PATH), status: 200, leaves: [] },
  {
    what: 'a good token of the provider',
    ...get(PATH, { token: signed(RS256, BY_PROVIDER) }),
    status: 200,
    leaves: []
  },
  {
    what: 'one with a key of its own that is not looked at',
    ...get(PATH, {
      token: signed({ ...RS256, jwk: own.publicKey.export({ format: 'jwk' }) }, BY_PROVIDER)
    }),
    status: 200,
    leaves: []
  }
]
