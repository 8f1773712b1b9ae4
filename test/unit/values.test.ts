/** Values, cursors, permissions, passwords and keys. */
import { scryptSync } from 'node:crypto'
import t from 'tap'
import { hashPassword, isPasswordHash, verifyPassword } from '../../services/auth/password.ts'
import { PERMISSIONS, callerOf } from '../../services/auth/permissions.ts'
import { decodeCursor, encodeCursor } from '../../services/util/cursor.ts'
import { ServiceError, storeUnavailable } from '../../services/errors.ts'
import { MAX_DEPTH, formProblem } from '../../plugins/http/duplicate-keys.ts'
import { limitInForce, parseLimit, parseTemporaryLimit } from '../../services/limits/limit-value.ts'
import { EncodedCommand } from '../../services/redis/encoded-command.ts'
import { RedisKeys, escapeGlob } from '../../services/redis/keys.ts'
import { sortedPage } from '../../services/util/sorted-page.ts'

t.test('a stored limit is a decimal integer of up to ten digits', async (t) => {
  for (const [text, limit] of [
    ['0', 0],
    ['25', 25],
    ['007', 7],
    ['999999999', 999_999_999],
    ['1234567890', 1_234_567_890],
    ['+5', 5],
    ['-1', -1],
    ['-0', -0]
  ] as const) {
    t.equal(parseLimit(text), limit, text)
  }
  for (const text of [
    '',
    ' ',
    ' 5',
    '5 ',
    '5\n',
    '+-5',
    '+',
    '5.0',
    '1e3',
    '0x10',
    'nan',
    'inf',
    'Infinity',
    '12345678901',
    '--5',
    '-',
    '٥',
    'abc',
    '5,5',
    '\u00005'
  ]) {
    t.equal(parseLimit(text), undefined, JSON.stringify(text))
  }
})

t.test('a stored temporary limit is a limit, an end and a reason', async (t) => {
  t.same(parseTemporaryLimit('3 1795389952000 '), {
    limit: 3,
    expiresAtMs: 1_795_389_952_000,
    reason: ''
  })
  t.same(parseTemporaryLimit('3 1795389952000 a reason\nof two lines'), {
    limit: 3,
    expiresAtMs: 1_795_389_952_000,
    reason: 'a reason\nof two lines'
  })
  for (const text of [
    '',
    '3',
    '3 1795389952000',
    '-3 1795389952000 ',
    'x 1795389952000 ',
    '3 never ',
    ' 3 1795389952000 ',
    '3 1e15 ',
    '3 1795389952000123456 '
  ]) {
    t.equal(parseTemporaryLimit(text), undefined, JSON.stringify(text))
  }
})

t.test(
  "the temporary limit is in force before the own one, and that before the policy's",
  async (t) => {
    const temporary = { limit: 1, expiresAtMs: 0, reason: 'fraud' }
    t.same(limitInForce('alice', 9, temporary, 5), {
      username: 'alice',
      limit: 1,
      source: 'temporary',
      unlimited: false,
      expiresAtMs: 0,
      reason: 'fraud'
    })
    t.notOk('reason' in limitInForce('alice', 9, { ...temporary, reason: '' }, 5))
    t.same(limitInForce('alice', 9, undefined, 5), {
      username: 'alice',
      limit: 9,
      source: 'user',
      unlimited: false
    })
    t.same(limitInForce('alice', undefined, undefined, 5), {
      username: 'alice',
      limit: 5,
      source: 'default',
      unlimited: false
    })
    t.match(
      limitInForce('alice', 0, undefined, 5),
      { limit: 0, source: 'user', unlimited: true },
      '0 is an own limit, and none'
    )
    t.match(limitInForce('alice', -3, undefined, 5), { limit: -3, unlimited: true })
    t.match(limitInForce('alice', undefined, undefined, 0), { unlimited: true })
  }
)

