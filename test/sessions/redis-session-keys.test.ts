/** What the session store writes to Redis, and what it makes of what others write there. */
import type { Redis } from 'ioredis'
import { isLease } from '../../services/sessions/lease.ts'
import t from 'tap'
import { executorOn, startOnRedis } from '../conformance/stores.ts'
import {
  admit,
  ask,
  everything,
  FOREVER,
  HOUR,
  names,
  shown,
  TTL,
  hangUp, reported
} from '../conformance/words.ts'
import { startRedis } from '../helpers/servers.ts'

const redis = await startRedis(t)
const executor = await executorOn(t, { REDIS_URL: redis.url })
const { client } = executor

/** Every key at which the store looks for alice and her session `a` on the node `n`. */
const WATCHED = [
  'user-leases:alice',
  'user-sessions:alice',
  'user-limit:alice',
  'user-temporary-limit:alice',
  'user-bar:alice',
  'session-lease:a',
  'session:a',
  'node-leases:n',
  'node-epoch:n'
]

/** How somebody else might fill a key. */
const FILLINGS: Record<string, (client: Redis, key: string) => Promise<unknown>> = {
  text: async (client, key) => await client.set(key, 'garbage'),
  'text that expires': async (client, key) => await client.set(key, 'garbage', 'EX', 3600),
  'half a record': async (client, key) => await client.set(key, '+alice', 'EX', 3600),
  'a record without its start': async (client, key) =>
    await client.set(key, '+alice x  {}', 'EX', 3600),
  'an ended one without more': async (client, key) => await client.set(key, '-'),
  'a list': async (client, key) => await client.rpush(key, 'x', 'a'),
  'a set': async (client, key) => await client.sadd(key, 'x y', 'b'),
  'a sorted set': async (client, key) => await client.zadd(key, 1, 'x', 2e12, 'y'),
  'a hash': async (client, key) => await client.hset(key, 'x', 'y', 'n', '99999999999999999999 z'),
  'a stream': async (client, key) => await client.xadd(key, '*', 'x', 'y')
}

t.test('only documented keys are written, and each expires or is swept', async (t) => {
  const { sessions, prefix, keys, pass } = await startOnRedis(executor)
  const expiry = async (key: string) => await client.pttl(prefix + key)
  await admit(sessions, 'alice', 'a', { node: 'n1' })
  t.strictSame(await keys(), ['node-leases:n1', 'session-lease:a', 'user-leases:alice'])
  await admit(sessions, 'alice', 'b')
  await sessions.renew([{ sessionId: 'c', username: 'bob' }], TTL)
  await sessions.reconcileNode(reported({
    node: 'n2',
    epoch: 3,
    sessions: [{ sessionId: 'd', username: 'bob' }],
    ttlMs: TTL,
    asOfMs: FOREVER
  }))
  await sessions.acquire(ask('alice', 'z', { dryRun: true, node: 'n9' }))
  await sessions.release(hangUp('never', 'alice'))
  t.strictSame(await keys(), [
    'node-epoch:n2',
    'node-leases:n1',
    'node-leases:n2',
    'session-lease:a',
    'session-lease:b',
    'session-lease:c',
    'session-lease:d',
    'session-lease:never',
    'user-leases:alice',
    'user-leases:bob'
  ])
  for (const id of ['a', 'b', 'c', 'd']) {
    const left = await expiry(`session-lease:${id}`)
    t.ok(left > TTL && left <= TTL + 60_000, `the record of ${id} goes by itself: ${left} ms`)
  }
  t.match(await client.get(`${prefix}session-lease:a`), /^\+alice \d{13} n1 $/)
  t.match(await client.get(`${prefix}node-epoch:n2`), /^\d+ \d{13} \d+$/)
  t.ok((await expiry('node-epoch:n2')) > 0, 'a node that is not heard of is forgotten')

  await sessions.release(hangUp('a', 'alice'))
  await sessions.terminateUser('alice', 'fraud', false)
  t.strictSame(
    (await keys()).filter((key) => /alice|n1|:[ab]$/.test(key)),
    ['session-lease:a', 'session-lease:b', 'user-ended:alice'],
    'what remains is the memory of the end'
  )
  for (const id of ['a', 'b']) {
    t.ok(
      (await expiry(`session-lease:${id}`)) <= HOUR &&
        (await expiry(`session-lease:${id}`)) > HOUR - 60_000
    )
  }

  await sessions.terminateUser('bob', 'r', false)
  for (const [i, id] of names('x', 450).entries()) {
    await admit(sessions, `user${i % 2}`, id, {
      ttlMs: 1,
      node: 'n1',
      details: { emergency: true }
    })
  }
  await pass(2)
  t.match(await sessions.getCount('user0'), { count: 0 })
  await sessions.sweep(1)
  t.strictSame(
    (await keys()).filter((key) => !key.startsWith('session-lease:')),
    ['node-epoch:n2', 'user-ended:alice', 'user-ended:bob'],
    'expired leases are swept from every index'
  )
})

