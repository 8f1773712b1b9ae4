import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { LimitEntry, LimitsStore } from '../services/limits/limits-store.ts'
import { ADMIN, as, connected, listen, startApp, startAppOn, tokenFor } from './helpers/app.ts'
import { startRedis, waitFor } from './helpers/servers.ts'

const redis = await startRedis(t)
const policy = { enabled: true, max_sessions_per_user: 5, session_limit_action: 'reject' }

/** One kind of store, and how to let time go by until something holds. */
interface Twin {
  app: FastifyInstance
  limits: LimitsStore
  eventually(t: Test, seconds: number, what: string, holds: () => Promise<boolean>): Promise<void>
}

const stores: Record<string, (t: Test) => Promise<Twin>> = {
  memory: async (t) => {
    let now = Date.parse('2026-11-22T10:00:00Z')
    const app = await startApp(t, {}, { clock: () => now })
    return {
      app,
      limits: app.limitsStore,
      async eventually (t, seconds, what, holds) {
        now += seconds * 1000 - 1
        t.notOk(await holds(), `${what}: not a millisecond too early`)
        now += 1
        t.ok(await holds(), what)
      }
    }
  },
  redis: async (t) => {
    const app = await startOwn(t)
    return {
      app,
      limits: app.limitsStore,
      async eventually (t, _seconds, what, holds) {
        t.notOk(await holds(), `${what}: not at once`)
        await waitFor(holds, { what })
      }
    }
  }
}

/** The service on the shared Redis, under a key prefix that nobody else has. */
async function startOwn (t: Test, env: NodeJS.ProcessEnv = {}): Promise<FastifyInstance> {
  return await startAppOn(t, redis, {
    REDIS_KEY_PREFIX: `${randomUUID()}:`,
    GHOST_SWEEP_INTERVAL_SECONDS: '0',
    ...env
  })
}

async function all (limits: LimitsStore, prefix = ''): Promise<LimitEntry[]> {
  const entries: LimitEntry[] = []
  for await (const batch of limits.allLimits(prefix)) entries.push(...batch)
  return entries.sort(byName)
}

/** Every page of a list, one after the other. */
async function pages (limits: LimitsStore, prefix: string, count: number): Promise<LimitEntry[][]> {
  const got: LimitEntry[][] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { entries, next_cursor: next } = await limits.listLimits(prefix, { cursor, count })
    got.push(entries)
    cursor = next
  }
  return got
}

function byName ([a]: LimitEntry, [b]: LimitEntry): number {
  return a < b ? -1 : a > b ? 1 : 0
}