t.test(
  'a cursor comes back as the position it was made of, anything else is refused',
  async (t) => {
    const isText = (value: unknown): value is string => typeof value === 'string'
    for (const position of ['', 'alice', 'ä', 'x'.repeat(1000)]) {
      const cursor = encodeCursor(position)
      t.match(cursor, /^[A-Za-z0-9_-]+$/)
      t.equal(decodeCursor(cursor, isText), position)
    }
    for (const cursor of [
      '',
      'none',
      '____',
      '!',
      encodeCursor(5),
      encodeCursor(null),
      encodeCursor({ __proto__: 'x' }),
      encodeCursor(['alice'])
    ]) {
      t.throws(() => decodeCursor(cursor, isText), { code: 'invalid_input' }, cursor)
    }
  }
)

t.test('pages in memory hold every name once, in order', async (t) => {
  const entries = Array.from({ length: 25 }, (_, i): [string, number] => [`user${(i * 7) % 25}`, i])
  const seen: string[] = []
  let cursor: string | null = ''
  for (let pages = 0; cursor !== null && pages < 10; pages++) {
    const page: ReturnType<typeof sortedPage<number>> = sortedPage(entries, cursor, 10)
    seen.push(...page.entries.map(([name]) => name))
    cursor = page.next_cursor
  }
  t.same(seen, entries.map(([name]) => name).sort())
  t.equal(sortedPage(entries, '', 25).next_cursor, null, 'a page that is just full is the last')
  t.same(sortedPage([], '', 10), { entries: [], next_cursor: null })
})

t.test('permissions are what roles, permissions and scope grant together', async (t) => {
  const granted = (claims: Record<string, unknown>) => [...callerOf(claims).permissions].sort()
  t.same(granted({ role: 'admin' }), [...PERMISSIONS].sort())
  t.same(
    granted({
      roles: ['viewer', 'unknown'],
      permissions: ['policy:write', 'x', 5],
      scope: 'limits:write openid'
    }),
    ['limits:read', 'limits:write', 'policy:write', 'sessions:read']
  )
  for (const claims of [
    {},
    { role: 'constructor' },
    { role: null },
    { roles: { admin: 1 } },
    { permissions: [['limits:read']] },
    { scope: 7 }
  ]) {
    t.same(granted(claims), [], JSON.stringify(claims))
  }
  t.equal(callerOf({ sub: '1001', username: 'bob' }).username, 'bob')
  t.equal(callerOf({ sub: '1001', preferred_username: 'bob' }).username, 'bob')
  t.equal(callerOf({ sub: 'alice' }).username, 'alice')
  t.equal(callerOf({ sub: 5, username: 'bob' }).username, 'bob')
  t.equal(callerOf({ id: 1 }).username, undefined)
})

