import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { loadConfig } from '../config.ts'
import type { Page, PageRequest } from '../schemas/paging.ts'
import type { PolicyChange } from '../schemas/policy.ts'
import type { Session } from '../schemas/sessions.ts'
import { encodeCursor } from '../services/util/cursor.ts'
import type { LimitsStore } from '../services/limits/limits-store.ts'
import { MemoryLimitsStore } from '../services/limits/memory-limits-store.ts'
import { RedisLimitsStore } from '../services/limits/redis-limits-store.ts'
import { MalformedValues } from '../services/util/malformed-values.ts'
import { memoryPolicySource } from '../services/policy/memory-policy-source.ts'
import { PolicyCache } from '../services/policy/policy.ts'
import { connectRedis } from '../services/redis/client.ts'
import { RedisExecutor } from '../services/redis/executor.ts'
import { RedisKeys } from '../services/redis/keys.ts'
import { MemorySessionStore } from '../services/sessions/memory/memory-session-store.ts'
import { RedisClusterSessionStore } from '../services/sessions/redis/redis-cluster-session-store.ts'
import { RedisSessionStore } from '../services/sessions/redis/redis-session-store.ts'
import type {
  AcquireRequest,
  AcquireResult,
  ReconcileResult,
  RenewResult,
  SessionStore
} from '../services/sessions/session-store.ts'
import { startCluster, startProxy, startRedis, waitFor } from './helpers/servers.ts'

const redis = await startRedis(t)
const [TTL, HOUR, FOREVER] = [90_000, 3_600_000, Number.MAX_SAFE_INTEGER]

const settings = loadConfig({ REDIS_URL: redis.url, REDIS_TIMEOUT_MS: '10000' })
const executor = new RedisExecutor(await connect(t, redis), settings.REDIS_TIMEOUT_MS)

const cluster = await startCluster(t, 3, 0)
const clusterGate = new RedisExecutor(
  await opened(
    t,
    connectRedis(
      loadConfig({
        REDIS_CLUSTER_NODES: cluster.masters.map(({ host, port }) => `${host}:${port}`).join()
      }),
      {}
    )
  ),
  settings.REDIS_TIMEOUT_MS
)

/** One kind of store, and the time that it lives by. */
interface Twin {
  sessions: SessionStore
  limits: LimitsStore
  policy: PolicyCache
  /** The time by the store's clock, in milliseconds. */
  now(): Promise<number>
  /** Lets so many milliseconds go by. */
  pass(ms: number): Promise<void>
  /** Makes what is remembered of a session id so many milliseconds older. */
  age(sessionId: string, ms: number): Promise<void>
}

const stores: Record<string, (t: Test, change?: PolicyChange) => Promise<Twin>> = {
  memory: startInMemory,
  redis: startOnRedis,
  cluster: startOnCluster
}

async function startInMemory (_t: Test, change: PolicyChange = {}): Promise<Twin> {
  let now = Date.parse('2026-11-22T10:00:00Z')
  const clock = () => now
  const policy = policyOf(change)
  const limits = new MemoryLimitsStore(policy, clock)
  return {
    sessions: new MemorySessionStore(limits, policy, clock),
    limits,
    policy,
    now: async () => now,
    pass: async (ms) => {
      now += ms
    },
    age: async (_id, ms) => {
      now += ms
    }
  }
}

/** The store on the shared Redis, under a key prefix that nobody else has. */
async function startOnRedis (_t: Test, change: PolicyChange = {}, through = executor) {
  const prefix = `${randomUUID()}:`
  const [keys, policy, malformed] = [new RedisKeys(prefix), policyOf(change), new MalformedValues()]
  const limits = new RedisLimitsStore(through, keys, policy, malformed)
  const now = async () => await executor.nowMs()
  const twin: Twin = {
    sessions: new RedisSessionStore(through, keys, policy, limits, malformed),
    limits,
    policy,
    now,
    async pass (ms) {
      const until = (await now()) + ms
      await waitFor(async () => (await now()) >= until, { what: `${ms} ms on Redis`, everyMs: 2 })
    },
    async age (id, ms) {
      const key = keys.lease('', id)
      await executor.client.pexpire(key, (await executor.client.pttl(key)) - ms)
    }
  }
  return {
    ...twin,
    prefix,
    keys: async () =>
      (await executor.client.keys(`${prefix}*`)).map((key) => key.slice(prefix.length)).sort()
  }
}

/** The store on the shared Cluster of three masters. */
async function startOnCluster (_t: Test, change: PolicyChange = {}): Promise<Twin> {
  const [keys, policy, malformed] = [
    new RedisKeys(`${randomUUID()}:`, true),
    policyOf(change),
    new MalformedValues()
  ]
  const limits = new RedisLimitsStore(clusterGate, keys, policy, malformed)
  const now = async () => await clusterGate.nowMs()
  return {
    sessions: new RedisClusterSessionStore(clusterGate, keys, policy, limits, malformed),
    limits,
    policy,
    now,
    async pass (ms) {
      const until = (await now()) + ms
      await waitFor(async () => (await now()) >= until, {
        what: `${ms} ms on the Cluster`,
        everyMs: 2
      })
    },
    async age (id, ms) {
      const key = keys.lease((await clusterGate.client.get(keys.holder(id))) ?? '', id)
      await clusterGate.client.pexpire(key, (await clusterGate.client.pttl(key)) - ms)
    }
  }
}

function policyOf (change: PolicyChange): PolicyCache {
  const policy = {
    enabled: true,
    max_sessions_per_user: 5,
    session_limit_action: 'reject' as const,
    ...change
  }
  return new PolicyCache(memoryPolicySource(policy), policy)
}

/** A client as the service makes it, connected to a server. */
async function connect (t: Test, { host, port }: { host: string; port: number }): Promise<Redis> {
  return await opened(t, connectRedis({ ...settings, REDIS_URL: `redis://${host}:${port}` }, {}))
}

async function opened (t: Test, client: Redis): Promise<Redis> {
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  await client.connect()
  return client
}

/** A request for a slot; what a test is not about is left to this. */
function ask (
  username: string,
  sessionId: string,
  more: Partial<AcquireRequest> = {}
): AcquireRequest {
  return { username, sessionId, ttlMs: TTL, node: undefined, details: {}, dryRun: false, ...more }
}

/** Takes a slot, and fails the test where there is none. */
async function admit (
  sessions: SessionStore,
  username: string,
  sessionId: string,
  more: Partial<AcquireRequest> = {}
) {
  const result = await sessions.acquire(ask(username, sessionId, more))
  if (result.outcome !== 'admitted') {
    throw new Error(`${sessionId} of ${username}: ${result.outcome}`)
  }
  return result
}

/**
 * Takes slots one after the other, a millisecond apart at the least, so that their order is
 * certain.
 */
async function fill (
  { sessions, pass }: Twin,
  username: string,
  ids: string[],
  more: Partial<AcquireRequest> = {}
): Promise<void> {
  for (const id of ids) {
    await admit(sessions, username, id, more)
    await pass(1)
  }
}

function idsOf (list: Session[]): string[] {
  return list.map(({ session_id: id }) => id).sort()
}

/** Every page of a list. */
async function pages<T> (
  get: (page: PageRequest) => Promise<Page<T>>,
  count: number
): Promise<T[][]> {
  const got: T[][] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    if (cursor.length > 12_000) {
      throw new Error(`a cursor of ${cursor.length} characters, more than a query takes`)
    }
    const page: Page<T> = await get({ cursor, count })
    got.push(page.entries)
    cursor = page.next_cursor
  }
  return got
}