for (const [kind, start] of Object.entries(stores)) {
  t.test(`${kind}: what every limits store promises`, async (t) => {
    const { app, limits, eventually } = await start(t)
    t.beforeEach(async () => {
      await limits.setLimits(Object.fromEntries((await all(limits)).map(([name]) => [name, null])))
      for (const name of ['alice', 'bob']) await limits.removeTemporaryLimit(name)
    })

    t.test(
      "a limit is the user's own once it is set, and the default before and after",
      async (t) => {
        const byDefault = { username: 'alice', limit: 5, source: 'default', unlimited: false }
        t.strictSame(await limits.getLimit('alice'), byDefault)
        await limits.setLimit('alice', 25)
        await limits.setLimit('alice', 26)
        t.strictSame(await limits.getLimit('alice'), {
          username: 'alice',
          limit: 26,
          source: 'user',
          unlimited: false
        })
        t.strictSame(
          await limits.getLimit('Alice'),
          { ...byDefault, username: 'Alice' },
          'names are case-sensitive'
        )
        t.equal(await limits.removeLimit('alice'), true)
        t.equal(await limits.removeLimit('alice'), false, 'there is none any more')
        t.strictSame(await limits.getLimit('alice'), byDefault)
      }
    )

    t.test('0 is unlimited and 1,000,000 is not', async (t) => {
      await limits.setLimits({ none: 0, most: 1_000_000 })
      t.strictSame(await limits.getLimit('none'), {
        username: 'none',
        limit: 0,
        source: 'user',
        unlimited: true
      })
      t.strictSame(await limits.getLimit('most'), {
        username: 'most',
        limit: 1_000_000,
        source: 'user',
        unlimited: false
      })
    })

    t.test('a bulk change sets, replaces and removes, and says how many', async (t) => {
      await limits.setLimits({ alice: 1, bob: 2 })
      t.strictSame(await limits.setLimits({ alice: 10, bob: null, carol: 3, nobody: null }), {
        set: 2,
        removed: 1
      })
      t.strictSame(await all(limits), [
        ['alice', 10],
        ['carol', 3]
      ])
      t.strictSame(await limits.setLimits({}), { set: 0, removed: 0 })
      t.strictSame(await limits.setLimits({ alice: null, carol: null }), { set: 0, removed: 2 })
      t.strictSame(await all(limits), [])
    })

    t.test('a temporary limit outranks the own one until it ends', async (t) => {
      const sourceOf = async (name: string) => (await limits.getLimit(name)).source
      await limits.setLimit('alice', 25)
      const end = await limits.setTemporaryLimit('alice', {
        limit: 1,
        duration: 1,
        reason: 'a\ncase'
      })
      await limits.setTemporaryLimit('bob', { limit: 0, duration: 3600 })
      t.strictSame(await limits.getLimit('alice'), {
        username: 'alice',
        limit: 1,
        source: 'temporary',
        unlimited: false,
        expires_at: new Date(end).toISOString(),
        reason: 'a\ncase'
      })
      t.match(
        await limits.getLimit('bob'),
        { limit: 0, source: 'temporary', unlimited: true },
        'it may be unlimited'
      )
      t.notOk('reason' in (await limits.getLimit('bob')))
      t.strictSame(await all(limits), [['alice', 25]], 'it is no own limit and not listed as one')
      await eventually(
        t,
        1,
        'the temporary limit ends',
        async () => (await sourceOf('alice')) === 'user'
      )
      t.equal((await limits.getLimit('alice')).limit, 25)
      t.equal(
        await limits.removeTemporaryLimit('alice'),
        false,
        'one that has ended cannot be removed'
      )
      t.equal(await sourceOf('bob'), 'temporary')
    })

    t.test(
      'a temporary limit is replaced by the next, and can be removed before its time',
      async (t) => {
        const first = await limits.setTemporaryLimit('alice', {
          limit: 1,
          duration: 60,
          reason: 'first'
        })
        const second = await limits.setTemporaryLimit('alice', { limit: 2, duration: 3600 })
        t.ok(
          second - first >= 3_540_000 && second - first < 3_560_000,
          `ends an hour from now, not a minute: ${second - first} ms later`
        )
        t.strictSame(await limits.getLimit('alice'), {
          username: 'alice',
          limit: 2,
          source: 'temporary',
          unlimited: false,
          expires_at: new Date(second).toISOString()
        })
        await limits.setLimit('alice', 9)
        t.equal((await limits.getLimit('alice')).limit, 2, 'an own limit set meanwhile waits')
        await limits.removeLimit('alice')
        t.equal((await limits.getLimit('alice')).limit, 2, 'and so does its removal')
        t.equal(await limits.removeTemporaryLimit('alice'), true)
        t.equal(await limits.removeTemporaryLimit('alice'), false)
        t.match(await limits.getLimit('alice'), { limit: 5, source: 'default' })
      }
    )

    t.test('pages hold every entry exactly once and never more than was asked for', async (t) => {
      t.strictSame(await pages(limits, '', 10), [[]], 'an empty list is one empty page')
      const entries = Array.from({ length: 1234 }, (_, i): LimitEntry => [
        `${i % 3 === 0 ? 'a' : 'b'}.${i}`,
        i
      ])
      await limits.setLimits(Object.fromEntries(entries))
      for (const count of [1, 2, 7, 100, 999, 1000]) {
        const got = await pages(limits, '', count)
        t.ok(
          got.every((page) => page.length <= count),
          `no page of ${count} is too long`
        )
        t.strictSame(
          got.flat().sort(byName),
          [...entries].sort(byName),
          `pages of ${count} hold all of them once`
        )
      }
      const someOf = entries.filter(([name]) => name.startsWith('a.')).sort(byName)
      t.strictSame(
        (await pages(limits, 'a.', 10)).flat().sort(byName),
        someOf,
        'pages of a prefix hold just those'
      )
      t.strictSame(await all(limits), [...entries].sort(byName), 'and so does the whole list')
      t.strictSame(await all(limits, 'a.'), someOf)
      t.strictSame(await all(limits, 'zz'), [])
    })

    t.test(
      'what is there all along is on some page, whatever comes and goes meanwhile',
      async (t) => {
        const staying = Array.from({ length: 300 }, (_, i): LimitEntry => [`stays${i}`, 1])
        await limits.setLimits(Object.fromEntries(staying))
        const seen = new Set<string>()
        let cursor: string | null = ''
        for (let i = 0; cursor !== null; i++) {
          const { entries, next_cursor: next } = await limits.listLimits('', { cursor, count: 3 })
          for (const [name] of entries) seen.add(name)
          cursor = next
          if (i < 200) {
            await limits.setLimits({ [`comes${i}`]: 2, [`came${i}`]: 2, [`comes${i - 5}`]: null })
          }
        }
        t.strictSame(
          staying.filter(([name]) => !seen.has(name)),
          []
        )
      }
    )

    t.test('a prefix means itself, not a pattern', async (t) => {
      const odd = { 'a*b': 1, ab: 2, 'a?b': 3, axb: 4, 'a[xy]b': 5, ayb: 6, 'a\\b': 7, 'a^b': 8 }
      await limits.setLimits(odd)
      for (const [prefix, names] of [
        ['a*', ['a*b']],
        ['a?', ['a?b']],
        ['a[xy]', ['a[xy]b']],
        ['a[x', ['a[xy]b']],
        ['a\\', ['a\\b']],
        ['*', []],
        ['?', []],
        ['ab', ['ab']]
      ] as Array<[string, string[]]>) {
        t.strictSame(
          (await all(limits, prefix)).map(([name]) => name),
          names,
          `the whole list of ${prefix}`
        )
        t.strictSame(
          (await pages(limits, prefix, 1)).flat().map(([name]) => name),
          names,
          `pages of ${prefix}`
        )
      }
      t.equal((await all(limits, 'a')).length, Object.keys(odd).length)
    })

    t.test('a cursor that no list gave is refused', async (t) => {
      await limits.setLimit('alice', 1)
      const positions: unknown[] = [
        null,
        7,
        {},
        [],
        [0],
        [-1, '0', []],
        [0.5, '0', []],
        [0, 'x', []],
        [0, '-1', []],
        [0, 0, []],
        [0, '0', [1]],
        [0, '0', {}],
        [0, '0', [], 1],
        [0, '99999999999999999999', []],
        [0, '18446744073709551616', []]
      ]
      const cursors = [
        'zzz',
        '-',
        'null',
        ...positions.map((position) => Buffer.from(JSON.stringify(position)).toString('base64url'))
      ]
      for (const cursor of cursors) {
        await t.rejects(
          limits.listLimits('', { cursor, count: 10 }),
          { code: 'invalid_input' },
          cursor
        )
      }
    })

    t.test('a bulk change of 10,000 is seen whole or not at all', async (t) => {
      // Last but one, for SCAN may name a key twice while Redis makes its table smaller after so
      // many are gone.
      const names = Array.from({ length: 10_000 }, (_, i) => `user${i}`)
      const write = async (limit: number | null) =>
        await limits.setLimits(Object.fromEntries(names.map((name) => [name, limit])))
      await write(1)
      const writing = write(2)
      const [first, last] = await Promise.all([
        limits.getLimit('user0'),
        limits.getLimit('user9999')
      ])
      await writing
      t.equal(first.limit, last.limit, 'a reader meanwhile sees no half of it')
      t.strictSame(new Set((await all(limits)).map(([, limit]) => limit)), new Set([2]))
      t.strictSame(await write(null), { set: 0, removed: 10_000 })
    })

    t.test('the policy changes as a whole or in part, and is the default limit', async (t) => {
      t.strictSame(app.policy.current, policy)
      const whole = {
        enabled: false,
        max_sessions_per_user: 0,
        session_limit_action: 'observe'
      } as const
      t.strictSame(await app.policy.update(whole), whole)
      t.strictSame(app.policy.current, whole)
      t.strictSame(await limits.getLimit('alice'), {
        username: 'alice',
        limit: 0,
        source: 'default',
        unlimited: true
      })
      for (const change of [
        { enabled: true },
        { max_sessions_per_user: 7 },
        { session_limit_action: 'terminate_oldest' as const }
      ]) {
        const before = app.policy.current
        t.strictSame(
          await app.policy.update(change),
          { ...before, ...change },
          JSON.stringify(change)
        )
        await app.policy.refresh()
        t.strictSame(app.policy.current, { ...before, ...change }, 'and it is what is kept')
      }
      t.equal((await limits.getLimit('alice')).limit, 7)
    })
  })
}

