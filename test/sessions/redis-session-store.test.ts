/** The session store on Redis: round trips, cursors, clocks, lost replies, several instances. */
import t from 'tap'
import { encodeCursor } from '../../services/util/cursor.ts'
import { executorOn, startOnRedis } from '../conformance/stores.ts'
import {
  TTL,
  admit,
  ask,
  idsOf,
  names,
  pages,
  hangUp, reported
} from '../conformance/words.ts'
import { startProxy, startRedis, waitFor } from '../helpers/servers.ts'

const redis = await startRedis(t)
const executor = await executorOn(t, { REDIS_URL: redis.url })
const { client } = executor

t.test('every admission is one script call and one round trip, whatever its outcome', async (t) => {
  const through = await executorOn(t, { REDIS_URL: redis.url })
  const own = through.client
  const sent: string[] = []
  const send = own.sendCommand.bind(own)
  own.sendCommand = (command, ...rest) => {
    sent.push(command.name)
    return send(command, ...rest)
  }
  const { sessions, policy, limits } = await startOnRedis(executor, { max_sessions_per_user: 2 },
    { through }
  )
  const calls = async (of: () => Promise<unknown>) => {
    sent.length = 0
    await of()
    return sent.slice()
  }
  await admit(sessions, 'warm', 'up')
  for (const [what, request, outcome] of [
    ['admitted', ask('alice', 'a', { node: 'n', details: { from: 'x' } }), 'admitted'],
    ['refreshed', ask('alice', 'a'), 'refreshed'],
    ['a conflict', ask('bob', 'a'), 'conflict'],
    ['admitted', ask('alice', 'b'), 'admitted'],
    ['refused', ask('alice', 'c'), 'limit_reached'],
    ['a dry run', ask('alice', 'c', { dryRun: true }), 'limit_reached'],
    ['an emergency', ask('alice', 'd', { details: { emergency: true } }), 'admitted']
  ] as const) {
    t.strictSame(
      await calls(async () => t.equal((await sessions.acquire(request)).outcome, outcome)),
      ['evalsha'],
      what
    )
  }
  await policy.update({ session_limit_action: 'terminate_oldest' })
  t.strictSame(
    await calls(async () => t.equal((await admit(sessions, 'alice', 'e')).terminated.length, 2)),
    ['evalsha'],
    'terminating others'
  )
  await limits.setLimit('alice', 2)
  t.strictSame(await calls(async () => await limits.setLimit('alice', 1)), ['evalsha'])
  await sessions.renew([{ sessionId: 'e', username: 'alice' }], TTL)
  t.strictSame(
    await calls(
      async () =>
        await sessions.renew(
          [
            { sessionId: 'e', username: 'alice' },
            { sessionId: 'f', username: 'bob' }
          ],
          TTL
        )
    ),
    ['evalsha']
  )
  await sessions.release(hangUp('e', 'alice'))
  t.strictSame(await calls(async () => await sessions.release(hangUp('f', 'bob'))), ['evalsha'])
  await sessions.getCount('alice')
  t.strictSame(await calls(async () => await sessions.getCount('alice')), ['evalsha'])
})

t.test('a forged cursor shows no session of another user', async (t) => {
  const { sessions, prefix } = await startOnRedis(executor)
  await admit(sessions, 'bob', 'lease', { node: 'n', details: { from: 'sip:secret@bob' } })
  await client.set(
    `${prefix}session:ext`,
    JSON.stringify({ username: 'bob', from_uri: 'sip:secret@bob' })
  )
  await client.sadd(`${prefix}user-sessions:bob`, 'ext')
  await client.set(
    `${prefix}session:other`,
    JSON.stringify({ username: 'alice', from_uri: 'sip:secret@bob' })
  )
  const heads = [
    'l',
    'e',
    'x',
    '',
    'lalice',
    'ealice',
    'lbob',
    'ebob',
    'l{alice}',
    'e{bob}',
    'lal\0ice',
    'ealice ',
    '\u{1f600}'
  ]
  const forged = heads.flatMap((head) =>
    ['lease', 'ext', 'other', '', '\n', '*', '../x', 'a b'].flatMap((id) => [
      `${head}\n${id}`,
      `${head}${id}`
    ])
  )
  for (const position of [
    [0, null, forged],
    [1, null, forged],
    [0, '0', forged],
    [1, '18446744073709551615', forged],
    [99, '7', forged],
    [2 ** 53, null, forged],
    [0, '1', []]
  ]) {
    const cursor = encodeCursor(position)
    const { entries } = await sessions.listSessions(
      { username: 'alice' },
      { cursor, count: 1000 }
    )
    t.strictSame(entries, [], 'nothing for alice')
    for (const { sessionId: id, username } of (
      await sessions.listSessions({}, { cursor, count: 1000 })
    ).entries) {
      t.ok(
        (id === 'lease' || id === 'ext') && username === 'bob',
        `${id} of ${username} is there`
      )
    }
    await sessions.listSessions({ node: 'n' }, { cursor, count: 1000 })
    await sessions.listNodes({ cursor, count: 1000 })
    await sessions.listCounts({ cursor, count: 1000 })
  }
})

