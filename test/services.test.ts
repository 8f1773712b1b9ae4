/**
 * The parts that need neither HTTP nor Redis: values, cursors, permissions, passwords, health,
 * policy, malformed.
 */
import { scryptSync } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import type { Policy } from '../schemas/policy.ts'
import { hashPassword, isPasswordHash, verifyPassword } from '../services/auth/password.ts'
import { PERMISSIONS, callerOf } from '../services/auth/permissions.ts'
import { toTimestamp } from '../services/clock.ts'
import { decodeCursor, encodeCursor } from '../services/util/cursor.ts'
import { ServiceError, storeUnavailable } from '../services/errors.ts'
import { type Dependency, HealthMonitor } from '../services/health/health-monitor.ts'
import { forEachLimit } from '../services/util/for-each-limit.ts'
import { MAX_DEPTH, formProblem } from '../plugins/http/duplicate-keys.ts'
import { BoundedMap } from '../services/util/bounded-map.ts'
import { limitInForce, parseLimit, parseTemporaryLimit } from '../services/limits/limit-value.ts'
import { MalformedValues } from '../services/util/malformed-values.ts'
import { throttled } from '../services/util/throttled.ts'
import { memoryPolicySource } from '../services/policy/memory-policy-source.ts'
import { PolicyCache, type PolicySource } from '../services/policy/policy.ts'
import { Deadlines } from '../services/redis/deadlines.ts'
import { EncodedCommand } from '../services/redis/encoded-command.ts'
import { RedisKeys, escapeGlob } from '../services/redis/keys.ts'
import { sortedPage } from '../services/util/sorted-page.ts'
import { waitFor } from './helpers/servers.ts'

const policy: Policy = { enabled: true, max_sessions_per_user: 5, session_limit_action: 'reject' }

/** A promise and what settles it. */
function deferred<T> (): {
  promise: Promise<T>
  resolve(value: T): void
  reject(error: Error): void
} {
  let [resolve, reject]: [(value: T) => void, (error: Error) => void] = [() => {}, () => {}]
  const promise = new Promise<T>((_resolve, _reject) => {
    ;[resolve, reject] = [_resolve, _reject]
  })
  return { promise, resolve, reject }
}