t.test('redis: limits have the very names and values that the switch reads', async (t) => {
  const app = await startAppOn(t, redis)
  await app.limitsStore.setLimit('final_test', 25)
  t.equal(await redis.cli('GET', 'voice-ferry-c4:user-limit:final_test'), '25')
  t.equal(
    await redis.cli('TTL', 'voice-ferry-c4:user-limit:final_test'),
    '-1',
    'it does not expire'
  )
  await app.limitsStore.setLimits({ 'u7@tenant2.example.net': 0, final_test: null })
  t.equal(await redis.cli('GET', 'voice-ferry-c4:user-limit:u7@tenant2.example.net'), '0')
  t.equal(await redis.cli('EXISTS', 'voice-ferry-c4:user-limit:final_test'), '0')

  await redis.cli('SET', 'voice-ferry-c4:user-limit:alice', '12')
  t.match(
    await app.limitsStore.getLimit('alice'),
    { limit: 12, source: 'user' },
    'what redis-cli sets holds at once'
  )
  await redis.cli('SET', 'voice-ferry-c4:user-limit:alice', '13')
  t.match(await app.limitsStore.getLimit('alice'), { limit: 13, source: 'user' })
  await redis.cli('DEL', 'voice-ferry-c4:user-limit:alice')
  t.match(await app.limitsStore.getLimit('alice'), { limit: 5, source: 'default' })

  await redis.cli('SET', 'voice-ferry-c4:user-limit:short', '3', 'PX', '600000')
  await app.limitsStore.setLimit('short', 4)
  t.equal(
    await redis.cli('TTL', 'voice-ferry-c4:user-limit:short'),
    '-1',
    'an expiry that another program left is gone'
  )
})

