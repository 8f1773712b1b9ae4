/** Sessions that the switch recorded: the forms of their start, and what a refused call costs. */
import t, { type Test } from 'tap'
import { ADMIN, as, startOwnApp } from '../helpers/app.ts'
import { isBackground, monitorRedis } from '../helpers/redis-monitor.ts'
import { startRedis } from '../helpers/servers.ts'

const redis = await startRedis(t)
const USER = 'alice'
const numbered = (count: number) => Array.from({ length: count }, (_, i) => `call-${i}`)

/** A service of its own, and what the switch does in its Redis. */
async function start (t: Test) {
  const app = await startOwnApp(t, redis)
  const { redis: client } = app
  const { REDIS_KEY_PREFIX: prefix } = app.config
  const send = as(app, ADMIN)
  const set = `${prefix}user-sessions:${USER}`
  return {
    send,
    client,
    set,
    /** The switch names sessions in the user's set; a ghost is one that it does not record. */
    async name (...ids: string[]) {
      await client.sadd(set, ...ids)
    },
    async record (ids: string[], createdAt: number | string = 1) {
      const json = JSON.stringify({ username: USER, created_at: createdAt })
      await client.mset(...ids.flatMap((id) => [`${prefix}session:${id}`, json]))
    },
    async forget (ids: string[]) {
      await client.del(...ids.map((id) => `${prefix}session:${id}`))
    },
    async limit (limit: number) {
      await send('PUT', `/api/sessions/limits/${USER}`, { limit })
    },
    async acquire (id: string) {
      return await send('POST', '/api/sessions', { username: USER, session_id: id })
    }
  }
}

/** Forms in which a switch may write a start; what they name, in seconds since the epoch. */
const STARTS: Array<[written: number | string, seconds: number]> = [
  ['1970-01-01T00:00:01Z', 1],
  [86_400, 86_400],
  ['1970-01-02T05:30:02+05:30', 86_402],
  [86_403, 86_403],
  ['1972-02-29T23:59:59Z', 68_255_999],
  [68_256_000, 68_256_000],
  [946_684_800, 946_684_800],
  ['1999-12-31T20:00:01-04:00', 946_684_801],
  [946_684_801.25, 946_684_801.25],
  ['2000-01-01T00:00:01.5Z', 946_684_801.5],
  ['2000-02-29T12:00:00Z', 951_825_600],
  ['2000-03-01T00:00:00z', 951_868_800],
  [1_700_000_000, 1_700_000_000],
  ['2026-11-25t10:00:00.123456789+00:00', 1_795_600_800.123],
  ['2100-02-28T23:59:59Z', 4_107_542_399],
  [4_107_542_399.5, 4_107_542_399.5],
  ['2100-03-01T00:00:00Z', 4_107_542_400]
]

t.test('terminate_oldest ends the oldest first, whichever form its start has', async (t) => {
  const { send, name, record, limit, acquire } = await start(t)
  // Neither the order of the ids nor that in which they are written is that of the starts.
  const started = STARTS.map(([written, seconds], i) => {
    return { written, seconds, id: `c${(i * 7) % 17}` }
  })
  for (const { written, id } of started) await record([id], written)
  await name(...started.map(({ id }) => id))
  const { body } = await send('GET', `/api/sessions/active?username=${USER}`)
  const shown = body.sessions.map((session: any) => [session.session_id, session.started_at])
  t.strictSame(
    shown.sort(),
    started.map(({ id, seconds }) => [id, new Date(seconds * 1000).toISOString()]).sort()
  )
  await send('PUT', '/api/sessions/limits', { session_limit_action: 'terminate_oldest' })
  await limit(1)
  t.strictSame((await acquire('new')).body.terminated, started.map(({ id }) => id))
})