t.test('no verb fails because of a malformed value at any key', async (t) => {
  const twin = await startOnRedis(executor, {
    session_limit_action: 'terminate_oldest',
    max_sessions_per_user: 3
  })
  const { sessions, limits, prefix } = twin
  const [page, list] = [
    { cursor: '', count: 10 },
    [{ sessionId: 'a', username: 'alice', node: 'n' }]
  ]
  const report = reported({ node: 'n', epoch: 1, sessions: list, ttlMs: TTL, asOfMs: FOREVER })
  const collect = async () => {
    const counts = []
    for await (const batch of sessions.allCounts()) counts.push(...batch)
    return counts
  }
  const verbs: Record<string, () => Promise<unknown>> = {
    acquire: async () => await sessions.acquire(ask('alice', 'a', { node: 'n' })),
    'acquire another': async () => await sessions.acquire(ask('alice', 'other', { node: 'n' })),
    'acquire in a dry run': async () =>
      await sessions.acquire(ask('alice', 'a', { node: 'n', dryRun: true })),
    renew: async () => JSON.stringify(await sessions.renew(list, TTL)),
    reconcileNode: async () => await sessions.reconcileNode(report),
    'reconcileNode without sessions': async () =>
      await sessions.reconcileNode(reported({ ...report, sessions: [] })),
    release: async () => await sessions.release(hangUp('a', 'alice')),
    'release by id': async () => await sessions.release(hangUp('a')),
    terminateUser: async () => await sessions.terminateUser('alice', 'r', false),
    getSession: async () => await sessions.getSession('a'),
    'listSessions of the user': async () =>
      await sessions.listSessions({ username: 'alice' }, page),
    'listSessions of the node': async () => await sessions.listSessions({ node: 'n' }, page),
    listSessions: async () => await sessions.listSessions({}, page),
    listUsers: async () =>
      await sessions.listUsers({ offset: 0, limit: 10, sort: 'sessions_desc' }),
    listNodes: async () => await sessions.listNodes(page),
    getCount: async () => await sessions.getCount('alice'),
    listCounts: async () => await sessions.listCounts(page),
    allCounts: collect,
    sweep: async () => await sessions.sweep(1),
    getLimit: async () => await limits.getLimit('alice')
  }
  for (const key of WATCHED) {
    for (const [what, fill] of Object.entries(FILLINGS)) {
      const failed: string[] = []
      for (const [verb, call] of Object.entries(verbs)) {
        await client.del(
          ...WATCHED.map((watched) => prefix + watched),
          `${prefix}session-lease:other`
        )
        if (key !== 'session-lease:a' && !verb.startsWith('acquire')) {
          await sessions.acquire(ask('alice', 'a', { node: 'n' }))
        }
        await client.del(prefix + key)
        await fill(client, prefix + key)
        await call().catch((error: unknown) => failed.push(`${verb}: ${String(error)}`))
        if (key.startsWith('user-sessions') || key.startsWith('session:')) continue
        await call().catch((error: unknown) => failed.push(`${verb} again: ${String(error)}`))
      }
      t.strictSame(failed, [], `${what} at ${key}`)
    }
  }
  for (const key of ['user-leases:alice', 'session-lease:a', 'node-leases:n', 'node-epoch:n']) {
    await client.del(...WATCHED.map((watched) => prefix + watched))
    await client.rpush(prefix + key, 'x')
    t.equal((await sessions.acquire(ask('alice', 'a', { node: 'n' }))).outcome, 'admitted')
    t.match(await sessions.reconcileNode(report), { outcome: 'reconciled', renewed: 1 })
    t.strictSame(await everything(twin, { node: 'n' }), ['a'], `our own ${key} is made good`)
    t.match((await sessions.listNodes(page)).entries, [{ node: 'n', sessions: 1 }])
  }
})