t.test('redis: a bulk change that Redis refuses in part is not done in part', async (t) => {
  const full = await startRedis(t)
  const app = await startAppOn(t, full)
  await app.limitsStore.setLimits({ alice: 1, bob: 2 })
  await full.cli('CONFIG', 'SET', 'maxmemory', '1')
  await t.rejects(
    app.limitsStore.setLimits({ alice: 9, bob: null }),
    { code: 'store_unavailable' },
    'there is no room for the new limit'
  )
  t.equal(await full.cli('GET', 'voice-ferry-c4:user-limit:alice'), '1')
  t.equal(
    await full.cli('GET', 'voice-ferry-c4:user-limit:bob'),
    '2',
    'so the other one is not removed either'
  )
})

t.test('redis: values without meaning are no own limits, and are counted', async (t) => {
  const app = await startOwn(t)
  const key = (name: string) => `${app.config.REDIS_KEY_PREFIX}user-limit:${name}`
  const values = [
    'abc',
    '0x10',
    'nan',
    'inf',
    '1e3',
    '2.5',
    ' 5 ',
    '5\n',
    '',
    '+5',
    '--5',
    '1234567890',
    '٥',
    '5abc'
  ]
  const names = [...values.keys()].map((i) => `odd${i}`)
  for (const [i, value] of values.entries()) await app.redis.set(key(`odd${i}`), value)
  await redis.cli('RPUSH', key('list'), '5')
  await redis.cli('SADD', key('set'), '5')
  await redis.cli('SET', key('sane'), '7')
  await redis.cli('SET', key('negative'), '-1')
  const count = () => app.malformed.counts.get('limit_without_meaning') ?? 0

  for (const [i, name] of names.entries()) {
    const before = count()
    const byDefault = { username: name, limit: 5, source: 'default', unlimited: false }
    t.strictSame(await app.limitsStore.getLimit(name), byDefault, JSON.stringify(values[i]))
    t.equal(count() - before, 1, 'and is counted')
  }
  for (const name of ['list', 'set']) {
    const before = count()
    t.match(
      await app.limitsStore.getLimit(name),
      { limit: 5, source: 'default' },
      `a ${name} at the key`
    )
    t.equal(count() - before, 1, 'and is counted')
  }
  t.strictSame(await app.limitsStore.getLimit('negative'), {
    username: 'negative',
    limit: -1,
    source: 'user',
    unlimited: true
  })

  const before = count()
  t.strictSame(
    await all(app.limitsStore),
    [
      ['negative', -1],
      ['sane', 7]
    ],
    'lists leave them out'
  )
  t.equal(count() - before, values.length + 2, 'and count each')
  t.strictSame((await pages(app.limitsStore, '', 1)).flat().sort(byName), [
    ['negative', -1],
    ['sane', 7]
  ])

  await app.limitsStore.setLimit('list', 8)
  t.match(
    await app.limitsStore.getLimit('list'),
    { limit: 8, source: 'user' },
    'a new limit mends a key of another type'
  )
  t.equal(await app.limitsStore.removeLimit('set'), true, 'and so does removing it')

  await redis.cli('SET', `${app.config.REDIS_KEY_PREFIX}user-temporary-limit:sane`, 'nonsense')
  t.match(
    await app.limitsStore.getLimit('sane'),
    { limit: 7, source: 'user' },
    'a temporary limit without meaning is none'
  )
  await redis.cli('DEL', `${app.config.REDIS_KEY_PREFIX}user-temporary-limit:sane`)
  await redis.cli('RPUSH', `${app.config.REDIS_KEY_PREFIX}user-temporary-limit:sane`, 'x')
  t.match(
    await app.limitsStore.getLimit('sane'),
    { limit: 7, source: 'user' },
    'nor is one of another type'
  )
  t.equal(app.malformed.counts.get('temporary_limit_without_meaning'), 2, 'both are counted')
  await app.limitsStore.setTemporaryLimit('sane', { limit: 1, duration: 60 })
  t.match(await app.limitsStore.getLimit('sane'), { limit: 1, source: 'temporary' })
})

