/** Which secrets production takes. */
import { createHash, createHmac, randomBytes, randomInt, randomUUID } from 'node:crypto'
import t from 'tap'
import { loadConfig } from '../../config.ts'
import { withoutPasswords } from '../../services/util/without-passwords.ts'
import { production } from './service-process.ts'

const NAMES = ['JWT_SECRET', 'JWT_SECRET_PREVIOUS'] as const

const RFC_7515_KEY =
  'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow'
const TUTORIAL_KEY = '404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970'

t.test('the key of RFC 7515 is spelled right: it signs the token of A.1', async (t) => {
  const signed =
    'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.' +
    'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
  const key = Buffer.from(RFC_7515_KEY, 'base64')
  t.equal(
    createHmac('sha256', key).update(signed).digest('base64url'),
    'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
  )
})

t.test('production refuses every secret that is published', async (t) => {
  const published = [
    'voice-ferry-secret-key-change-in-production',
    'voice-ferry-session-secret-change-in-production',
    'your-super-secret-jwt-key-change-in-production-minimum-32-chars',
    'your-super-secret-session-key-change-in-production-minimum-32-chars',
    'your-production-jwt-secret-change-this',
    'your-production-session-secret-here',
    'your-secret-key-here-change-me-in-production',
    'eW91ci1zZWNyZXQta2V5LWhlcmUtY2hhbmdlLW1lLWluLXByb2R1Y3Rpb24=',
    'your-secure-256-bit-jwt-signing-key-here',
    'your-secret-key-change-this-in-production',
    'dev-jwt-secret-not-for-production',
    'redis-production-password-0123456789',
    'a secret for the tests, long enough',
    'a secret that only the tests know, 32+ bytes',
    'VOICE_FERRY_SECRET_KEY_CHANGE_IN_PRODUCTION',
    'your_super_secret_jwt_key_change_this_in_production',
    'please-change-me-before-you-deploy-this',
    'REPLACE-WITH-A-SECURE-SECRET-OF-32-BYTES',
    'changeme'.repeat(4),
    'your-256-bit-secret-key-here-please',
    // https://jwt.io, and RFC 7515, 7517 and 7520.
    'a-string-secret-at-least-256-bits-long',
    'a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long',
    RFC_7515_KEY,
    'AyM1SysPpbyDfZld3umj1qzKObwVMQoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
    Buffer.from(RFC_7515_KEY, 'base64').toString('base64'),
    Buffer.from(RFC_7515_KEY, 'base64').toString('hex'),
    Buffer.from('a-string-secret-at-least-256-bits-long').toString('hex'),
    'AAPapAv4LbFbiVawEjagUBluYqN5rhna-8nuldDvOx8',
    // A tutorial that very many programs were copied from, and what its key encodes.
    TUTORIAL_KEY,
    TUTORIAL_KEY.toLowerCase(),
    Buffer.from(TUTORIAL_KEY).toString('base64'),
    Buffer.from(TUTORIAL_KEY, 'hex').toString(),
    'hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG+Onbc6mxCcYg=',
    Buffer.from('hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg', 'base64').toString('hex'),
    ...[
      '', 'secret', 'secret\n', 'password', 'change-me', 'Admin', 'voice-ferry',
      'your-256-bit-secret', 'a-string-secret-at-least-256-bits-long'
    ].flatMap((word) => [
      createHash('sha256').update(word).digest('hex'),
      createHash('md5').update(word).digest('hex').toUpperCase(),
      createHash('sha1').update(word).digest('hex'),
      createHash('sha512').update(word).digest('base64')
    ])
  ]
  for (const secret of published) {
    for (const name of NAMES) {
      let message = ''
      try {
        loadConfig({ ...production(), [name]: secret })
      } catch (error) {
        message = (error as Error).message
      }
      const refusal = new RegExp(`^${name}: must not be .*openssl rand -base64 48`)
      t.match(message, refusal, `${name} ${secret}`)
      t.notOk(message.includes(secret), 'which is not shown')
    }
  }
})