t.test(
  'pages stay within what a query takes, however Redis keeps what they are made of',
  async (t) => {
    const { sessions, prefix } = await startOnRedis(executor, { max_sessions_per_user: 0 })
    const username = 'u'.repeat(100)
    // Sets of integers, and small ones, come from Redis in one piece.
    const ids = Array.from({ length: 500 }, (_, i) => String(1e15 + i))
    await client.sadd(`${prefix}user-sessions:${username}`, ...ids)
    for (const count of [11, 1000]) {
      t.strictSame(
        idsOf(
          (
            await pages(async (page) => await sessions.listSessions({ username }, page), count)
          ).flat()
        ),
        ids
      )
    }
    const nodes = names('n'.repeat(61), 120)
    const epochs = nodes.map((node) => [`${prefix}node-epoch:${node}`, '1 1795391735794 90000'])
    await client.mset(Object.fromEntries(epochs))
    t.strictSame(
      (await pages(async (page) => await sessions.listNodes(page), 3))
        .flat()
        .map(({ node }) => node)
        .sort(),
      nodes
    )
  }
)

t.test('a service whose own clock is a day off decides the same', async (t) => {
  const RealDate = globalThis.Date
  t.teardown(() => {
    globalThis.Date = RealDate
  })
  for (const shift of [-86_400_000, 86_400_000]) {
    const { sessions, limits, now, pass } = await startOnRedis(executor, {
      max_sessions_per_user: 2,
      session_limit_action: 'terminate_oldest'
    })
    const from = await now()
    await admit(sessions, 'alice', 'before')
    globalThis.Date = class extends RealDate {
      constructor (...args: [] | [number]) {
        super(...((args.length === 0 ? [RealDate.now() + shift] : args) as [number]))
      }

      static override now () {
        return RealDate.now() + shift
      }
    } as DateConstructor
    await pass(2)
    const { lease } = await admit(sessions, 'alice', 'shifted', { ttlMs: 1000 })
    t.ok(
      lease.startedMs >= from && lease.startedMs < from + 60_000,
      'it starts by the time of Redis'
    )
    t.match(await sessions.getCount('alice'), { count: 2 })
    await pass(2)
    t.match(
      await admit(sessions, 'alice', 'third'),
      { terminated: ['before'], count: 2 },
      'the oldest is the oldest'
    )
    t.match(await sessions.renew([{ sessionId: 'shifted', username: 'alice' }], 1000), [
      { outcome: 'renewed' }
    ])
    await limits.setTemporaryLimit('alice', { limit: 1, duration: 1 })
    t.match(await sessions.acquire(ask('alice', 'fourth', { dryRun: true })), {
      limit: 1,
      terminated: ['shifted', 'third']
    })
    await pass(1001)
    t.equal(await sessions.getSession('shifted'), null)
    t.match(await sessions.getCount('alice'), { count: 1 })
    t.match(
      await sessions.reconcileNode(reported({
        node: 'n',
        epoch: 1,
        sessions: [{ sessionId: 'third', username: 'alice' }],
        ttlMs: TTL,
        asOfMs: await now()
      })),
      { renewed: 1 }
    )
    t.match((await sessions.listNodes({ cursor: '', count: 1 })).entries, [{ sessions: 1 }])
    t.match(
      await sessions.getCount('alice'),
      { limit: 2 },
      'a temporary limit ends by the time of Redis'
    )
    globalThis.Date = RealDate
  }
})

t.test('an acquire whose reply is lost holds one slot, however often it is repeated', async (t) => {
  const proxy = await startProxy(t, redis)
  const through = await executorOn(t, { REDIS_URL: `redis://${proxy.host}:${proxy.port}` })
  const own = through.client
  const { sessions, prefix } = await startOnRedis(executor, { max_sessions_per_user: 2 },
    { through }
  )
  await admit(sessions, 'alice', 'other')
  for (let i = 0; i < 3; i++) {
    const swallowed = proxy.swallowNextReply()
    await t.rejects(sessions.acquire(ask('alice', 'x')), { code: 'store_unavailable' })
    await swallowed
    t.equal(await client.zcard(`${prefix}user-leases:alice`), 2)
    await waitFor(() => own.status === 'ready', { what: 'the connection to be there again' })
  }
  const results = await Promise.all(
    Array.from({ length: 10 }, async () => await sessions.acquire(ask('alice', 'x')))
  )
  t.ok(results.every(({ outcome }) => outcome === 'refreshed'))
  const swallowed = proxy.swallowNextReply()
  await t.rejects(sessions.release(hangUp('x', 'alice')), { code: 'store_unavailable' })
  await swallowed
  await waitFor(() => own.status === 'ready', { what: 'the connection to be there again' })
  t.match(await sessions.release(hangUp('x', 'alice')), { outcome: 'unknown' })
  t.match(await sessions.getCount('alice'), { count: 1 })
})

t.test('two instances share one count', async (t) => {
  const { prefix } = await startOnRedis(executor)
  const instances = await Promise.all(
    [1, 2].map(async () => {
      const through = await executorOn(t, { REDIS_URL: redis.url })
      const twin = await startOnRedis(through, { max_sessions_per_user: 7 }, { prefix })
      return twin.sessions
    })
  )
  const results = await Promise.all(
    names('s', 60).map(async (id, i) => await instances[i % 2]?.acquire(ask('alice', id)))
  )
  t.equal(results.filter((result) => result?.outcome === 'admitted').length, 7)
  const same = await Promise.all(
    instances.flatMap((store) =>
      Array.from({ length: 20 }, async () => await store.acquire(ask('bob', 'same')))
    )
  )
  t.equal(same.filter(({ outcome }) => outcome === 'admitted').length, 1)
  t.match(await instances[0]?.getCount('bob'), { count: 1 })
})