t.test('redis: a list holds this prefix and family only, and finds few among many', async (t) => {
  const app = await startOwn(t)
  const { REDIS_KEY_PREFIX: prefix } = app.config
  const noise = Array.from(
    { length: 8000 },
    (_, i) => `SET ${i % 2 === 0 ? 'other-app:' : `${prefix}session:`}user-limit:${i} 1\r\n`
  )
  await redis.load(Buffer.from(noise.join('')))
  const long = Array.from({ length: 800 }, (_, i): LimitEntry => [`${i}-`.padEnd(128, 'x'), i + 1])
  await app.limitsStore.setLimits(Object.fromEntries(long))
  for (const count of [1, 10, 1000]) {
    let [cursor, longest] = ['', 0]
    const got: LimitEntry[] = []
    do {
      const page = await app.limitsStore.listLimits('', { cursor, count })
      got.push(...page.entries)
      cursor = page.next_cursor ?? ''
      longest = Math.max(longest, cursor.length)
    } while (cursor !== '')
    t.strictSame(got.sort(byName), [...long].sort(byName), `pages of ${count}`)
    t.ok(
      longest <= 12_000,
      `the service takes its own cursors back: the longest has ${longest} characters`
    )
  }
})

t.test(
  'redis: a policy that others wrote wrongly falls back to the settings, field by field',
  async (t) => {
    const app = await startOwn(t, { MAX_SESSIONS_PER_USER: '9', SESSION_LIMIT_ACTION: 'observe' })
    const key = `${app.config.REDIS_KEY_PREFIX}session-policy`
    const settings = { enabled: true, max_sessions_per_user: 9, session_limit_action: 'observe' }
    const inForce = async (...fields: string[]) => {
      await app.redis.del(key)
      if (fields.length > 0) await app.redis.hset(key, ...fields)
      await app.policy.refresh()
      return app.policy.current
    }
    t.strictSame(await inForce(), settings, 'nothing is stored')
    t.strictSame(await inForce('max_sessions_per_user', '3', 'color', 'red'), {
      ...settings,
      max_sessions_per_user: 3
    })
    t.strictSame(
      await inForce('max_sessions_per_user', '-1'),
      { ...settings, max_sessions_per_user: 0 },
      'negative is unlimited'
    )
    for (const nonsense of ['', 'nan', '1e3', '2.5', ' 3']) {
      const policy = await inForce('enabled', 'false', 'max_sessions_per_user', nonsense)
      t.strictSame(policy, { ...settings, enabled: false }, `a limit of ${nonsense}`)
    }
    for (const nonsense of ['', 'yes', '1', 'TRUE']) {
      t.strictSame(await inForce('enabled', nonsense), settings, `enabled ${nonsense}`)
    }
    t.strictSame(await inForce('session_limit_action', '__proto__', 'enabled', 'false'), {
      ...settings,
      enabled: false
    })
    t.ok((app.malformed.counts.get('policy_without_meaning') ?? 0) >= 10)

    for (const command of [
      ['SET', key, 'x'],
      ['RPUSH', key, 'x']
    ]) {
      await redis.cli('DEL', key)
      await redis.cli(...command)
      await app.policy.refresh()
      t.strictSame(app.policy.current, settings, `${command[0]} at the key`)
      t.ok(app.malformed.counts.get('policy_wrong_type'))
      t.strictSame(
        await app.policy.update({ max_sessions_per_user: 4 }),
        { ...settings, max_sessions_per_user: 4 },
        'a change mends it'
      )
      t.equal(await redis.cli('HGETALL', key), 'max_sessions_per_user\n4')
    }
  }
)

