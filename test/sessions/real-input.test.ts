import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { ADMIN, as, startAppOn } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'

type Values = Record<string, number>
interface Expected {
  limits: Values
  limits_without_meaning: string[]
  counts_with_ghosts: Values
  counts_without_ghosts: Values
}

/** What a Voice Ferry switch leaves in Redis, and what it means. */
const [input, meaning] = ['../data/switch-redis.resp', '../data/expected.json'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url))
)
const expected = JSON.parse(readFileSync(meaning ?? '', 'utf8')) as Expected
const names = new Set([
  ...Object.keys(expected.counts_with_ghosts),
  ...Object.keys(expected.limits),
  ...expected.limits_without_meaning
])
const policy = { enabled: true, max_sessions_per_user: 5, session_limit_action: 'reject' }
const sum = (values: Values) => Object.values(values).reduce((total, n) => total + n, 0)

const redis = await startRedis(t)
const loaded = await redis.load(input ?? '')
// Nothing is swept before it is asked for.
const app = await startAppOn(t, redis, { GHOST_SWEEP_INTERVAL_SECONDS: '0' })
const send = as(app, ADMIN)

/** All pages of a list put together, and how many entries they had. */
async function paged (list: 'limits' | 'counts', count: number) {
  const member = list === 'limits' ? 'user_limits' : 'counts'
  const entries: Array<[string, number]> = []
  let total = 0
  for (let cursor: string | null = ''; cursor !== null;) {
    const { body } = await send('GET', `/api/sessions/${list}?count=${count}&cursor=${cursor}`)
    const { _default: _, ...page } = body[member] as Values
    entries.push(...Object.entries(page))
    total += body.total ?? 0
    cursor = body.next_cursor
  }
  return { values: Object.fromEntries(entries), length: entries.length, total }
}

/** Checks every answer about counts, list, pages and one by one, against what they should be. */
async function countsAre (t: Test, counts: Values) {
  t.same(
    (await send('GET', '/api/sessions/counts')).body,
    { counts, total: sum(counts) },
    'the whole list'
  )
  for (const count of [7, 1000]) {
    t.same(
      await paged('counts', count),
      { values: counts, length: Object.keys(counts).length, total: sum(counts) },
      `pages of ${count}`
    )
  }
  const wrong = []
  for (const username of names) {
    const [count, limit] = [
      counts[username] ?? 0,
      expected.limits[username] ?? policy.max_sessions_per_user
    ]
    const available = limit <= 0 ? null : Math.max(0, limit - count)
    const { body, status } = await send(
      'GET',
      `/api/sessions/counts/${encodeURIComponent(username)}`
    )
    const right = { username, count, limit, available, leases: 0, external: count }
    if (status !== 200 || JSON.stringify(body) !== JSON.stringify(right)) {
      wrong.push({ body, right })
    }
  }
  t.strictSame(wrong, [], `each of ${names.size} users by itself`)
}

t.test('limits are those that the switch wrote, without the malformed ones', async (t) => {
  const { limits, limits_without_meaning: odd } = expected
  t.ok(loaded > 1000, 'what the switch left is loaded into an empty Redis')
  t.same(
    (await send('GET', '/api/sessions/limits')).body,
    { ...policy, user_limits: { _default: 5, ...limits } },
    'the whole list'
  )
  for (const count of [1, 10, 1000]) {
    t.same(
      await paged('limits', count),
      { values: limits, length: Object.keys(limits).length, total: 0 },
      `pages of ${count}`
    )
  }
  const prefixed = Object.fromEntries(
    Object.entries(limits).filter(([name]) => name.startsWith('+1415555'))
  )
  t.same(
    (await send('GET', '/api/sessions/limits?prefix=%2B1415555')).body.user_limits,
    { _default: 5, ...prefixed },
    'those of a prefix'
  )
  for (const [username, limit] of Object.entries(limits)) {
    const { body } = await send('GET', `/api/sessions/limits/${encodeURIComponent(username)}`)
    t.strictSame(body, { username, limit, source: 'user', unlimited: limit <= 0, barred: false })
  }
  for (const username of odd) {
    t.strictSame((await send('GET', `/api/sessions/limits/${username}`)).body, {
      username,
      limit: 5,
      source: 'default',
      unlimited: false,
      barred: false
    })
  }
  t.ok(
    (app.malformed.counts.get('limit_without_meaning') ?? 0) >= odd.length,
    'and each is counted'
  )
})