async function everything (
  { sessions }: Twin,
  filter: { username?: string; node?: string } = {}
): Promise<string[]> {
  return idsOf(
    (await pages(async (page) => await sessions.listSessions(filter, page), 1000)).flat()
  )
}

const names = (head: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${head}${String(i).padStart(3, '0')}`)
const outcomes = (results: RenewResult[]) => results.map(({ outcome }) => outcome)

for (const [kind, start] of Object.entries(stores)) {
  t.test(`${kind}: what every session store promises`, async (t) => {
    t.test('acquire takes slots up to the limit and not one more', async (t) => {
      const { sessions, now } = await start(t)
      for (let i = 1; i <= 5; i++) {
        t.match(await admit(sessions, 'alice', `a${i}`), {
          count: i,
          limit: 5,
          terminated: [],
          observed: false
        })
      }
      t.strictSame(strip(await sessions.acquire(ask('alice', 'a6'))), {
        outcome: 'limit_reached',
        count: 5,
        limit: 5
      })
      t.equal(await sessions.getSession('a6'), null, 'what was refused is not there')
      t.strictSame(await sessions.getCount('alice'), {
        username: 'alice',
        count: 5,
        limit: 5,
        available: 0,
        leases: 5,
        external: 0
      })
      t.equal(
        (await sessions.acquire(ask('Alice', 'A1'))).outcome,
        'admitted',
        'another user, by case'
      )
      const session = await sessions.getSession('a1')
      const [started, expires, at] = [
        Date.parse(session?.started_at ?? ''),
        Date.parse(session?.expires_at ?? ''),
        await now()
      ]
      t.equal(expires - started, TTL)
      t.ok(started <= at && started > at - 5000, "the time is the store's")
    })

    t.test(
      'a further acquire refreshes an id that holds a slot, even over the limit; it counts once',
      async (t) => {
        const twin = await start(t)
        const { sessions, limits, pass } = twin
        const first = await admit(sessions, 'alice', 'a', {
          node: 'n1',
          details: { from: 'sip:x@y', emergency: false }
        })
        await admit(sessions, 'alice', 'b')
        await limits.setLimit('alice', 1)
        await pass(20)
        const again = await sessions.acquire(
          ask('alice', 'a', { ttlMs: 2 * TTL, details: { from: 'other' } })
        )
        if (again.outcome !== 'refreshed') return t.fail(again.outcome)
        t.match(again, { count: 2, limit: 1, terminated: [], observed: false })
        t.match(
          again.session,
          { started_at: first.session.started_at, node: 'n1', from: 'sip:x@y' },
          'it stays the call that it was'
        )
        t.ok(
          Date.parse(again.session.expires_at ?? '') - Date.parse(first.session.expires_at ?? '') >=
            TTL + 20
        )
        t.strictSame(await sessions.getSession('a'), again.session)
        t.equal((await sessions.getCount('alice')).count, 2)
      }
    )

    t.test('a refresh without its node keeps the lease on its node', async (t) => {
      const { sessions, pass } = await start(t)
      await sessions.reconcileNode({
        node: 'n1',
        epoch: 1,
        sessions: [],
        ttlMs: TTL,
        asOfMs: FOREVER
      })
      await admit(sessions, 'alice', 'a', { node: 'n1', ttlMs: 200 })
      await sessions.acquire(ask('alice', 'a'))
      await sessions.acquire(ask('alice', 'a', { node: 'n2' }))
      await pass(250)
      t.match((await sessions.listNodes({ cursor: '', count: 10 })).entries, [
        { node: 'n1', sessions: 1 }
      ])
      t.strictSame(await everything({ sessions } as Twin, { node: 'n1' }), ['a'])
      t.strictSame(await everything({ sessions } as Twin, { node: 'n2' }), [])
    })

    t.test('an id that another user holds is a conflict and changes nothing', async (t) => {
      const { sessions } = await start(t)
      const { session } = await admit(sessions, 'alice', 'x')
      t.strictSame(await sessions.acquire(ask('bob', 'x', { ttlMs: 2 * TTL })), {
        outcome: 'conflict'
      })
      t.strictSame(await sessions.acquire(ask('bob', 'x', { dryRun: true })), {
        outcome: 'conflict'
      })
      t.strictSame(await sessions.acquire(ask('bob', 'x', { details: { emergency: true } })), {
        outcome: 'conflict'
      })
      t.strictSame(await sessions.renew([{ sessionId: 'x', username: 'bob' }], TTL), [
        { outcome: 'conflict' }
      ])
      t.strictSame(await sessions.release('x', 'bob', 'r'), { outcome: 'conflict' })
      t.strictSame(await sessions.getSession('x'), session)
      t.equal((await sessions.getCount('bob')).count, 0)
    })

    t.test('an id whose lease has expired is free, for its user and for others', async (t) => {
      const { sessions, pass } = await start(t, { max_sessions_per_user: 1 })
      await admit(sessions, 'alice', 'x', { ttlMs: 100 })
      await admit(sessions, 'carol', 'y', { ttlMs: 100, details: { from: 'old' } })
      await pass(101)
      t.match(await admit(sessions, 'bob', 'x'), { count: 1, session: { username: 'bob' } })
      t.equal((await sessions.getCount('alice')).count, 0)
      t.strictSame(await sessions.renew([{ sessionId: 'x', username: 'alice' }], TTL), [
        { outcome: 'conflict' }
      ])
      t.match(await admit(sessions, 'carol', 'y', { details: { from: 'new' } }), {
        count: 1,
        session: { from: 'new' }
      })
      t.match(await sessions.getSession('y'), { from: 'new' })
      t.equal((await sessions.acquire(ask('carol', 'z'))).outcome, 'limit_reached')
    })

    t.test('a dry run says what would happen and takes nothing', async (t) => {
      const twin = await start(t, { max_sessions_per_user: 2 })
      const { sessions, policy } = twin
      const dry = async (id: string) =>
        await sessions.acquire(ask('alice', id, { dryRun: true, node: 'n' }))
      t.match(await dry('a'), { outcome: 'admitted', count: 1, limit: 2, terminated: [] })
      t.match(await dry('a'), { outcome: 'admitted', count: 1 }, 'and has taken nothing before')
      await fill(twin, 'alice', ['a', 'b'])
      const before = await sessions.getSession('a')
      await twin.pass(10)
      t.match(await dry('a'), { outcome: 'refreshed', count: 2 })
      t.strictSame(await sessions.getSession('a'), before, 'nothing was refreshed')
      t.match(await dry('c'), { outcome: 'limit_reached', count: 2, limit: 2 })
      await policy.update({ session_limit_action: 'terminate_oldest' })
      t.match(await dry('c'), { outcome: 'admitted', count: 2, terminated: ['a'] })
      t.strictSame(await everything(twin), ['a', 'b'], 'nobody was ended')
      await policy.update({ session_limit_action: 'observe' })
      t.match(await dry('c'), { outcome: 'admitted', count: 3, observed: true })
      await sessions.release('a', 'alice', 'r')
      t.strictSame(await dry('a'), { outcome: 'ended' })
      t.strictSame(await everything(twin), ['b'])
      t.strictSame(await everything(twin, { node: 'n' }), [])
    })

    t.test('an emergency call is always admitted, counted, and ends nobody', async (t) => {
      const twin = await start(t, { max_sessions_per_user: 1 })
      const { sessions, policy } = twin
      const emergency = { details: { emergency: true } }
      await admit(sessions, 'alice', 'a')
      t.match(await admit(sessions, 'alice', 'sos1', emergency), {
        count: 2,
        limit: 1,
        terminated: [],
        observed: false,
        session: { emergency: true }
      })
      await policy.update({ session_limit_action: 'terminate_oldest' })
      t.match(await admit(sessions, 'alice', 'sos2', emergency), { count: 3, terminated: [] })
      t.equal((await sessions.getCount('alice')).count, 3)
      await policy.update({ session_limit_action: 'reject' })
      t.match(await sessions.acquire(ask('alice', 'b')), {
        outcome: 'limit_reached',
        count: 3,
        limit: 1
      })
      t.equal((await sessions.getSession('sos1'))?.emergency, true)
    })

    t.test(
      'observe refuses nobody and says who was over; limits that are off say nothing and count',
      async (t) => {
        const { sessions, policy } = await start(t, {
          max_sessions_per_user: 1,
          session_limit_action: 'observe'
        })
        t.match(await admit(sessions, 'alice', 'a'), { observed: false, count: 1 })
        t.match(await admit(sessions, 'alice', 'b'), {
          observed: true,
          count: 2,
          limit: 1,
          terminated: []
        })
        for (const action of ['reject', 'terminate_oldest', 'observe'] as const) {
          await policy.update({ enabled: false, session_limit_action: action })
          t.match(await admit(sessions, 'alice', `off-${action}`), {
            observed: false,
            terminated: []
          })
        }
        t.equal((await sessions.getCount('alice')).count, 5)
        await policy.update({ enabled: true, session_limit_action: 'reject' })
        t.match(await sessions.acquire(ask('alice', 'c')), { outcome: 'limit_reached', count: 5 })
      }
    )

    t.test("a limit of 0 is unlimited, whether it is the user's own or the policy's", async (t) => {
      const { sessions, limits, policy } = await start(t, { max_sessions_per_user: 1 })
      await limits.setLimit('alice', 0)
      for (const id of names('a', 8)) {
        t.match(await admit(sessions, 'alice', id), { limit: 0, terminated: [], observed: false })
      }
      t.match(await sessions.getCount('alice'), { count: 8, limit: 0, available: null })
      for (const action of ['terminate_oldest', 'observe'] as const) {
        await policy.update({ session_limit_action: action })
        t.match(await admit(sessions, 'alice', action), { terminated: [], observed: false })
      }
      await policy.update({ max_sessions_per_user: 0, session_limit_action: 'reject' })
      for (const id of names('b', 3)) t.match(await admit(sessions, 'bob', id), { limit: 0 })
      await limits.setLimit('bob', 3)
      t.match(
        await sessions.acquire(ask('bob', 'b9')),
        { outcome: 'limit_reached', count: 3, limit: 3 },
        'an own limit goes before'
      )
    })

    t.test(
      'a temporary limit, an own limit and the policy bind the next admission, in that order',
      async (t) => {
        const { sessions, limits, policy, pass } = await start(t)
        await fill({ sessions, pass } as Twin, 'alice', names('a', 3))
        const next = async () => {
          const result = await sessions.acquire(ask('alice', 'next', { dryRun: true }))
          return 'limit' in result ? [result.outcome, result.limit] : [result.outcome]
        }
        t.strictSame(await next(), ['admitted', 5])
        await limits.setLimit('alice', 3)
        t.strictSame(await next(), ['limit_reached', 3])
        await limits.setTemporaryLimit('alice', { limit: 4, duration: 1 })
        t.strictSame(await next(), ['admitted', 4])
        await pass(1001)
        t.strictSame(await next(), ['limit_reached', 3], 'until it ends')
        await limits.setTemporaryLimit('alice', { limit: 0, duration: 60 })
        t.strictSame(await next(), ['admitted', 0])
        await limits.setTemporaryLimit('alice', { limit: 2, duration: 60, reason: '9 9 9' })
        t.strictSame(await next(), ['limit_reached', 2])
        await limits.removeTemporaryLimit('alice')
        await limits.removeLimit('alice')
        t.strictSame(await next(), ['admitted', 5])
        await policy.update({ max_sessions_per_user: 1 })
        t.strictSame(await next(), ['limit_reached', 1])
        await limits.setLimit('alice', 1_000_000)
        t.strictSame(await next(), ['admitted', 1_000_000])
      }
    )

    t.test(
      'terminate_oldest ends all that are too many, oldest first by start, and names them',
      async (t) => {
        const twin = await start(t, { session_limit_action: 'terminate_oldest' })
        const { sessions, limits } = twin
        await limits.setLimit('alice', 10)
        // In an order that neither the ids nor the ends of the leases give away.
        const ids = ['m', 'c', 'z', 'a', 'k', 'b', 'y', 'd', 'x', 'e']
        for (const [i, id] of ids.entries()) {
          await admit(sessions, 'alice', id, {
            ttlMs: TTL + (i % 2 === 0 ? i : -i) * 1000,
            node: i % 3 === 0 ? 'n1' : undefined
          })
          await twin.pass(2)
        }
        await admit(sessions, 'bob', 'bobs')
        await sessions.renew([{ sessionId: 'm', username: 'alice' }], 10 * TTL)
        await limits.setLimit('alice', 3)
        const result = await admit(sessions, 'alice', 'new')
        t.match({ count: result.count, limit: result.limit }, { count: 3, limit: 3 })
        t.strictSame(result.terminated, ids.slice(0, 8), 'a renewal makes nobody younger')
        t.strictSame(await everything(twin, { username: 'alice' }), ['e', 'new', 'x'])
        t.equal((await sessions.getCount('alice')).count, 3)
        t.strictSame(
          await everything(twin, { node: 'n1' }),
          ['e'],
          'nor are they on their nodes any more'
        )
        for (const id of result.terminated) {
          t.strictSame(await sessions.acquire(ask('alice', id)), { outcome: 'ended' })
        }
        t.strictSame(outcomes(await sessions.renew([{ sessionId: 'm', username: 'alice' }], TTL)), [
          'ended'
        ])
        t.strictSame(
          (await admit(sessions, 'alice', 'new2')).terminated,
          ['x'],
          'at the limit one makes room for one'
        )
        t.strictSame(await everything(twin, { username: 'bob' }), ['bobs'])
      }
    )

    t.test('a terminated id stays ended for as long as its lease might have lasted', async (t) => {
      const twin = await start(t, {
        session_limit_action: 'terminate_oldest',
        max_sessions_per_user: 1
      })
      const { sessions, age } = twin
      await admit(sessions, 'alice', 'long', { ttlMs: 24 * HOUR })
      await admit(sessions, 'alice', 'other')
      await admit(sessions, 'bob', 'released', { ttlMs: 24 * HOUR })
      await sessions.release('released', undefined, 'r')
      for (const id of ['long', 'released']) {
        t.strictSame(await sessions.acquire(ask('carol', id)), { outcome: 'ended' }, 'soon after')
      }
      await age('long', 23 * HOUR)
      if (kind !== 'memory') await age('released', 23 * HOUR)
      t.strictSame(
        outcomes(await sessions.renew([{ sessionId: 'long', username: 'alice' }], TTL)),
        ['ended'],
        'a day later'
      )
      t.strictSame(
        outcomes(await sessions.renew([{ sessionId: 'released', username: 'bob' }], TTL)),
        ['ended'],
        'a day later'
      )
    })

    t.test('renew prolongs what is known', async (t) => {
      const { sessions, now, pass } = await start(t)
      const { session } = await admit(sessions, 'alice', 'a', {
        details: { to: 'sip:b@c' },
        node: 'n1'
      })
      await pass(5)
      const before = await now()
      const [result] = await sessions.renew([{ sessionId: 'a', username: 'alice' }], 2 * TTL)
      const after = await now()
      if (result?.outcome !== 'renewed') return t.fail(result?.outcome ?? 'nothing')
      const end = Date.parse(result.session.expires_at ?? '')
      t.ok(end >= before + 2 * TTL && end <= after + 2 * TTL)
      t.strictSame({ ...result.session, expires_at: null }, { ...session, expires_at: null })
      t.strictSame(await sessions.getSession('a'), result.session)
      const [shorter] = await sessions.renew([{ sessionId: 'a', username: 'alice' }], 10_000)
      t.ok(
        shorter?.outcome === 'renewed' &&
          Date.parse(shorter.session.expires_at ?? '') < before + TTL,
        'a shorter one counts as well'
      )
      t.strictSame(await sessions.renew([], TTL), [])
    })

    t.test(
      'renew registers the unknown again, even over the limit; the expired as the call that it was',
      async (t) => {
        const { sessions, pass } = await start(t, { max_sessions_per_user: 1 })
        await admit(sessions, 'alice', 'a')
        const { session } = await admit(sessions, 'bob', 'b', {
          ttlMs: 50,
          details: { from: 'sip:b@x', metadata: { k: 'v' } },
          node: 'n1'
        })
        await pass(60)
        const [unknown, expired] = await sessions.renew(
          [
            { sessionId: 'u', username: 'alice', node: 'n2', details: { call_id: 'c' } },
            { sessionId: 'b', username: 'bob' }
          ],
          TTL
        )
        t.match(unknown, {
          outcome: 'reregistered',
          session: { session_id: 'u', username: 'alice', node: 'n2', call_id: 'c', source: 'lease' }
        })
        t.match(expired, { outcome: 'reregistered', session: { ...session, expires_at: String } })
        t.match(await sessions.getCount('alice'), { count: 2, limit: 1, available: 0 })
        t.strictSame(outcomes(await sessions.renew([{ sessionId: 'u', username: 'alice' }], TTL)), [
          'renewed'
        ])
        t.match(await sessions.acquire(ask('alice', 'v')), {
          outcome: 'limit_reached',
          count: 2,
          limit: 1
        })
      }
    )

    t.test('a batch has one result per item, in order, whatever the others are', async (t) => {
      const { sessions } = await start(t, { max_sessions_per_user: 0 })
      await admit(sessions, 'alice', 'known')
      await admit(sessions, 'bob', 'bobs')
      await admit(sessions, 'alice', 'gone')
      await sessions.release('gone', undefined, 'r')
      t.strictSame(
        outcomes(
          await sessions.renew(
            [
              { sessionId: 'gone', username: 'alice' },
              { sessionId: 'known', username: 'alice' },
              { sessionId: 'bobs', username: 'alice' },
              { sessionId: 'new', username: 'alice' },
              { sessionId: 'new', username: 'alice' },
              { sessionId: 'new', username: 'bob' },
              {
                sessionId: 'bobs',
                username: 'bob'
              }
            ],
            TTL
          )
        ),
        ['ended', 'renewed', 'conflict', 'reregistered', 'renewed', 'conflict', 'renewed']
      )
      const many = Array.from({ length: 1001 }, (_, i) => ({
        sessionId: `s${i}`,
        username: `u${i % 7}`
      }))
      const results = await sessions.renew(many, TTL)
      t.strictSame(
        results.map((result) => result.outcome === 'reregistered' && result.session.session_id),
        many.map(({ sessionId }) => sessionId)
      )
      t.strictSame(
        new Set(outcomes(await sessions.renew(many.reverse(), TTL))),
        new Set(['renewed'])
      )
    })

    t.test('release ends a session once; an unknown one was not up', async (t) => {
      const { sessions, pass } = await start(t, { max_sessions_per_user: 1 })
      await admit(sessions, 'alice', 'a', { node: 'n1' })
      t.match(await sessions.release('a', 'alice', 'hangup'), { outcome: 'released' })
      t.match(await sessions.release('a', 'alice', 'hangup'), { outcome: 'unknown' })
      t.match(await sessions.release('a', undefined, 'hangup'), { outcome: 'unknown' })
      t.match(await sessions.release('never', 'alice', 'hangup'), { outcome: 'unknown' })
      t.match(await sessions.release('never', undefined, 'hangup'), { outcome: 'unknown' })
      t.equal(await sessions.getSession('a'), null)
      t.equal((await sessions.getCount('alice')).count, 0)
      t.strictSame(
        (await sessions.listSessions({ node: 'n1' }, { cursor: '', count: 9 })).entries,
        []
      )
      await admit(sessions, 'alice', 'b', { ttlMs: 50 })
      await pass(51)
      t.match(
        await sessions.release('b', undefined, 'late'),
        { outcome: 'unknown' },
        'an expired one was not up either'
      )
      await admit(sessions, 'alice', 'never', {})
      t.match(await sessions.release('never', undefined, "whoever's it is"), {
        outcome: 'released'
      })
    })

    t.test(
      'what was released or terminated never comes back: each late try starts the time anew',
      async (t) => {
        const { sessions, age } = await start(t)
        await admit(sessions, 'alice', 'a')
        await sessions.release('a', undefined, 'r')
        const tries: Array<() => Promise<{ outcome: string } | undefined>> = [
          async () => await sessions.acquire(ask('alice', 'a')),
          async () => await sessions.acquire(ask('bob', 'a')),
          async () => await sessions.acquire(ask('alice', 'a', { details: { emergency: true } })),
          async () => (await sessions.renew([{ sessionId: 'a', username: 'alice' }], TTL))[0],
          async () => (await sessions.renew([{ sessionId: 'a', username: 'bob' }], TTL))[0]
        ]
        for (const attempt of tries) {
          await age('a', HOUR - 5000)
          t.strictSame(await attempt(), { outcome: 'ended' })
        }
        t.match(
          await sessions.reconcileNode({
            node: 'n',
            epoch: 1,
            sessions: [{ sessionId: 'a', username: 'alice' }],
            ttlMs: TTL,
            asOfMs: FOREVER
          }),
          { ended: ['a'] }
        )
        t.equal((await sessions.getCount('alice')).count, 0)
        await age('a', HOUR - 5000)
        await sessions.release('a', 'alice', 'r')
        await sessions.acquire(ask('alice', 'a', { dryRun: true }))
        await age('a', 6000)
        await admit(sessions, 'alice', 'a')
        t.pass('an hour after the last try the id is free')
      }
    )

    t.test(
      "a node's report renews the known, registers the missing and releases what the node has lost",
      async (t) => {
        const twin = await start(t)
        const { sessions, now } = twin
        const listed = (...ids: string[]) => ids.map((id) => ({ sessionId: id, username: 'alice' }))
        const report = async (epoch: number, ids: string[]) =>
          strip(
            await sessions.reconcileNode({
              node: 'n1',
              epoch,
              sessions: listed(...ids),
              ttlMs: TTL,
              asOfMs: FOREVER
            })
          )
        const done = (tally: Partial<ReconcileResult>) => ({
          outcome: 'reconciled',
          renewed: 0,
          registered: 0,
          released: 0,
          ended: [],
          conflicts: [],
          ...tally
        })

        await admit(sessions, 'alice', 'known', { node: 'n1', ttlMs: 10_000 })
        await admit(sessions, 'alice', 'dropped', { node: 'n1' })
        await admit(sessions, 'alice', 'elsewhere', { node: 'n2' })
        await admit(sessions, 'alice', 'nowhere')
        await admit(sessions, 'bob', 'bobs', { node: 'n2' })
        await admit(sessions, 'alice', 'over')
        await sessions.release('over', undefined, 'r')
        const before = await now()
        t.strictSame(
          await report(1, ['known', 'missing', 'over', 'bobs', 'nowhere']),
          done({
            renewed: 2,
            registered: 1,
            released: 1,
            ended: ['over'],
            conflicts: ['bobs']
          })
        )
        t.strictSame(await everything(twin, { username: 'alice' }), [
          'elsewhere',
          'known',
          'missing',
          'nowhere'
        ])
        t.strictSame(
          await everything(twin, { node: 'n1' }),
          ['known', 'missing', 'nowhere'],
          'what it reports is on it now'
        )
        t.ok(Date.parse((await sessions.getSession('known'))?.expires_at ?? '') >= before + TTL)
        t.strictSame(await sessions.acquire(ask('alice', 'dropped')), { outcome: 'ended' })

        t.strictSame(
          await report(1, ['known', 'missing', 'nowhere', 'elsewhere']),
          done({ renewed: 4 })
        )
        t.strictSame(
          await everything(twin, { node: 'n2' }),
          ['bobs'],
          'a session that moved is on one node only'
        )
        t.match(
          await sessions.reconcileNode({
            node: 'n2',
            epoch: 7,
            sessions: [],
            ttlMs: TTL,
            asOfMs: FOREVER
          }),
          { released: 1 }
        )
        t.equal(
          (await sessions.getSession('elsewhere'))?.node,
          'n1',
          'and its old node cannot end it'
        )

        t.strictSame(
          await report(5, ['known', 'fresh']),
          done({ renewed: 1, registered: 1, released: 3 }),
          'a restart ends what the old one held'
        )
        t.strictSame(await report(4, []), { outcome: 'stale_epoch', epoch: 5 })
        t.strictSame(
          await everything(twin, { node: 'n1' }),
          ['fresh', 'known'],
          'a report from before the restart ends nothing'
        )
        t.strictSame(await report(5, []), done({ released: 2 }))
        t.strictSame(await report(5, []), done({}))
        t.strictSame(await report(Number.MAX_SAFE_INTEGER, []), done({}))
        t.strictSame(await report(Number.MAX_SAFE_INTEGER - 1, []), {
          outcome: 'stale_epoch',
          epoch: Number.MAX_SAFE_INTEGER
        })
      }
    )

    t.test(
      "a node's report may bring details, no limit refuses it, and an id named twice counts once",
      async (t) => {
        const { sessions } = await start(t, { max_sessions_per_user: 1 })
        const details = {
          call_id: 'c',
          from: 'sip:ä@b',
          direction: 'inbound' as const,
          metadata: { n: 1 },
          emergency: true
        }
        const list = [
          ...names('s', 4).map((sessionId) => ({ sessionId, username: 'alice', details })),
          { sessionId: 's000', username: 'alice' }
        ]
        t.match(
          await sessions.reconcileNode({
            node: 'n1',
            epoch: 0,
            sessions: list,
            ttlMs: TTL,
            asOfMs: FOREVER
          }),
          {
            registered: 4,
            renewed: 1
          }
        )
        t.match(await sessions.getSession('s000'), { ...details, node: 'n1', to: null })
        t.equal((await sessions.getCount('alice')).count, 4)
      }
    )

    t.test('a report of many calls is as exact as one of few', async (t) => {
      const twin = await start(t, { max_sessions_per_user: 0 })
      const { sessions } = twin
      const many = names('m', 620).map((sessionId, i) => ({ sessionId, username: `user${i % 7}` }))
      const report = async (list: typeof many) =>
        await sessions.reconcileNode({
          node: 'n1',
          epoch: 1,
          sessions: list,
          ttlMs: TTL,
          asOfMs: FOREVER
        })
      t.match(await report(many), {
        registered: 620,
        renewed: 0,
        released: 0,
        conflicts: [],
        ended: []
      })
      t.match(await report(many), { registered: 0, renewed: 620, released: 0 })
      // The same id again, in another call than the first time.
      t.match(await report([...many.slice(1), ...many.slice(1, 3)]), {
        registered: 0,
        renewed: 621,
        released: 1
      })
      await sessions.release('m300', undefined, 'r')
      t.match(await report(many.slice(0, 500)), {
        registered: 0,
        renewed: 498,
        released: 120,
        ended: ['m000', 'm300']
      })
      t.equal((await everything(twin, { node: 'n1' })).length, 498)
    })

    t.test(
      'a node that reports an id for another user than its holder frees nothing for that user',
      async (t) => {
        const { sessions } = await start(t)
        await admit(sessions, 'alice', 'x', { node: 'n1' })
        const result = await sessions.reconcileNode({
          node: 'n1',
          epoch: 1,
          sessions: [{ sessionId: 'x', username: 'bob' }],
          ttlMs: TTL,
          asOfMs: FOREVER
        })
        if (result.outcome !== 'reconciled') return t.fail(result.outcome)
        t.match(result, { registered: 0, released: 1 })
        // In a cluster whose it was and whether it has ended are looked up side by side.
        t.strictSame([...result.conflicts, ...(kind === 'cluster' ? result.ended : [])], ['x'])
        t.equal((await sessions.getCount('bob')).count, 0)
      }
    )

    t.test('what started after the list was taken is not released for missing in it', async (t) => {
      const twin = await start(t)
      const { sessions, now, pass } = twin
      await admit(sessions, 'alice', 'old', { node: 'n1' })
      await pass(5)
      const asOfMs = await now()
      await pass(5)
      await admit(sessions, 'alice', 'young', { node: 'n1' })
      const report = { node: 'n1', epoch: 1, sessions: [], ttlMs: TTL }
      t.match(await sessions.reconcileNode({ ...report, asOfMs }), {
        outcome: 'reconciled',
        released: 1
      })
      t.strictSame(await everything(twin, { node: 'n1' }), ['young'])
      t.match(await sessions.reconcileNode({ ...report, asOfMs: await now() }), { released: 1 })
    })

    t.test("a node's report does not count what had expired before as released", async (t) => {
      const { sessions, pass } = await start(t)
      await admit(sessions, 'alice', 'a', { node: 'n1', ttlMs: 50 })
      await pass(51)
      t.match(
        await sessions.reconcileNode({
          node: 'n1',
          epoch: 1,
          sessions: [],
          ttlMs: TTL,
          asOfMs: FOREVER
        }),
        { released: 0 }
      )
      t.match(await sessions.renew([{ sessionId: 'a', username: 'alice' }], TTL), [
        { outcome: 'reregistered' }
      ])
    })

    t.test(
      'nodes are listed with their epoch, when they reported last, and their sessions',
      async (t) => {
        const { sessions, now, pass } = await start(t)
        t.strictSame(await sessions.listNodes({ cursor: '', count: 10 }), {
          entries: [],
          next_cursor: null
        })
        const before = await now()
        for (const [i, node] of names('node-', 5).entries()) {
          const list = names(`${node}-s`, i).map((sessionId) => ({ sessionId, username: 'alice' }))
          await sessions.reconcileNode({
            node,
            epoch: i,
            sessions: list,
            ttlMs: i === 4 ? 50 : TTL,
            asOfMs: FOREVER
          })
        }
        await pass(51)
        for (const count of [1, 2, 1000]) {
          const nodes = (await pages(async (page) => await sessions.listNodes(page), count)).flat()
          t.match(
            nodes.sort((a, b) => a.epoch - b.epoch),
            [0, 1, 2, 3, 0].map((up, i) => ({ node: `node-00${i}`, epoch: i, sessions: up }))
          )
          t.ok(
            nodes.every(
              ({ last_seen: at }) => Date.parse(at) >= before && Date.parse(at) <= before + 5000
            )
          )
          t.equal(nodes.length, 5)
        }
      }
    )

    t.test("terminating a user ends all its sessions and nobody else's", async (t) => {
      const twin = await start(t, { max_sessions_per_user: 0 })
      const { sessions, pass } = twin
      const ids = names('a', 300)
      await Promise.all(ids.map(async (id) => await admit(sessions, 'alice', id, { node: 'n1' })))
      await admit(sessions, 'bob', 'b', { node: 'n1' })
      await admit(sessions, 'alice', 'expired', { ttlMs: 20 })
      await pass(21)
      t.strictSame((await sessions.terminateUser('alice', 'fraud')).terminated.sort(), ids)
      t.strictSame(await sessions.terminateUser('alice', 'fraud'), { terminated: [] })
      t.strictSame(await everything(twin), ['b'])
      t.strictSame(await everything(twin, { node: 'n1' }), ['b'])
      t.equal((await sessions.getCount('alice')).count, 0)
      t.strictSame(await sessions.acquire(ask('alice', ids[0] ?? '')), { outcome: 'ended' })
    })

    t.test('lists have every session exactly once, in pages of any size', async (t) => {
      const twin = await start(t, { max_sessions_per_user: 0 })
      const { sessions } = twin
      const [alices, bobs] = [names('a', 40), names('b', 7)]
      await Promise.all(
        alices.map(
          async (id, i) => await admit(sessions, 'alice', id, { node: i % 4 === 0 ? 'n1' : 'n2' })
        )
      )
      await Promise.all(bobs.map(async (id) => await admit(sessions, 'bob', id, { node: 'n1' })))
      await sessions.release('a01', 'alice', 'r')
      const up = alices.filter((id) => id !== 'a01')
      const onN1 = alices.filter((_id, i) => i % 4 === 0)
      const wanted: Array<[{ username?: string; node?: string }, string[]]> = [
        [{}, [...up, ...bobs]],
        [{ username: 'alice' }, up],
        [{ username: 'bob' }, bobs],
        [{ node: 'n1' }, [...onN1, ...bobs]],
        [{ username: 'alice', node: 'n1' }, onN1],
        [{ username: 'bob', node: 'n2' }, []],
        [{ username: 'nobody' }, []],
        [{ node: 'none' }, []]
      ]
      for (const [filter, ids] of wanted) {
        for (const count of [1, 2, 1000]) {
          const got = await pages(async (page) => await sessions.listSessions(filter, page), count)
          t.ok(
            got.every((page) => page.length <= count),
            'no page is longer than asked for'
          )
          t.strictSame(idsOf(got.flat()), ids, `${JSON.stringify(filter)} in pages of ${count}`)
        }
      }
      const [session] = (await sessions.listSessions({ username: 'bob' }, { cursor: '', count: 1 }))
        .entries
      t.strictSame(
        session,
        await sessions.getSession(session?.session_id ?? ''),
        'a listed session is whole'
      )
    })

    t.test('pages stay within what a query takes, with the longest of names', async (t) => {
      const twin = await start(t, { max_sessions_per_user: 0 })
      const { sessions } = twin
      const [username, node] = [`u@${'d'.repeat(126)}`, 'n'.repeat(128)]
      for (const [user, size] of [
        [username, 60],
        [username, 250],
        ['u', 60]
      ] as const) {
        const ids = names('i'.repeat(size - 4) + (user.length % 9), 100)
        await Promise.all(ids.map(async (id) => await admit(sessions, user, id, { node })))
        const got = await pages(
          async (page) => await sessions.listSessions({ username: user }, page),
          7
        )
        t.strictSame(idsOf(got.flat()), ids, `ids of ${size} characters`)
        await sessions.listSessions({ node }, { cursor: '', count: 1 })
        t.equal(
          (await pages(async (page) => await sessions.listSessions({ node }, page), 30)).flat()
            .length,
          100
        )
        await sessions.terminateUser(user, 'r')
      }
    })

    t.test(
      'users are listed by their sessions, with their limits, in pages that say the total',
      async (t) => {
        const { sessions, limits } = await start(t, { max_sessions_per_user: 0 })
        const sizes = { alice: 3, bob: 1, carol: 5, dave: 3, erin: 1 }
        for (const [user, n] of Object.entries(sizes)) {
          for (const id of names(user, n)) await admit(sessions, user, id)
        }
        await admit(sessions, 'gone', 'g')
        await sessions.release('g', undefined, 'r')
        await limits.setLimit('alice', 9)
        await limits.setTemporaryLimit('bob', { limit: 2, duration: 60 })
        const list = async (
          offset: number,
          limit: number,
          sort: 'sessions_desc' | 'sessions_asc' = 'sessions_desc'
        ) => {
          const { users, total } = await sessions.listUsers({ offset, limit, sort })
          return [total, ...users.map(({ username, sessions: n }) => `${username} ${n}`)]
        }
        t.strictSame(await list(0, 50), [5, 'carol 5', 'alice 3', 'dave 3', 'bob 1', 'erin 1'])
        t.strictSame(await list(0, 50, 'sessions_asc'), [
          5,
          'bob 1',
          'erin 1',
          'alice 3',
          'dave 3',
          'carol 5'
        ])
        t.strictSame(await list(0, 2), [5, 'carol 5', 'alice 3'])
        t.strictSame(await list(2, 2), [5, 'dave 3', 'bob 1'])
        t.strictSame(await list(4, 2), [5, 'erin 1'])
        t.strictSame(await list(6, 2), [5])
        t.strictSame(
          (await sessions.listUsers({ offset: 0, limit: 4, sort: 'sessions_desc' })).users,
          [
            { username: 'carol', sessions: 5, limit: 0, unlimited: true, source: 'default' },
            { username: 'alice', sessions: 3, limit: 9, unlimited: false, source: 'user' },
            { username: 'dave', sessions: 3, limit: 0, unlimited: true, source: 'default' },
            { username: 'bob', sessions: 1, limit: 2, unlimited: false, source: 'temporary' }
          ]
        )
      }
    )

    t.test('counts are of live leases, one by one, in pages, and all', async (t) => {
      const { sessions, pass } = await start(t, { max_sessions_per_user: 0 })
      const expected: Array<[string, number]> = names('user', 12).map((user, i) => [
        user,
        (i % 3) + 1
      ])
      for (const [user, n] of expected) {
        for (const id of names(`${user}-`, n)) await admit(sessions, user, id)
      }
      await admit(sessions, 'gone', 'g1')
      await sessions.release('g1', undefined, 'r')
      await admit(sessions, 'expired', 'e1', { ttlMs: 30 })
      await admit(sessions, 'user000', 'e2', { ttlMs: 500 })
      t.match(await sessions.getCount('user000'), { count: 2, leases: 2 })
      await pass(501)
      t.match(await sessions.getCount('user000'), {
        count: 1,
        leases: 1,
        external: 0,
        available: null
      })
      const byName = (entries: Array<[string, number]>) =>
        entries.sort(([a], [b]) => (a < b ? -1 : 1))
      for (const count of [1, 5, 1000]) {
        t.strictSame(
          byName((await pages(async (page) => await sessions.listCounts(page), count)).flat()),
          expected
        )
      }
      const all: Array<[string, number]> = []
      for await (const batch of sessions.allCounts()) all.push(...batch)
      t.strictSame(byName(all), expected)
      await sessions.sweep(1)
      t.match(await sessions.getCount('user002'), { count: 3 })
    })

    t.test('a session comes back as it was given', async (t) => {
      const { sessions } = await start(t)
      const details = {
        call_id: '7f3a b@pbx "1"\\',
        from: '"Ölga 😀" <sip:ö@例え.jp>;tag=+1 - x',
        to: 'line\nbreak\ttab\u0000nul\u2028',
        direction: 'outbound' as const,
        metadata: {
          text: '',
          long: 'x'.repeat(256),
          number: -1.5e-7,
          big: 2 ** 53 - 1,
          yes: true,
          no: false,
          __proto__x: '{}',
          'ключ ': '- + 1 2'
        }
      }
      const { session } = await admit(sessions, 'alice@example.net', 'a:b~c+d@e.f-g_h', {
        node: 'n:1',
        details
      })
      t.strictSame(
        { ...session, started_at: '', expires_at: '' },
        {
          session_id: 'a:b~c+d@e.f-g_h',
          username: 'alice@example.net',
          node: 'n:1',
          ...details,
          emergency: false,
          started_at: '',
          expires_at: '',
          source: 'lease'
        }
      )
      t.strictSame(await sessions.getSession('a:b~c+d@e.f-g_h'), session)
      const [renewal] = await sessions.renew(
        [{ sessionId: 'a:b~c+d@e.f-g_h', username: 'alice@example.net', node: 'n:2' }],
        TTL
      )
      t.match(renewal, {
        outcome: 'renewed',
        session: { ...session, node: 'n:2', expires_at: String }
      })
      t.strictSame((await admit(sessions, '123', '456')).session, await sessions.getSession('456'))
      t.match(await sessions.getSession('456'), {
        username: '123',
        node: null,
        call_id: null,
        from: null,
        to: null,
        direction: null,
        emergency: false,
        metadata: {},
        source: 'lease'
      })
      const own = JSON.parse('{"__proto__":"x","constructor":"y","toString":1}') as Record<
        string,
        string
      >
      await admit(sessions, 'm', 'm', { details: { metadata: own } })
      t.equal(JSON.stringify((await sessions.getSession('m'))?.metadata), JSON.stringify(own))
    })

    t.test("names of objects' own members are names like any other", async (t) => {
      const twin = await start(t)
      for (const name of ['toString', 'hasOwnProperty', 'valueOf', '__defineGetter__']) {
        t.match(await admit(twin.sessions, name, `${name}-1`), { count: 1, limit: 5 })
        t.match(await admit(twin.sessions, name, name), { count: 2 })
        t.strictSame(await everything(twin, { username: name }), [`${name}-1`, name].sort())
      }
    })

    t.test(
      'a lease ends neither before its time after the last renewal, nor a second later',
      async (t) => {
        const { sessions, now, pass } = await start(t)
        const ttlMs = 300
        const takes: Array<() => Promise<unknown>> = [
          async () => await sessions.acquire(ask('alice', 'x', { ttlMs })),
          async () => await sessions.acquire(ask('alice', 'x', { ttlMs })),
          async () => await sessions.renew([{ sessionId: 'x', username: 'alice' }], ttlMs),
          async () =>
            await sessions.reconcileNode({
              node: 'n',
              epoch: 1,
              sessions: [{ sessionId: 'x', username: 'alice' }],
              ttlMs,
              asOfMs: FOREVER
            })
        ]
        let [from, to] = [0, 0]
        for (const take of takes) {
          from = await now()
          await take()
          to = await now()
          await pass(200)
          t.ok((await sessions.getSession('x')) ?? (await now()) >= from + ttlMs, 'up')
        }
        for (let up = true; up;) {
          const before = await now()
          up = (await sessions.getSession('x')) !== null
          const [counted, after] = [(await sessions.getCount('alice')).count, await now()]
          if (up && before > to + ttlMs + 1000) {
            return t.fail(`up ${before - to} ms after it was renewed for ${ttlMs}`)
          }
          if ((!up || counted === 0) && after < from + ttlMs) {
            return t.fail(`gone ${after - from} ms after it was renewed for ${ttlMs}`)
          }
          await pass(1)
        }
        t.strictSame(await sessions.listSessions({}, { cursor: '', count: 9 }), {
          entries: [],
          next_cursor: null
        })
      }
    )

    t.test('the same id acquired many times at once holds exactly one slot', async (t) => {
      const twin = await start(t, { max_sessions_per_user: 3 })
      const { sessions } = twin
      const results = await Promise.all(
        Array.from({ length: 50 }, async () => await sessions.acquire(ask('alice', 'x')))
      )
      const tally = (wanted: AcquireResult['outcome']) =>
        results.filter(({ outcome }) => outcome === wanted).length
      t.strictSame([tally('admitted'), tally('refreshed')], [1, 49])
      t.equal((await sessions.getCount('alice')).count, 1)
      const others = await Promise.all(
        names('y', 40).map(async (id) => await sessions.acquire(ask('alice', id)))
      )
      t.equal(others.filter(({ outcome }) => outcome === 'admitted').length, 2)
      t.equal((await everything(twin)).length, 3)
    })

    t.test('a cursor of no list is refused', async (t) => {
      const { sessions } = await start(t)
      for (const cursor of [
        'x',
        'bnVsbA',
        encodeCursor({}),
        encodeCursor([0, 'x', []]),
        encodeCursor([-1, '0', []]),
        encodeCursor([0, '0', [5]]),
        encodeCursor([0, '0'])
      ]) {
        for (const read of [
          async () => await sessions.listSessions({}, { cursor, count: 1 }),
          async () => await sessions.listSessions({ username: 'a' }, { cursor, count: 1 }),
          async () => await sessions.listNodes({ cursor, count: 1 }),
          async () => await sessions.listCounts({ cursor, count: 1 })
        ] satisfies Array<() => Promise<unknown>>) {
          await t.rejects(read() as Promise<unknown>, { code: 'invalid_input' })
        }
      }
    })
  })
}

/** A result without what only one of the stores tells. */
function strip (result: object): Record<string, unknown> {
  const { external, releasedIds, ...rest } = result as Record<string, unknown>
  return rest
}

/** Every key at which the store looks for alice and her session `a` on the node `n`. */
const WATCHED = [
  'user-leases:alice',
  'user-sessions:alice',
  'user-limit:alice',
  'user-temporary-limit:alice',
  'session-lease:a',
  'session:a',
  'node-leases:n',
  'session-nodes'
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

t.test('redis: what else holds there', async (t) => {
  const { client } = executor

  t.test('only the documented keys are written, and none outlives what it is for', async (t) => {
    const { sessions, prefix, keys, pass } = await startOnRedis(t)
    const expiry = async (key: string) => await client.pttl(prefix + key)
    await admit(sessions, 'alice', 'a', { node: 'n1' })
    t.strictSame(await keys(), ['node-leases:n1', 'session-lease:a', 'user-leases:alice'])
    await admit(sessions, 'alice', 'b')
    await sessions.renew([{ sessionId: 'c', username: 'bob' }], TTL)
    await sessions.reconcileNode({
      node: 'n2',
      epoch: 3,
      sessions: [{ sessionId: 'd', username: 'bob' }],
      ttlMs: TTL,
      asOfMs: FOREVER
    })
    await sessions.acquire(ask('alice', 'z', { dryRun: true, node: 'n9' }))
    await sessions.release('never', 'alice', 'r')
    t.strictSame(await keys(), [
      'node-leases:n1',
      'node-leases:n2',
      'session-lease:a',
      'session-lease:b',
      'session-lease:c',
      'session-lease:d',
      'session-nodes',
      'user-leases:alice',
      'user-leases:bob'
    ])
    for (const id of ['a', 'b', 'c', 'd']) {
      const left = await expiry(`session-lease:${id}`)
      t.ok(left > TTL && left <= TTL + 60_000, `the record of ${id} goes by itself: ${left} ms`)
    }
    t.match(await client.get(`${prefix}session-lease:a`), /^\+alice \d{13} n1 $/)
    t.strictSame(await client.hkeys(`${prefix}session-nodes`), ['n2'])

    await sessions.release('a', 'alice', 'hangup')
    await sessions.terminateUser('alice', 'fraud')
    t.strictSame(
      (await keys()).filter((key) => /alice|n1|:[ab]$/.test(key)),
      ['session-lease:a', 'session-lease:b'],
      'what remains is the memory of the end'
    )
    for (const id of ['a', 'b']) {
      t.ok(
        (await expiry(`session-lease:${id}`)) <= HOUR &&
          (await expiry(`session-lease:${id}`)) > HOUR - 60_000
      )
    }

    await sessions.terminateUser('bob', 'r')
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
      ['session-nodes'],
      'expired leases are swept from every index'
    )
  })

  t.test('an admission is one script call and one round trip, whatever comes of it', async (t) => {
    const own = await connect(t, redis)
    const sent: string[] = []
    const send = own.sendCommand.bind(own)
    own.sendCommand = (command, ...rest) => {
      sent.push(command.name)
      return send(command, ...rest)
    }
    const { sessions, policy, limits } = await startOnRedis(
      t,
      { max_sessions_per_user: 2 },
      new RedisExecutor(own, 10_000)
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
    t.strictSame(await calls(async () => await limits.setLimit('alice', 1)), ['set'])
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
    await sessions.release('e', 'alice', 'r')
    t.strictSame(await calls(async () => await sessions.release('f', 'bob', 'r')), ['evalsha'])
    await sessions.getCount('alice')
    t.strictSame(await calls(async () => await sessions.getCount('alice')), ['evalsha'])
  })

  t.test('values of a wrong type or form at any key make nothing fail', async (t) => {
    const twin = await startOnRedis(t, {
      session_limit_action: 'terminate_oldest',
      max_sessions_per_user: 3
    })
    const { sessions, limits, prefix } = twin
    const [page, list] = [
      { cursor: '', count: 10 },
      [{ sessionId: 'a', username: 'alice', node: 'n' }]
    ]
    const report = { node: 'n', epoch: 1, sessions: list, ttlMs: TTL, asOfMs: FOREVER }
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
        await sessions.reconcileNode({ ...report, sessions: [] }),
      release: async () => await sessions.release('a', 'alice', 'r'),
      'release by id': async () => await sessions.release('a', undefined, 'r'),
      terminateUser: async () => await sessions.terminateUser('alice', 'r'),
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
    for (const key of ['user-leases:alice', 'session-lease:a', 'node-leases:n', 'session-nodes']) {
      await client.del(...WATCHED.map((watched) => prefix + watched))
      await client.rpush(prefix + key, 'x')
      t.equal((await sessions.acquire(ask('alice', 'a', { node: 'n' }))).outcome, 'admitted')
      t.match(await sessions.reconcileNode(report), { outcome: 'reconciled', renewed: 1 })
      t.strictSame(await everything(twin, { node: 'n' }), ['a'], `our own ${key} is made good`)
      t.match((await sessions.listNodes(page)).entries, [{ node: 'n', sessions: 1 }])
    }
  })

  t.test("the switch's keys keep their type and their values, whatever those are", async (t) => {
    const { sessions, prefix } = await startOnRedis(t)
    await client.rpush(`${prefix}user-sessions:alice`, 'x')
    await client.hset(`${prefix}user-limit:alice`, 'limit', '1')
    await client.sadd(`${prefix}session:a`, 'x')
    await admit(sessions, 'alice', 'a')
    await sessions.release('a', 'alice', 'r')
    await sessions.terminateUser('alice', 'r')
    await sessions.sweep(1)
    t.strictSame(await client.lrange(`${prefix}user-sessions:alice`, 0, -1), ['x'])
    t.strictSame(await client.hgetall(`${prefix}user-limit:alice`), { limit: '1' })
    t.strictSame(await client.smembers(`${prefix}session:a`), ['x'])
  })

  t.test(
    'a session that is a lease and external counts once, wherever it is counted',
    async (t) => {
      const twin = await startOnRedis(t, { max_sessions_per_user: 3 })
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
            .map(({ session_id: id, source }) => `${id} ${source}`)
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
      t.equal((await sessions.getSession('d'))?.source, 'lease')
      t.equal((await sessions.getCount('alice')).count, 3)
      await sessions.release('d', 'alice', 'r')
      t.equal(
        await client.sismember(`${prefix}user-sessions:alice`, 'd'),
        0,
        'what ends, ends in both'
      )
    }
  )

  t.test('a forged cursor shows no session of another user, and breaks nothing', async (t) => {
    const { sessions, prefix } = await startOnRedis(t)
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
      for (const { session_id: id, username } of (
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
      const { sessions, prefix } = await startOnRedis(t, { max_sessions_per_user: 0 })
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
      await client.hset(
        `${prefix}session-nodes`,
        Object.fromEntries(nodes.map((node) => [node, '1 1795391735794']))
      )
      t.strictSame(
        (await pages(async (page) => await sessions.listNodes(page), 3))
          .flat()
          .map(({ node }) => node)
          .sort(),
        nodes
      )
    }
  )

  t.test('a service whose clock is a day off decides the same', async (t) => {
    const RealDate = globalThis.Date
    t.teardown(() => {
      globalThis.Date = RealDate
    })
    for (const shift of [-86_400_000, 86_400_000]) {
      const { sessions, limits, now, pass } = await startOnRedis(t, {
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
      const { session } = await admit(sessions, 'alice', 'shifted', { ttlMs: 1000 })
      t.ok(
        RealDate.parse(session.started_at ?? '') >= from &&
          RealDate.parse(session.started_at ?? '') < from + 60_000,
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
        await sessions.reconcileNode({
          node: 'n',
          epoch: 1,
          sessions: [{ sessionId: 'third', username: 'alice' }],
          ttlMs: TTL,
          asOfMs: await now()
        }),
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

  t.test('an acquire whose reply is lost holds one slot, however often it is tried', async (t) => {
    const proxy = await startProxy(t, redis)
    const own = await connect(t, proxy)
    const { sessions, prefix } = await startOnRedis(
      t,
      { max_sessions_per_user: 2 },
      new RedisExecutor(own, 10_000)
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
    await t.rejects(sessions.release('x', 'alice', 'r'), { code: 'store_unavailable' })
    await swallowed
    await waitFor(() => own.status === 'ready', { what: 'the connection to be there again' })
    t.match(await sessions.release('x', 'alice', 'r'), { outcome: 'unknown' })
    t.match(await sessions.getCount('alice'), { count: 1 })
  })

  t.test('two instances share one count', async (t) => {
    const { prefix } = await startOnRedis(t)
    const instances = await Promise.all(
      [1, 2].map(async () => {
        const [through, keys, policy, malformed] = [
          new RedisExecutor(await connect(t, redis), 10_000),
          new RedisKeys(prefix),
          policyOf({ max_sessions_per_user: 7 }),
          new MalformedValues()
        ]
        return new RedisSessionStore(
          through,
          keys,
          policy,
          new RedisLimitsStore(through, keys, policy, malformed),
          malformed
        )
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
})
