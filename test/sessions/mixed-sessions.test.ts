import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { ADMIN, as, startAppOn } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'

type Values = Record<string, number>
interface Expected {
  limits: Values
  counts_with_ghosts: Values
  counts_without_ghosts: Values
}
interface Listed {
  session_id: string
  username: string
  source: string
  from: string | null
  to: string | null
  started_at: string | null
  [name: string]: unknown
}

/** What a Voice Ferry switch leaves in Redis, and what it means. */
const [input, meaning] = ['../data/switch-redis.resp', '../data/expected.json'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url))
)
const expected = JSON.parse(readFileSync(meaning ?? '', 'utf8')) as Expected
const prefix = 'voice-ferry-c4:'

const redis = await startRedis(t)
await redis.load(input ?? '')
// Nothing is swept before it is asked for.
const app = await startAppOn(t, redis, {
  GHOST_SWEEP_INTERVAL_SECONDS: '0',
  REDIS_TIMEOUT_MS: '10000'
})
const { redis: client } = app
const send = as(app, ADMIN)
/** Users whose counts a test has changed. */
const touched = new Set<string>()

const acquire = async (username: string, id: string, more: object = {}) => {
  touched.add(username)
  return await send('POST', '/api/sessions', { username, session_id: id, ...more })
}
const countOf = async (username: string) =>
  (await send('GET', `/api/sessions/counts/${encodeURIComponent(username)}`)).body
const setLimit = async (username: string, limit: number) =>
  await send('PUT', `/api/sessions/limits/${encodeURIComponent(username)}`, { limit })
const members = async (username: string) =>
  (await client.smembers(`${prefix}user-sessions:${username}`)).sort()
const sessionsOf = async (username: string): Promise<Listed[]> =>
  (
    await send('GET', `/api/sessions/active?username=${encodeURIComponent(username)}`)
  ).body.sessions.sort((a: Listed, b: Listed) => (a.session_id < b.session_id ? -1 : 1))

/** What the switch recorded of a user's sessions, in order of their start; its ghosts apart. */
async function recorded (username: string) {
  const found = await Promise.all(
    (await members(username)).map(
      async (id) => [id, await client.get(`${prefix}session:${id}`)] as const
    )
  )
  return {
    up: found
      .flatMap(([id, json]) =>
        json === null
          ? []
          : [
              {
                id,
                ...(JSON.parse(json) as {
                  created_at: number
                  call_id: string
                  from_uri: string
                  to_uri: string
                })
              }
            ]
      )
      .sort((a, b) => a.created_at - b.created_at),
    ghosts: found.flatMap(([id, json]) => (json === null ? [id] : []))
  }
}

async function allCounts (t: Test): Promise<Values> {
  const { status, body } = await send('GET', '/api/sessions/counts')
  t.equal(status, 200)
  return body.counts as Values
}

const untouched = (counts: Values) =>
  Object.fromEntries(
    Object.entries(counts)
      .filter(([username]) => !touched.has(username))
      .sort()
  )

t.test('at first every count is that of the sets that the switch wrote', async (t) => {
  t.strictSame(untouched(await allCounts(t)), untouched(expected.counts_with_ghosts))
})

t.test('leases and sessions that the switch recorded both count', async (t) => {
  const user = '+14155550001'
  const before = expected.counts_with_ghosts[user] ?? 0
  await setLimit(user, before + 2)
  t.match(await acquire(user, 'top-1'), {
    status: 201,
    body: { count: before + 1, limit: before + 2 }
  })
  t.match(await acquire(user, 'top-2'), { status: 201, body: { count: before + 2 } })
  t.strictSame(await countOf(user), {
    username: user,
    count: before + 2,
    limit: before + 2,
    available: 0,
    leases: 2,
    external: before
  })
  t.match(
    await acquire(user, 'top-3'),
    {
      status: 409,
      body: { code: 'session_limit_reached', count: before + 2 }
    },
    'with no ghosts, full is full'
  )
  const list = await sessionsOf(user)
  t.strictSame(list.map(({ source }) => source).sort(), [
    ...Array.from({ length: before }, () => 'external'),
    'lease',
    'lease'
  ])
  const { users } = (await send('GET', '/api/sessions/users?limit=1000')).body
  t.equal(users.find(({ username }: Listed) => username === user).sessions, before + 2)
})

t.test(
  'a session that the switch recorded may ask for a lease: it holds one slot, not two',
  async (t) => {
    const user = '+14155550071'
    const {
      up: [first]
    } = await recorded(user)
    const before = expected.counts_with_ghosts[user] ?? 0
    await setLimit(user, before)
    t.match(await acquire(user, first?.id ?? ''), {
      status: 201,
      body: { count: before, limit: before }
    })
    t.strictSame(await countOf(user), {
      username: user,
      count: before,
      limit: before,
      available: 0,
      leases: 1,
      external: before - 1
    })
    t.equal((await allCounts(t))[user], before)
    t.equal((await sessionsOf(user)).length, before)
    t.match(await acquire(user, 'one-more'), { status: 409 })
  }
)