t.test(
  'redis: a policy change reaches the other instance within a second, and survives a restart',
  async (t) => {
    const REDIS_KEY_PREFIX = `${randomUUID()}:`
    const [one, other] = [
      await startOwn(t, { REDIS_KEY_PREFIX }),
      await startOwn(t, { REDIS_KEY_PREFIX })
    ]
    await connected(one, other)
    const [url, authorization] = [await listen(other), `Bearer ${tokenFor(other, ADMIN)}`]
    for (const change of [
      { max_sessions_per_user: 11 },
      { enabled: false },
      { session_limit_action: 'observe' },
      { max_sessions_per_user: 0, enabled: true }
    ]) {
      t.equal((await as(one, ADMIN)('PUT', '/api/sessions/limits', change)).status, 200)
      const start = performance.now()
      const seen = await waitFor(
        async () => {
          const answer = await fetch(`${url}/api/sessions/limits?count=1`, {
            headers: { authorization }
          })
          const body = (await answer.json()) as Record<string, unknown>
          return Object.entries(change).every(([name, value]) => body[name] === value)
            ? performance.now() - start
            : 0
        },
        { what: 'the policy on the other instance', everyMs: 5 }
      )
      t.ok(seen <= 1000, `${JSON.stringify(change)} after ${Math.round(seen)} ms`)
    }
    const kept = { enabled: true, max_sessions_per_user: 0, session_limit_action: 'observe' }
    const third = await startOwn(t, { REDIS_KEY_PREFIX, MAX_SESSIONS_PER_USER: '77' })
    t.strictSame(
      third.policy.current,
      kept,
      'an instance that starts later answers by it from its first request on'
    )
  }
)

t.test('redis: two instances that change different fields at once keep both', async (t) => {
  const REDIS_KEY_PREFIX = `${randomUUID()}:`
  const [one, other] = [
    await startOwn(t, { REDIS_KEY_PREFIX }),
    await startOwn(t, { REDIS_KEY_PREFIX })
  ]
  await connected(one, other)
  for (let i = 1; i <= 20; i++) {
    await Promise.all([
      one.policy.update({ max_sessions_per_user: i }),
      other.policy.update({ session_limit_action: i % 2 === 0 ? 'observe' : 'reject' })
    ])
    await Promise.all([one.policy.refresh(), other.policy.refresh()])
    const both = {
      enabled: true,
      max_sessions_per_user: i,
      session_limit_action: i % 2 === 0 ? 'observe' : 'reject'
    }
    t.strictSame([one.policy.current, other.policy.current], [both, both])
  }
})

t.test('redis: no KEYS command was ever sent', async (t) => {
  const commands = await redis.cli('INFO', 'commandstats')
  t.match(commands, /^cmdstat_scan:/m, 'lists are read by SCAN')
  t.notMatch(commands, /^cmdstat_(?:keys|flushall|flushdb):/m)
})