t.test('the keys of the switch keep their types and values, malformed ones included', async (t) => {
  const { sessions, prefix } = await startOnRedis(executor)
  await client.rpush(`${prefix}user-sessions:alice`, 'x')
  await client.hset(`${prefix}user-limit:alice`, 'limit', '1')
  await client.sadd(`${prefix}session:a`, 'x')
  await admit(sessions, 'alice', 'a')
  await sessions.release(hangUp('a', 'alice'))
  await sessions.terminateUser('alice', 'r', false)
  await sessions.sweep(1)
  t.strictSame(await client.lrange(`${prefix}user-sessions:alice`, 0, -1), ['x'])
  t.strictSame(await client.hgetall(`${prefix}user-limit:alice`), { limit: '1' })
  t.strictSame(await client.smembers(`${prefix}session:a`), ['x'])
})

t.test(
  'a session that is a lease and external counts once, wherever it is counted',
  async (t) => {
    const twin = await startOnRedis(executor, { max_sessions_per_user: 3 })
    const { sessions, prefix, policy } = twin
    const record = async (id: string, created: number) => {
      await client.set(
        `${prefix}session:${id}`,
        JSON.stringify({ session_id: id, username: 'alice', created_at: created })
      )
      await client.sadd(`${prefix}user-sessions:alice`, id)
    }
    await admit(sessions, 'alice', 'both')
    await record('both', 1)
    t.match(await sessions.getCount('alice'), { count: 1, leases: 1, external: 0 })
    t.strictSame((await sessions.listCounts({ cursor: '', count: 10 })).entries, [['alice', 1]])
    t.strictSame(
      (await sessions.listUsers({ offset: 0, limit: 9, sort: 'sessions_desc' })).total,
      1
    )
    await record('ext', 2)
    t.match(await sessions.getCount('alice'), { count: 2, leases: 1, external: 1 })
    t.strictSame((await sessions.listCounts({ cursor: '', count: 10 })).entries, [['alice', 2]])
    for (const filter of [{}, { username: 'alice' }]) {
      t.strictSame(
        (await sessions.listSessions(filter, { cursor: '', count: 10 })).entries
          .map((session) => `${session.sessionId} ${isLease(session) ? 'lease' : 'external'}`)
          .sort(),
        ['both lease', 'ext external']
      )
    }
    t.match(await sessions.acquire(ask('alice', 'both')), { outcome: 'refreshed', count: 2 })
    t.match(
      await admit(sessions, 'alice', 'ext'),
      { count: 2 },
      'one that the switch recorded before it asked'
    )
    await record('c', 3)
    await record('d', 4)
    t.match(await sessions.acquire(ask('alice', 'e')), { outcome: 'limit_reached', count: 4 })
    t.match(await sessions.acquire(ask('alice', 'd')), { outcome: 'limit_reached', count: 4 })
    await policy.update({ session_limit_action: 'terminate_oldest' })
    t.match(
      await admit(sessions, 'alice', 'd'),
      { count: 3, terminated: ['both'] },
      'it does not end itself'
    )
    t.equal(shown(await sessions.getSession('d'))?.source, 'lease')
    t.equal((await sessions.getCount('alice')).count, 3)
    await sessions.release(hangUp('d', 'alice'))
    t.equal(
      await client.sismember(`${prefix}user-sessions:alice`, 'd'),
      0,
      'what ends, ends in both'
    )
  }
)