t.test('a user at its limit by ghosts alone is admitted, and the ghosts are removed', async (t) => {
  const user = 'user0110'
  const { up, ghosts } = await recorded(user)
  t.strictSame([up.length, ghosts.length], [2, 1])
  await setLimit(user, 3)
  t.strictSame((await countOf(user)).count, 3, 'the ghost counts until it is found out')
  const { status, body } = await acquire(user, 'instead-of-a-ghost')
  t.match({ status, body }, { status: 201, body: { count: 3, limit: 3, terminated: [] } })
  t.strictSame(
    await members(user),
    up.map(({ id }) => id)
  )
  t.match(await acquire(user, 'one-more'), { status: 409, body: { count: 3 } })
  t.equal(
    await client.exists(`${prefix}session-lease:${ghosts[0]}`),
    0,
    'a ghost was never ended: the switch may bring it back'
  )

  const other = 'user0055'
  await setLimit(other, 5)
  t.match(
    await acquire(other, 'still-too-many'),
    { status: 409, body: { count: 5, limit: 5 } },
    'ghosts swept, and still refused'
  )
  t.equal((await recorded(other)).ghosts.length, 0)
})

t.test(
  'terminate_oldest ends unseen ghosts, then leases by start, then external sessions by start',
  async (t) => {
    const user = 'user0275'
    const { up, ghosts } = await recorded(user)
    t.strictSame([up.length, ghosts.length], [3, 1])
    await setLimit(user, 100)
    for (const id of ['z-first', 'a-second']) {
      t.equal((await acquire(user, id)).status, 201)
      const { body } = await send('GET', `/api/sessions/${id}`)
      // The next one starts a millisecond later, so that the order is certain.
      while (Date.now() <= Date.parse(body.started_at)) {
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const key = `${prefix}user-sessions:${user}`
    const expiry = await client.expiretime(key)
    await send('PUT', '/api/sessions/limits', { session_limit_action: 'terminate_oldest' })

    await setLimit(user, 6)
    t.match((await acquire(user, 'third', { dry_run: true })).body, {
      allowed: true,
      count: 6,
      terminated: []
    })
    t.equal((await members(user)).length, 4, 'a dry run leaves even ghosts alone')
    t.match(
      (await acquire(user, 'third')).body,
      { count: 6, limit: 6, terminated: [] },
      'a ghost goes before any call is hung up'
    )
    t.strictSame(
      await members(user),
      up.map(({ id }) => id)
    )

    await setLimit(user, 2)
    const { body } = await acquire(user, 'fourth')
    t.strictSame(body.terminated, ['z-first', 'a-second', 'third', up[0]?.id, up[1]?.id])
    t.match(body, { count: 2, limit: 2 })
    t.strictSame(await members(user), [up[2]?.id])
    t.strictSame(
      [await client.type(key), await client.expiretime(key)],
      ['set', expiry],
      "the set is the switch's, its type and its end are as they were"
    )
    t.strictSame(await countOf(user), {
      username: user,
      count: 2,
      limit: 2,
      available: 0,
      leases: 1,
      external: 1
    })
    for (const id of body.terminated as string[]) {
      t.match(await acquire(user, id), { status: 410 }, `${id} has ended`)
    }
    t.ok(
      await client.exists(`${prefix}session:${up[0]?.id}`),
      "the switch's own record of it is the switch's to remove"
    )
    await send('PUT', '/api/sessions/limits', { session_limit_action: 'reject' })
  }
)

t.test('an external session is shown with what the switch recorded', async (t) => {
  const user = '+14155550011'
  const { up, ghosts } = await recorded(user)
  t.strictSame([up.length, ghosts.length], [5, 1])
  const shown = up.map(({ id, call_id, from_uri, to_uri, created_at }) => ({
    session_id: id,
    attempt: 0,
    username: user,
    node: null,
    call_id,
    from: from_uri,
    to: to_uri,
    direction: null,
    emergency: false,
    started_at: new Date(created_at * 1000).toISOString(),
    expires_at: null,
    metadata: {},
    source: 'external'
  }))
  const list = await sessionsOf(user)
  t.strictSame(
    list.filter(({ session_id: id }) => !ghosts.includes(id)),
    shown
  )
  t.match(
    list.filter(({ session_id: id }) => ghosts.includes(id)),
    [{ username: user, source: 'external', call_id: null, from: null, started_at: null }],
    'a ghost counts, and so is listed'
  )
  t.strictSame((await send('GET', `/api/sessions/${shown[0]?.session_id}`)).body, shown[0])
  t.strictSame((await send('GET', `/api/sessions/users/${encodeURIComponent(user)}`)).body.count, 6)

  const all: Listed[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { body } = await send('GET', `/api/sessions/active?count=100&cursor=${cursor}`)
    all.push(...body.sessions)
    cursor = body.next_cursor
  }
  t.strictSame(
    all
      .filter(({ username }) => username === user)
      .sort((a, b) => (a.session_id < b.session_id ? -1 : 1)),
    shown,
    'among all, too'
  )
  t.equal(new Set(all.map(({ session_id: id }) => id)).size, all.length, 'every one once')
  t.strictSame([...new Set(all.map(({ source }) => source))].sort(), ['external', 'lease'])
  t.strictSame(
    (await send('GET', '/api/sessions/active?node=pbx-1')).body.sessions,
    [],
    'what the switch wrote is on no node'
  )
})

t.test('an external session is released and terminated like any other', async (t) => {
  const user = 'u99@tenant1.example.net'
  touched.add(user)
  const {
    up,
    ghosts: [ghost]
  } = await recorded(user)
  const [first, second, third] = up.map(({ id }) => id)
  t.match(
    await send('DELETE', `/api/sessions/${first}?username=somebody`),
    {
      status: 200,
      body: { released: false }
    },
    "it is not somebody else's to release"
  )
  t.equal(
    (await send('DELETE', `/api/sessions/${first}`)).text,
    `{"success":true,"session_id":"${first}","released":true,"degraded":false}`
  )
  t.match((await send('DELETE', `/api/sessions/${first}`)).body, { released: false })
  t.match(
    (await send('DELETE', `/api/sessions/${second}?username=${encodeURIComponent(user)}`)).body,
    { released: true }
  )
  t.strictSame(await members(user), [third, ghost].sort())
  t.match(await acquire(user, first ?? ''), { status: 410 })
  t.match(await send('POST', `/api/sessions/${second}/renew`, { username: user }), { status: 410 })
  t.match(await send('GET', `/api/sessions/${first}`), { status: 404 })
  await acquire(user, 'a-lease')
  const { terminated } = (
    await send('DELETE', `/api/sessions/users/${encodeURIComponent(user)}/sessions`)
  ).body
  t.strictSame(terminated.sort(), [third, ghost, 'a-lease'].sort())
  t.match(await countOf(user), { count: 0, leases: 0, external: 0 })
  t.equal(await client.exists(`${prefix}user-sessions:${user}`), 0)
})

t.test(
  'keys of a wrong type and records of no form are skipped, and never a failure',
  async (t) => {
    const user = 'wrongtype'
    t.strictSame(await sessionsOf(user), [])
    t.match(await countOf(user), { count: 0, limit: 5, external: 0 })
    for (let i = 1; i <= 5; i++) {
      t.match(await acquire(user, `w-${i}`), { status: 201, body: { count: i, limit: 5 } })
    }
    t.match(await acquire(user, 'w-6'), { status: 409, body: { count: 5 } })
    t.equal((await allCounts(t))[user], 5, 'counted once, not once a key')
    t.equal(
      (await send('GET', '/api/sessions/users?limit=1000')).body.users.filter(
        ({ username }: Listed) => username === user
      ).length,
      1
    )
    t.match(await send('DELETE', '/api/sessions/w-1'), { body: { released: true } })
    t.equal(
      (await send('DELETE', `/api/sessions/users/${user}/sessions`)).body.terminated.length,
      4
    )
    t.equal(await client.get(`${prefix}user-sessions:${user}`), 'not a set')

    t.match(await sessionsOf('badjson'), [
      {
        session_id: 'session-badjson',
        username: 'badjson',
        call_id: null,
        from: null,
        started_at: null,
        source: 'external'
      }
    ])
    t.match(
      await send('GET', '/api/sessions/session-badjson'),
      { status: 404 },
      'nobody can say whose it is'
    )
    t.match((await send('DELETE', '/api/sessions/session-badjson')).body, { released: false })
    touched.add('badjson')
    t.match((await send('DELETE', '/api/sessions/session-badjson?username=badjson')).body, {
      released: true
    })
  }
)

t.test('after a sweep every count is that of sessions that exist', async (t) => {
  const ghosts = Object.entries(expected.counts_with_ghosts).reduce(
    (sum, [user, n]) =>
      touched.has(user) ? sum : sum + n - (expected.counts_without_ghosts[user] ?? 0),
    0
  )
  const { status, body } = await send('POST', '/api/sessions/sweep')
  t.equal(status, 200)
  t.ok(
    body.removed >= ghosts && ghosts > 20,
    `${body.removed} ghosts were removed, ${ghosts} of them of users that no test has touched`
  )
  t.strictSame(untouched(await allCounts(t)), untouched(expected.counts_without_ghosts))
  t.match((await send('POST', '/api/sessions/sweep')).body, { removed: 0 })
  t.match(await countOf('user0110'), { count: 3, leases: 1, external: 2 }, 'leases stay')
})
