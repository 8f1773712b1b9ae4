/** The limits store on Redis. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import type { LimitEntry } from '../../services/limits/limits-store.ts'
import { ADMIN, as, connected, listen, startAppOn, startOwnApp, tokenFor } from '../helpers/app.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import { byName, pages, all } from './pages.ts'

const redis = await startRedis(t)

t.test('redis: limits have the key names and values that the switch reads', async (t) => {
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

t.test('redis: a bulk change that Redis refuses in part changes nothing', async (t) => {
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

t.test('redis: a sign and ten digits are read, as the switch reads them', async (t) => {
  const app = await startOwnApp(t, redis)
  const send = as(app, ADMIN)
  for (const [text, limit] of [
    ['+5', 5],
    ['+1', 1],
    ['1234567890', 1_234_567_890],
    ['-1234567890', -1_234_567_890]
  ] as const) {
    const username = `read-${text}`
    await app.redis.set(`${app.config.REDIS_KEY_PREFIX}user-limit:${username}`, text)
    t.match(await app.limitsStore.getLimit(username), { limit, source: 'user' }, text)
    const admitted = await send('POST', '/api/sessions', { username, session_id: username })
    t.match(admitted, { status: 201, body: { limit } }, `${text} is the limit of an admission`)
    const count = await send('GET', `/api/sessions/counts/${encodeURIComponent(username)}`)
    t.match(count.body, { count: 1, limit })
  }
})

t.test('redis: malformed values are no limits, and are counted as malformed', async (t) => {
  const app = await startOwnApp(t, redis)
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
    '+-5',
    '--5',
    '12345678901',
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
    await all(app.limitLists),
    [
      ['negative', -1],
      ['sane', 7]
    ],
    'lists leave them out'
  )
  t.equal(count() - before, values.length + 2, 'and count each')
  t.strictSame((await pages(app.limitLists, '', 1)).flat().sort(byName), [
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

t.test('redis: a list has the limits of its prefix only, also few among many keys', async (t) => {
  const app = await startOwnApp(t, redis)
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
      const page = await app.limitLists.listLimits('', { cursor, count })
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
    const app = await startOwnApp(t, redis, {
      MAX_SESSIONS_PER_USER: '9',
      SESSION_LIMIT_ACTION: 'observe'
    })
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
  'redis: a policy change reaches the other instance, and survives a restart',
  async (t) => {
    const REDIS_KEY_PREFIX = `${randomUUID()}:`
    const [one, other] = [
      await startOwnApp(t, redis, { REDIS_KEY_PREFIX }),
      await startOwnApp(t, redis, { REDIS_KEY_PREFIX })
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
      await waitFor(
        async () => {
          const answer = await fetch(`${url}/api/sessions/limits?count=1`, {
            headers: { authorization }
          })
          const body = (await answer.json()) as Record<string, unknown>
          return Object.entries(change).every(([name, value]) => body[name] === value)
        },
        { what: 'the policy on the other instance', everyMs: 5 }
      )
      t.pass(`${JSON.stringify(change)} is in force`)
    }
    const kept = { enabled: true, max_sessions_per_user: 0, session_limit_action: 'observe' }
    const third = await startOwnApp(t, redis, { REDIS_KEY_PREFIX, MAX_SESSIONS_PER_USER: '77' })
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
    await startOwnApp(t, redis, { REDIS_KEY_PREFIX }),
    await startOwnApp(t, redis, { REDIS_KEY_PREFIX })
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

t.test('redis: lists are read by SCAN, never by KEYS', async (t) => {
  const commands = await redis.cli('INFO', 'commandstats')
  t.match(commands, /^cmdstat_scan:/m, 'lists are read by SCAN')
  t.notMatch(commands, /^cmdstat_(?:keys|flushall|flushdb):/m)
})