t.test('each user in the data of the switch can be asked for', async (t) => {
  const failed = []
  for (const name of names) {
    for (const url of [
      `/limits/${encodeURIComponent(name)}`,
      `/counts/${encodeURIComponent(name)}`
    ]) {
      const { status } = await send('GET', `/api/sessions${url}`)
      if (status !== 200) failed.push([url, status])
    }
  }
  t.strictSame(failed, [])
})

t.test(
  'counts are right before and after ghosts are swept, and a sweep touches nothing else',
  async (t) => {
    const others = async () =>
      (await redis.cli('--scan', '--pattern', 'other-app:*')).split('\n').sort()
    const [before, foreign] = [await redis.cli('DBSIZE'), await others()]
    const ghosts = sum(expected.counts_with_ghosts) - sum(expected.counts_without_ghosts)
    const emptied =
      Object.keys(expected.counts_with_ghosts).length -
      Object.keys(expected.counts_without_ghosts).length

    await t.test('before', async (t) => await countsAre(t, expected.counts_with_ghosts))
    t.match(await send('POST', '/api/sessions/sweep'), { status: 200, body: { removed: ghosts } })
    await t.test('after', async (t) => await countsAre(t, expected.counts_without_ghosts))
    t.match(
      (await send('POST', '/api/sessions/sweep')).body,
      { removed: 0 },
      'a second sweep finds none'
    )

    t.equal(
      Number(before) - Number(await redis.cli('DBSIZE')),
      emptied,
      'only sets that held nothing but ghosts are gone'
    )
    t.ok(foreign.length > 1)
    t.strictSame(await others(), foreign, 'keys of other applications are as they were')
    t.equal(await redis.cli('TYPE', 'voice-ferry-c4:user-sessions:wrongtype'), 'string')
    t.equal(
      await redis.cli('GET', 'voice-ferry-c4:user-sessions:wrongtype'),
      'not a set',
      'a key of another type is as it was'
    )
    t.equal(
      await redis.cli('TYPE', 'voice-ferry-c4:user-sessions:+14155550001'),
      'set',
      "and so is the type of the switch's sets"
    )
  }
)

t.test(
  'a limit that is set is the one that the switch reads, and removed it is gone',
  async (t) => {
    const [url, key] = ['/api/sessions/limits/final_test', 'voice-ferry-c4:user-limit:final_test']
    t.strictSame((await send('PUT', url, { limit: 25 })).body, {
      success: true,
      username: 'final_test',
      limit: 25,
      message: 'Session limit for user final_test set to 25'
    })
    t.equal(await redis.cli('GET', key), '25')
    t.strictSame((await send('GET', url)).body, {
      username: 'final_test',
      limit: 25,
      source: 'user',
      unlimited: false,
      barred: false
    })
    t.equal((await send('GET', '/api/sessions/limits')).body.user_limits.final_test, 25)
    t.strictSame((await send('DELETE', url)).body, {
      success: true,
      username: 'final_test',
      message: 'Session limit for user final_test removed (will use default)',
      removed: true
    })
    t.equal(await redis.cli('EXISTS', key), '0')
    t.strictSame((await send('GET', url)).body, {
      username: 'final_test',
      limit: 5,
      source: 'default',
      unlimited: false,
      barred: false
    })

    for (const username of expected.limits_without_meaning) {
      t.equal((await send('PUT', `/api/sessions/limits/${username}`, { limit: 3 })).status, 200)
      t.equal(
        await redis.cli('GET', `voice-ferry-c4:user-limit:${username}`),
        '3',
        `${username} has a meaning again`
      )
    }
  }
)