t.test('production refuses secrets that are easy to guess', async (t) => {
  const guessable = [
    'a'.repeat(32),
    ' '.repeat(32),
    '\t'.repeat(40),
    'é'.repeat(40),
    'ab'.repeat(20),
    'abc123'.repeat(8),
    '01'.repeat(200),
    'a'.repeat(16) + 'b'.repeat(16),
    'abcdefghijklmnopqrstuvwxyz0123456789',
    'zyxwvutsrqponmlkjihgfedcba9876543210',
    '0123456789abcdef0123456789abcdef',
    '12345678901234567890123456789012',
    'qwertyuiopasdfghjklzxcvbnm123456',
    '1q2w3e4r5t6y7u8i9o0p1q2w3e4r5t6y',
    'a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6',
    'deadbeefcafebabedeadbeefcafebabe',
    '00000000-0000-0000-0000-000000000001',
    'Passw0rd!Passw0rd!Passw0rd!Passw0rd!',
    'P@ssw0rd1P@ssw0rd2P@ssw0rd3P@ssw0rd4',
    'password1password2password3password4',
    'correct horse battery staple forever',
    'jwt-signing-key-for-the-switch-2026',
    'this-is-a-very-long-secret-for-the-session-limits',
    'monkeydragonfootballbaseballsunshine',
    '2026-11-26-2026-11-26-2026-11-26',
    'admin admin admin admin admin admin'
  ]
  for (const secret of guessable) {
    for (const name of NAMES) {
      t.throws(
        () => loadConfig({ ...production(), [name]: secret }),
        { message: new RegExp(`^${name}: must .*openssl rand -base64 48`) },
        `${name} ${JSON.stringify(secret)}`
      )
    }
    if (secret.trim() !== '') t.ok(loadConfig({ JWT_SECRET: secret }), 'development takes it')
  }
})

t.test('production takes every secret that a program made', async (t) => {
  const letters = 'abcdefghijklmnopqrstuvwxyz'
  const makers = [
    () => randomBytes(16).toString('hex'),
    () => randomBytes(32).toString('hex'),
    () => randomBytes(16).toString('hex').toUpperCase(),
    () => randomBytes(24).toString('base64'),
    () => randomBytes(48).toString('base64'),
    () => randomBytes(48).toString('base64url'),
    () => randomUUID(),
    () => Array.from({ length: 32 }, () => letters[randomInt(26)]).join('')
  ]
  const refused: string[] = []
  for (const make of makers) {
    for (let i = 0; i < 30; i++) {
      const secret = make()
      try {
        loadConfig({ ...production(), JWT_SECRET: secret, JWT_SECRET_PREVIOUS: `${secret}\n` })
      } catch {
        refused.push(secret)
      }
    }
  }
  t.strictSame(refused, [])
})

t.test('what ends in a line break is taken without it', async (t) => {
  for (const end of ['\n', '\r\n', '\n\n']) {
    const { JWT_SECRET = '', ...rest } = production()
    const settings = loadConfig({
      ...rest,
      JWT_SECRET: JWT_SECRET + end,
      REDIS_URL: 'redis://redis:6379/0' + end,
      REDIS_USERNAME: 'ferry' + end,
      REDIS_PASSWORD: ' with blanks ' + end,
      ETCD_ENDPOINTS: 'http://etcd:2379' + end,
      ETCD_USERNAME: 'ferry' + end,
      ETCD_PASSWORD: 'x' + end
    })
    t.match(settings, {
      JWT_SECRET,
      REDIS_URL: 'redis://redis:6379/0',
      REDIS_USERNAME: 'ferry',
      REDIS_PASSWORD: ' with blanks ',
      ETCD_ENDPOINTS: 'http://etcd:2379',
      ETCD_USERNAME: 'ferry',
      ETCD_PASSWORD: 'x'
    })
  }
})

t.test('no text keeps the password of a URL', async (t) => {
  for (const [text, without] of [
    ['GET http://u:hunter2@etcd:2379/x failed', 'GET http://***@etcd:2379/x failed'],
    ['redis://:hunter2@x', 'redis://***@x'],
    ['rediss://u:hun@ter2@x/0', 'rediss://***@x/0'],
    ['http://a http://hunter2@b,http://u:hunter2@c', 'http://a http://***@b,http://***@c'],
    ['http://etcd:2379/user@host', 'http://etcd:2379/user@host']
  ] as const) {
    t.equal(withoutPasswords(text), without)
  }
})
