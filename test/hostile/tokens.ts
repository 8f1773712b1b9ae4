/** Tokens that are none, and ways to bring one past the check. Every one of them is 401, but for those that are as they should be. */
import { generateKeyPairSync } from 'node:crypto'
import { TEST_SECRET } from '../helpers/app.ts'
import { type Case, get } from './case.ts'
import { NOW, claims, forged, part, validToken } from './forge.ts'

const PATH = '/api/sessions/limits/alice'
const ADMIN = claims({ sub: 'admin', role: 'admin' })
const HS256 = { alg: 'HS256', typ: 'JWT' }
const [header = '', payload = '', signature = ''] = forged(HS256, ADMIN).split('.')

/** A key of the attacker's own, and one whose public half the service trusts. */
const own = generateKeyPairSync('ec', { namedCurve: 'P-256' })
export const trusted = generateKeyPairSync('rsa', { modulusLength: 2048 })
/** The file of the keys that the service trusts. */
export const TRUSTED_PEM = trusted.publicKey.export({ type: 'spki', format: 'pem' }).toString()

const withHeader = (more: object, secret?: string | Buffer) => forged({ ...HS256, ...more }, ADMIN, secret)
const withClaims = (more: object) => forged(HS256, { ...ADMIN, ...more })
const unsigned = (alg: unknown) => `${part({ alg, typ: 'JWT' })}.${payload}.`

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
  'a signature in the payload\'s place': `${header}.${signature}.${payload}`,
  'a header that is no JSON': forged('{', ADMIN),
  'a header that is null': forged('null', ADMIN),
  'a payload that is no JSON': forged(HS256, '{'),
  'a payload of text': forged(HS256, '"admin"'),
  'a payload of null': forged(HS256, 'null'),
  'a payload that is an array': forged(HS256, '[{"role":"admin"}]'),
  '64 KiB of payload': withClaims({ note: 'x'.repeat(64 * 1024) }),

  ...Object.fromEntries(['none', 'None', 'NONE', 'nOnE', 'none ', '', null, ['none'], undefined].flatMap((alg) => [
    [`alg ${JSON.stringify(alg)} without a signature`, unsigned(alg)],
    [`alg ${JSON.stringify(alg)} with a good signature`, withHeader({ alg })]
  ])),
  ...Object.fromEntries(['hs256', 'HS1', 'RS256', 'RS1', 'PS256', 'ES256', 'ES256K', 'EdDSA', 'dir', ['HS256'], { toString: 'HS256' }].map((alg) =>
    [`alg ${JSON.stringify(alg)} with an HMAC`, withHeader({ alg })])),
  'HS384 with the secret': forged({ alg: 'HS384' }, ADMIN, TEST_SECRET, 'sha384'),
  'HS512 with the secret': forged({ alg: 'HS512' }, ADMIN, TEST_SECRET, 'sha512'),

  'a wrong secret': forged(HS256, ADMIN, `${TEST_SECRET}!`),
  'an empty secret': forged(HS256, ADMIN, ''),
  'a secret that is known': forged(HS256, ADMIN, 'your-secret-key-change-in-production'),
  'HS256 over the public key (PEM)': forged(HS256, ADMIN, TRUSTED_PEM),
  'HS256 over the public key (PEM, no line break at its end)': forged(HS256, ADMIN, TRUSTED_PEM.trimEnd()),
  'HS256 over the public key (DER)': forged(HS256, ADMIN, trusted.publicKey.export({ type: 'spki', format: 'der' })),
  'HS256 over the public key (PKCS #1)': forged(HS256, ADMIN, trusted.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()),
  'HS256 over the public key (JWK)': forged(HS256, ADMIN, JSON.stringify(trusted.publicKey.export({ format: 'jwk' }))),

  'a secret of its own as jwk': withHeader({ jwk: { kty: 'oct', k: part('x') } }, 'x'),
  'a key of its own as jwk': signedByOwn({ jwk: own.publicKey.export({ format: 'jwk' }) }),
  'a key of its own as x5c': signedByOwn({ x5c: [own.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')] }),
  'a key of its own by jku': signedByOwn({ jku: 'http://127.0.0.1:9/jwks.json', kid: 'mine' }),
  'a key of its own by x5u': signedByOwn({ x5u: 'file:///etc/passwd' }),
  ...Object.fromEntries([
    '../../../../dev/null', '/dev/null', 'file:///dev/null', "' UNION SELECT 'x' --", "x' OR '1'='1", '|/usr/bin/id', '\u0000', '__proto__', 'constructor',
    'http://127.0.0.1:9/', 'x'.repeat(5000)
  ].flatMap((kid) => [
    [`kid ${JSON.stringify(kid.slice(0, 30))} over nothing`, withHeader({ kid }, '')],
    [`kid ${JSON.stringify(kid.slice(0, 30))} over itself`, withHeader({ kid }, kid)]
  ])),
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

/** Signed by the attacker's own key, under the algorithm of the service, too. */
function signedByOwn (more: object): string {
  return forged({ ...HS256, ...more }, ADMIN, own.publicKey.export({ type: 'spki', format: 'pem' }).toString())
}

const good = validToken({ sub: 'admin', role: 'admin' })
const bearer = `Authorization: Bearer ${good}`
const without = (what: string, headers: string[], path = PATH): Case => ({ what, ...get(path, { token: null, headers }), status: 401 })

export const tokenCases: Case[] = [
  { what: 'no token', ...get(PATH, { token: null }), status: 401 },
  ...Object.entries(tokens).map(([what, token]): Case =>
    // Longer than all headers together may be.
    ({ what, ...get(PATH, { token }), status: token.length > 16_000 ? 431 : 401 })),
  ...[good, `Basic ${good}`, `Bearer${good}`, `Token ${good}`, `Bearer ${good} x`, `Bearer: ${good}`, 'Bearer', 'Bearer ', `Bearer "${good}"`, `Bearer ${good},${good}`, `Negotiate ${good}`]
    .map((value) => without(`Authorization: ${value.replaceAll(good, '…')}`, [`Authorization: ${value}`])),
  without('two headers, a good one first', [bearer, 'Authorization: Bearer garbage']),
  without('two headers, a good one last', ['Authorization: Bearer garbage', bearer]),
  without('the same header twice', [bearer, bearer]),
  without('two headers in two cases', [bearer, bearer.toLowerCase()]),
  without('a token in the query', [], `${PATH}?token=${good}`),
  without('an access token in the query', [], `${PATH}?access_token=${good}`),
  without('a header in the query', [], `${PATH}?authorization=Bearer%20${good}`),
  without('a token in a cookie', [`Cookie: token=${good}`]),
  without('a token in another header', [`X-Access-Token: ${good}`, `X-Authorization: Bearer ${good}`]),
  without('a token for a proxy', [`Proxy-Authorization: Bearer ${good}`]),
  { what: 'a token in the body', method: 'PUT', path: PATH, token: null, body: JSON.stringify({ limit: 5, token: good }), status: 401 },
  { what: 'a bad token on a probe', ...get('/healthz/live', { token: 'garbage' }), status: 200 },
  { what: 'the scheme in another case', ...get(PATH, { token: null, headers: [`Authorization: bEaReR ${good}`] }), status: 200, leaves: [] },
  { what: 'several audiences, one of them ours', ...get(PATH, { token: withClaims({ aud: ['other', 'session-limits'] }) }), status: 200, leaves: [] },
  { what: 'a good token', ...get(PATH), status: 200, leaves: [] }
]