t.test('a start that is no instant is null, and its session is as old as can be', async (t) => {
  const { send, name, record, limit, acquire } = await start(t)
  const odd = [
    'yesterday',
    '2026-11-25',
    '2026-11-25T10:00:00',
    '2026-11-25T10:00:00+05',
    '1700000000',
    'nan',
    ''
  ]
  for (const [i, text] of odd.entries()) await record([`odd-${i}`], text)
  await record(['even'], 1)
  await name('even', ...odd.map((_, i) => `odd-${i}`))
  const { body: { sessions } } = await send('GET', `/api/sessions/active?username=${USER}`)
  for (const { session_id: id, started_at: start } of sessions) {
    t.equal(start, id === 'even' ? '1970-01-01T00:00:01.000Z' : null, id)
  }
  await send('PUT', '/api/sessions/limits', { session_limit_action: 'terminate_oldest' })
  await limit(1)
  t.strictSame((await acquire('new')).body.terminated, [...odd.map((_, i) => `odd-${i}`), 'even'])
})

t.test('a refused call costs few commands, however many external sessions there are', async (t) => {
  const { name, record, limit, acquire } = await start(t)
  const monitor = await monitorRedis(t, redis)
  const cost = async (id: string) => {
    await monitor.take()
    t.match(await acquire(id), { status: 409, body: { code: 'session_limit_reached' } })
    return (await monitor.take()).filter((seen) => !isBackground(seen)).length
  }
  await limit(1_000_000)
  const leases = Array.from({ length: 30 }, (_, i) => `lease-${i}`)
  for (const id of leases) t.equal((await acquire(id)).status, 201, id)
  const digits = Array.from({ length: 400 }, (_, i) => String(i))
  await record(digits)
  await name(...digits)
  await limit(30)
  for (let i = 0; i < 5; i++) {
    const commands = await cost('one-more')
    t.ok(commands < 150, `${commands} with 400 external sessions, which Redis keeps as integers`)
  }
  const ids = numbered(20_000)
  await record(ids)
  await name(...ids, ...numbered(500).map((id) => `ghost-of-${id}`))
  for (let i = 0; i < 5; i++) {
    const commands = await cost('one-more')
    t.ok(commands < 150, `${commands} with 20,000 external sessions, some of them ghosts`)
  }
})

t.test('refusals go on where the last one stopped, until each ghost is found', async (t) => {
  for (const [kind, ids] of Object.entries({
    texts: numbered(350),
    integers: Array.from({ length: 350 }, (_, i) => String(i))
  })) {
    await t.test(kind, async (t) => {
      const { client, set, name, record, limit, acquire } = await start(t)
      // Where the first look removes some, the second does not skip as many.
      const ghosts = ids.filter((_id, i) => i % 100 < 3)
      await record(ids.filter((id) => !ghosts.includes(id)))
      await name(...ids)
      await limit(10)
      for (let i = 0; i < 4; i++) t.equal((await acquire('one-more')).status, 409)
      t.equal(await client.scard(set), 338, 'four looks at 100 sessions find the ghosts among 350')
    })
  }
})

t.test('all ghosts of a user with few external sessions are found before a refusal', async (t) => {
  const { client, set, name, record, forget, limit, acquire } = await start(t)
  const ids = numbered(1000)
  await record(ids)
  await name(...ids)
  await limit(40)
  for (let i = 0; i < 5; i++) t.equal((await acquire('one-more')).status, 409)
  // The switch ends most of them; half of the rest are gone without a word.
  await client.srem(set, ...ids.slice(79))
  await forget(ids.slice(0, 40))
  t.match(await acquire('one-more'), { status: 201, body: { count: 40, limit: 40 } })
  t.strictSame((await client.smembers(set)).sort(), ids.slice(40, 79).sort())
})

t.test('what is both a lease and an external session counts once, in large sets too', async (t) => {
  const { send, client, set, name, record, limit, acquire } = await start(t)
  const counts = async () => (await send('GET', `/api/sessions/counts/${USER}`)).body
  await limit(100)
  for (const id of numbered(5)) t.equal((await acquire(id)).status, 201)
  await name('call-0')
  t.match(await counts(), { count: 5, leases: 5, external: 0 }, 'fewer external sessions')
  await record(numbered(20))
  await name(...numbered(20).slice(2))
  t.match(await counts(), { count: 20, leases: 5, external: 15 }, 'fewer leases')
  await client.zadd(set.replace('user-sessions', 'user-leases'), 1, 'call-19')
  t.match(await counts(), { count: 20, external: 15 }, 'a lease that has expired is none')
  t.match(await acquire('new'), { status: 201, body: { count: 21 } })
})