t.test('passwords', async (t) => {
  const text = (bytes: Buffer) => bytes.toString('base64').replaceAll('=', '')
  const salt = Buffer.from('sixteen bytes of')
  const key = scryptSync('pässword', salt, 32, { N: 2 ** 14, r: 8, p: 1 })
  const hash = `$scrypt$ln=14,r=8,p=1$${text(salt)}$${text(key)}`
  t.equal(await verifyPassword('pässword', hash), true)
  for (const wrong of ['', 'pässwor', 'pässword ', 'PÄSSWORD']) {
    t.equal(await verifyPassword(wrong, hash), false, wrong)
  }

  const [one, other] = await Promise.all([hashPassword('same'), hashPassword('same')])
  t.match(one, /^\$scrypt\$ln=17,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  t.not(one, other, 'every hash has a salt of its own')
  t.equal(await verifyPassword('same', one), true)

  for (const good of [hash, one, hash.replace('ln=14', 'ln=20')]) {
    t.equal(isPasswordHash(good), true, good)
  }
  for (const bad of [
    '',
    'password',
    hash.replace('ln=14', 'ln=13'),
    hash.replace('ln=14', 'ln=21'),
    hash.replace('r=8', 'r=0'),
    hash.replace('r=8', 'r=17'),
    hash.replace('p=1', 'p=5'),
    hash.replace('scrypt', 'argon2id'),
    `${hash}$`,
    hash.slice(0, -30),
    `${hash}\n`
  ]) { t.equal(isPasswordHash(bad), false, bad) }
  await t.rejects(verifyPassword('x', 'password'), TypeError)
})

t.test('JSON that a body may not have is refused with a reason', async (t) => {
  const problemOf = (json: string) => formProblem(json, JSON.parse(json))
  for (const json of [
    'null',
    '5',
    '""',
    '[]',
    '{}',
    '{"a":1,"b":1}',
    '{"a":{"a":{"a":1}}}',
    '[{"a":1},{"a":1}]',
    '{"a":"\\"a\\":1","b":"{\\"a\\":"}',
    '{"a\\\\":1,"a":2}',
    '{"a":"\\\\","b":"\\\\\\":"}',
    '{"__proto":":","b":[":"]}',
    '{"1":{"1":0},"a":[{"1":":"}]}',
    '{"a":["a","a"],"A":1}',
    ' { "a" : 1 , "b" : [ ] } ',
    '{"":1," ":2}',
    `${'['.repeat(MAX_DEPTH)}${']'.repeat(MAX_DEPTH)}`
  ]) { t.equal(problemOf(json), undefined, json) }
  for (const json of [
    '{"a":1,"a":1}',
    '{"a":1,"b":{"c":1,"c":2}}',
    '[{"a":1,"\\u0061":2}]',
    '{"a":{"a":1},"a":2}',
    '{"":1,"":2}',
    '{"a" :1,"a"\n:2}',
    '{"1":0,"1":0}',
    '{"\\\\":1,"\\\\":2}'
  ]) {
    t.match(problemOf(json), 'twice', json)
  }
  t.match(problemOf(`${'['.repeat(MAX_DEPTH + 1)}${']'.repeat(MAX_DEPTH + 1)}`), 'deeper')
  const long = `{"a":"${'x\\"'.repeat(500_000)}"}`
  t.equal(problemOf(long), undefined, 'a long string is no trouble')
})

t.test('keys', async (t) => {
  t.equal(new RedisKeys('p:').user('user-limit', 'alice'), 'p:user-limit:alice')
  t.equal(new RedisKeys('p:', true).user('user-limit', 'alice'), 'p:user-limit:{alice}')
  for (const keys of [new RedisKeys('p:'), new RedisKeys('p:', true)]) {
    t.equal(keys.usernameOf('user-limit', keys.user('user-limit', 'a@b')), 'a@b')
    t.equal(keys.usernameOf('user-limit', keys.user('user-sessions', 'a@b')), undefined)
    t.equal(keys.usernameOf('user-limit', 'elsewhere'), undefined)
  }
  t.equal(
    new RedisKeys('p:', true).usernameOf('user-limit', 'p:user-limit:alice'),
    undefined,
    'no hash tag, not ours'
  )
  t.equal(escapeGlob('a*b?c[d]^e\\f'), 'a\\*b\\?c\\[d\\]\\^e\\\\f')
})

t.test(
  'a script call counts its words in bytes, and names the key that a Cluster finds its slot by',
  async (t) => {
    const call = new EncodedCommand('evalsha', 'a:{zoë}', ['abc', 1], ['a:{zoë}'], ['', 25, '"例"'])
    t.equal(
      call.toWritable(),
      '*7\r\n$7\r\nevalsha\r\n$3\r\nabc\r\n$1\r\n1\r\n' +
        '$8\r\na:{zoë}\r\n$0\r\n\r\n$2\r\n25\r\n$5\r\n"例"\r\n'
    )
    t.strictSame(call.getKeys(), ['a:{zoë}'])
    t.strictSame(new EncodedCommand('eval', undefined, ['return 1', 0]).getKeys(), [])
    t.equal(
      new EncodedCommand('get', 'k', ['k'.repeat(300)]).toWritable(),
      `*2\r\n$3\r\nget\r\n$300\r\n${'k'.repeat(300)}\r\n`,
      'also long ones'
    )
  }
)

t.test('a failure has a code, and its cause does not show in its message', async (t) => {
  const error = storeUnavailable(new Error('connect ECONNREFUSED 10.0.0.1:6379'))
  t.ok(error instanceof ServiceError)
  t.match(error, {
    code: 'store_unavailable',
    retryAfterSeconds: 1,
    cause: { message: /10\.0\.0\.1/ }
  })
  t.notMatch(error.message, '10.0.0.1')
})