t.test('a stored limit is a decimal integer of up to nine digits', async (t) => {
  for (const [text, limit] of [
    ['0', 0],
    ['25', 25],
    ['007', 7],
    ['999999999', 999_999_999],
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
    '+5',
    '5.0',
    '1e3',
    '0x10',
    'nan',
    'inf',
    'Infinity',
    '1234567890',
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
      expires_at: '1970-01-01T00:00:00.000Z',
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
  t.equal(callerOf({ sub: 'alice', username: 'bob' }).username, 'alice')
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

t.test('what JSON allows and a body may not have is told', async (t) => {
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

t.test('deadlines', async (t) => {
  t.test(
    'whoever waits too long is told once, in the order in which they began, and nobody else',
    async (t) => {
      const deadlines = new Deadlines(30)
      const late: string[] = []
      const begin = (name: string) => deadlines.begin(() => late.push(name))
      const [, answered] = [begin('first'), begin('answered')]
      deadlines.end(answered)
      await new Promise((resolve) => setTimeout(resolve, 15))
      const beganMs = performance.now()
      begin('second')
      await waitFor(() => late.length > 0, { what: 'the first to be late', everyMs: 1 })
      await waitFor(() => late.length > 1, { what: 'the second to be late', everyMs: 1 })
      t.ok(performance.now() - beganMs >= 29, 'each from its own beginning')
      t.strictSame(late, ['first', 'second'])
      begin('third')
      await waitFor(() => late.length > 2, {
        what: 'one that began after all the others were over'
      })
    }
  )

  t.test('an answer that came while the process was held up is in time', async (t) => {
    const deadlines = new Deadlines(20)
    const { port1, port2 } = new MessageChannel()
    let late = false
    // From here the event loop comes to its timers before it reads what has arrived.
    await new Promise((resolve) => setImmediate(resolve))
    const answered = new Promise<void>((resolve) => {
      const question = deadlines.begin(() => {
        late = true
      })
      port1.once('message', () => {
        deadlines.end(question)
        resolve()
      })
    })
    port2.postMessage('answer')
    const untilMs = performance.now() + 60
    while (performance.now() < untilMs);
    await answered
    port1.close()
    t.notOk(late)
  })
})

t.test('health', async (t) => {
  const dependency = (required = true) => {
    const state = { well: true, hangs: false, looks: 0, changes: [] as string[] }
    const check: Dependency['check'] = async (signal) => {
      state.looks++
      if (state.hangs) {
        await new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason))
        )
      }
      if (!state.well) throw new Error('unwell')
    }
    return { state, dependency: { check, required } }
  }
  const monitorOf = (redis: Dependency | null, etcd: Dependency | null, changes: string[] = []) => {
    const monitor = new HealthMonitor({ redis, etcd }, (name, status) =>
      changes.push(`${name} ${status}`)
    )
    t.teardown(() => monitor.stop())
    return monitor
  }

  t.test('is told from the first look on', async (t) => {
    const [redis, etcd] = [dependency(), dependency(false)]
    etcd.state.well = false
    const changes: string[] = []
    const monitor = monitorOf(redis.dependency, etcd.dependency, changes)
    await monitor.start()
    t.match(monitor.health, {
      status: 'degraded',
      components: {
        redis: { status: 'up', latency_ms: Number },
        etcd: {
          status: 'down',
          latency_ms: null
        }
      }
    })
    t.same(changes, ['etcd down'])
  })

  t.test(
    'a required one that is lost is down, a hung check included, and each change is told once',
    async (t) => {
      const { state, dependency: redis } = dependency()
      const changes: string[] = []
      const monitor = monitorOf(redis, null, changes)
      await monitor.start()
      t.equal(monitor.health.status, 'ok')
      state.hangs = true
      await waitFor(() => monitor.health.components.redis.status === 'down', {
        what: 'a hung check to be noticed'
      })
      t.equal(monitor.health.status, 'ok', 'a blink is not an outage')
      await waitFor(() => monitor.health.status === 'down', { what: 'it to be lost' })
      state.hangs = false
      await waitFor(() => monitor.health.components.redis.status === 'up', {
        what: 'it to come back'
      })
      t.equal(monitor.health.status, 'down', 'nor is a moment the end of one')
      await waitFor(() => monitor.health.status === 'ok', { what: 'it to count as back' })
      t.same(changes, ['redis down', 'redis up'])
    }
  )

  t.test('a monitor that was stopped looks no more', async (t) => {
    const { state, dependency: redis } = dependency()
    const monitor = monitorOf(redis, null)
    await monitor.start()
    await waitFor(() => state.looks >= 2, { what: 'a second look' })
    monitor.stop()
    const { looks } = state
    await t.rejects(
      waitFor(() => state.looks > looks + 1, { what: 'another look', deadlineMs: 800 })
    )
  })

  t.test('a check that throws at once is no different from one that rejects', async (t) => {
    const monitor = monitorOf(
      {
        check: () => {
          throw new Error('unwell')
        },
        required: true
      },
      null
    )
    await monitor.start()
    t.equal(monitor.health.status, 'down')
  })
})

t.test('the policy', async (t) => {
  t.test('in memory is changed member by member', async (t) => {
    const changes: Policy[] = []
    const cache = new PolicyCache(memoryPolicySource(policy), policy, (changed) =>
      changes.push(changed)
    )
    t.same(await cache.update({ max_sessions_per_user: 7 }), {
      ...policy,
      max_sessions_per_user: 7
    })
    await cache.update({ enabled: false })
    await cache.update({ enabled: false })
    t.same(cache.current, {
      enabled: false,
      max_sessions_per_user: 7,
      session_limit_action: 'reject'
    })
    t.equal(changes.length, 2, 'what changes nothing is not told')
  })

  t.test('that was read before a change was made here does not undo it', async (t) => {
    const reading = deferred<Policy>()
    const source: PolicySource = {
      read: async () => await reading.promise,
      update: async (change) => ({ ...policy, ...change })
    }
    const cache = new PolicyCache(source, policy)
    const refreshed = cache.refresh()
    await cache.update({ max_sessions_per_user: 9 })
    reading.resolve(policy)
    await refreshed
    t.equal(cache.current.max_sessions_per_user, 9)
  })

  t.test('that was read while a change was under way does not undo it either', async (t) => {
    const [reading, writing] = [deferred<Policy>(), deferred<Policy>()]
    const cache = new PolicyCache(
      { read: async () => await reading.promise, update: async () => await writing.promise },
      policy
    )
    const updated = cache.update({ max_sessions_per_user: 9 })
    const refreshed = cache.refresh()
    writing.resolve({ ...policy, max_sessions_per_user: 9 })
    await updated
    reading.resolve(policy)
    await refreshed
    t.equal(cache.current.max_sessions_per_user, 9)
  })

  t.test('holds while it cannot be read, and is not changed by a change that fails', async (t) => {
    const source: PolicySource = {
      read: async () => {
        throw storeUnavailable(new Error('away'))
      },
      update: async () => {
        throw storeUnavailable(new Error('away'))
      }
    }
    const cache = new PolicyCache(source, policy)
    const errors: unknown[] = []
    await cache.start((error) => errors.push(error))
    t.teardown(() => cache.stop())
    await t.rejects(cache.update({ enabled: false }), {
      code: 'store_unavailable',
      retryAfterSeconds: 1
    })
    await waitFor(() => errors.length >= 2, { what: 'a second reading' })
    t.same(cache.current, policy)
  })

  t.test('is at hand after the start, then read again and again until the end', async (t) => {
    let stored = { ...policy, max_sessions_per_user: 8 }
    let reads = 0
    const cache = new PolicyCache(
      {
        read: async () => {
          reads++
          return stored
        },
        update: async () => stored
      },
      policy
    )
    await cache.start(() => {})
    t.equal(cache.current.max_sessions_per_user, 8)
    stored = { ...policy, max_sessions_per_user: 3 }
    await waitFor(() => cache.current.max_sessions_per_user === 3, {
      what: 'the change of another replica',
      deadlineMs: 1_000
    })
    cache.stop()
    const before = reads
    await t.rejects(waitFor(() => reads > before, { what: 'a further reading', deadlineMs: 800 }))
  })
})

t.test('malformed are all counted, and told one of a kind for ten seconds', async (t) => {
  const told: Array<[string, string, number]> = []
  const malformed = new MalformedValues((...line) => told.push(line))
  for (let i = 0; i < 100; i++) malformed.note('limit_without_meaning', `key${i}`)
  malformed.note('sessions_wrong_type', 'key')
  t.same(
    [...malformed.counts],
    [
      ['limit_without_meaning', 100],
      ['sessions_wrong_type', 1]
    ]
  )
  t.same(told, [
    ['limit_without_meaning', 'key0', 1],
    ['sessions_wrong_type', 'key', 1]
  ])
  t.doesNotThrow(() => new MalformedValues().note('x', 'y'))
})

t.test('work in turns begins in order, and never more at once than told', async (t) => {
  const begun: number[] = []
  let [underWay, most] = [0, 0]
  await forEachLimit(
    Array.from({ length: 20 }, (_, i) => i),
    3,
    async (i) => {
      begun.push(i)
      most = Math.max(most, ++underWay)
      await nextTurn()
      underWay--
    }
  )
  t.strictSame(
    begun,
    Array.from({ length: 20 }, (_, i) => i)
  )
  t.equal(most, 3)
  await t.rejects(
    forEachLimit([1, 2, 3], 2, async (i) => {
      if (i === 2) throw new Error('no')
    }),
    { message: 'no' }
  )
})

t.test('paced work rests as its share says', async (t) => {
  async function * steps () {
    for (let i = 0; i < 5; i++) {
      const untilMs = performance.now() + 10
      while (performance.now() < untilMs);
      yield i
    }
  }
  const startedMs = performance.now()
  const got: number[] = []
  for await (const step of throttled(steps(), 0.25)) got.push(step)
  t.strictSame(got, [0, 1, 2, 3, 4])
  t.ok(performance.now() - startedMs > 5 * 4 * 10 - 10, 'work for 50 ms takes 200 ms')
})

t.test('a failure has a code, and a cause that is not its text', async (t) => {
  const error = storeUnavailable(new Error('connect ECONNREFUSED 10.0.0.1:6379'))
  t.ok(error instanceof ServiceError)
  t.match(error, {
    code: 'store_unavailable',
    retryAfterSeconds: 1,
    cause: { message: /10\.0\.0\.1/ }
  })
  t.notMatch(error.message, '10.0.0.1')
})

t.test(
  'an instant is written as the platform writes it, from one day to another and back',
  async (t) => {
    const instants = [
      0, 1, 999, 59_999, 3_599_999, 86_399_999, 86_400_000, -1, -86_400_001, 1_790_000_000_123,
      1_790_000_000_123.9, 951_782_399_999, 951_868_800_000, 253_402_300_799_999,
      253_402_300_800_000, 8.64e15
    ]
    for (const ms of [...instants, ...instants.toReversed()]) {
      t.equal(toTimestamp(ms), new Date(ms).toISOString(), String(ms))
    }
    for (const ms of [NaN, Infinity, 8.64e15 + 86_400_000]) {
      t.throws(() => toTimestamp(ms), RangeError)
    }
    t.equal(toTimestamp(1), '1970-01-01T00:00:00.001Z', 'what is no time leaves nothing behind')
  }
)

t.test('a map of the latest', async (t) => {
  t.test(
    'holds as many as told; the one that was put longest ago goes, even if others went before it',
    async (t) => {
      const map = new BoundedMap<string, number>(3)
      t.strictSame(
        ['a', 'b', 'c'].map((key, i) => map.put(key, i)),
        [undefined, undefined, undefined]
      )
      t.equal(
        map.put('a', 9),
        undefined,
        'one that is there already takes no place, and is the latest now'
      )
      t.equal(map.put('d', 1), 'b')
      map.delete('c')
      t.equal(map.put('e', 1), undefined)
      t.equal(map.put('f', 1), 'a')
      t.strictSame([...map.keys()], ['d', 'e', 'f'])
      map.clear()
      t.strictSame(
        ['g', 'h', 'i', 'j'].map((key) => map.put(key, 0)),
        [undefined, undefined, undefined, 'g']
      )
      t.equal(map.get('j'), 0)
    }
  )

  t.test('one more costs the same, however many went before', async (t) => {
    const [most, puts] = [100_000, 50_000]
    const map = new BoundedMap<number, number>(most)
    let next = 0
    const takes = () => {
      const startedMs = performance.now()
      for (let i = 0; i < puts; i++) map.put(next++, 0)
      return performance.now() - startedMs
    }
    const [, filling] = [takes(), takes()]
    const beyond = Array.from({ length: 5 }, takes)
    t.ok(
      Math.min(...beyond) < 10 * filling,
      `${filling.toFixed(1)} ms while it fills, ` +
        `then ${beyond.map((ms) => ms.toFixed(1)).join(', ')} ms`
    )
  })
})
