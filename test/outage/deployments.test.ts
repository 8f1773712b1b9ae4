/**
 * Sentinels, a Cluster and etcd as the service meets them; their failures under load are in
 * test/faults.
 */
import t, { type Test } from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { reported } from '../conformance/words.ts'
import { ADMIN, as, PATIENT, startApp } from '../helpers/app.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { startCluster, startEtcd, startRedis, startSentinel, waitFor } from '../helpers/servers.ts'

const PREFIX = 'voice-ferry-c4:'
const KEY = '/voice-ferry-c4/config/session-limits'
/** What an ACL user of the service needs to be allowed. */
const RIGHTS = [
  '-@all',
  '+@read',
  '+@write',
  '-keys',
  '+eval',
  '+evalsha',
  '+time',
  '+ping',
  '+info',
  '+cluster|slots',
  '+cluster|info'
]

const address = ({ host, port }: { host: string; port: number }) => `${host}:${port}`

/**
 * Starts the service with more time for Redis than in production, and waits until it has reached
 * it.
 */
async function startOn (t: Test, env: Record<string, string>): Promise<FastifyInstance> {
  const app = await startApp(t, {
    ...PATIENT,
    GHOST_SWEEP_INTERVAL_SECONDS: '0',
    ...env
  })
  await isBack(app)
  return app
}

/** Waits until an admission is decided by Redis. */
async function isBack (app: FastifyInstance): Promise<void> {
  await waitFor(
    async () => {
      const { body } = await as(app, ADMIN)('POST', '/api/sessions', {
        username: 'probe',
        session_id: 'probe',
        dry_run: true
      })
      return body.degraded === false
    },
    { what: 'an admission by Redis' }
  )
}

/** What every user of the API does: limits, admission, renewal, lists, release. */
async function checkApi (t: Test, app: FastifyInstance): Promise<void> {
  const ask = as(app, ADMIN)
  const users = Array.from({ length: 30 }, (_, i) => `u${i}`)
  t.match(await ask('PUT', '/api/sessions/limits/u0', { limit: 2 }), {
    status: 200,
    body: { limit: 2 }
  })
  const limits = Object.fromEntries(users.map((name) => [name, 2]))
  t.match(await ask('POST', '/api/sessions/limits/bulk', { limits }), {
    status: 200,
    body: { set: 30, removed: 0 }
  })
  t.match(await ask('POST', '/api/sessions/users/u1/temporary-limit', { limit: 1, duration: 60 }), {
    status: 200
  })
  t.match(await ask('PUT', '/api/sessions/limits', { max_sessions_per_user: 3 }), {
    status: 200,
    body: { max_sessions_per_user: 3 }
  })
  for (const [i, username] of users.entries()) {
    const body = { username, session_id: `s${i}`, node: 'n1' }
    t.match(await ask('POST', '/api/sessions', body), {
      status: 201,
      body: { degraded: false, count: 1, limit: i === 1 ? 1 : 2 }
    })
  }
  t.match(await ask('POST', '/api/sessions', { username: 'u1', session_id: 'x' }), {
    status: 409,
    body: { code: 'session_limit_reached' }
  })
  t.match(await ask('POST', '/api/sessions', { username: 'u2', session_id: 's1' }), {
    status: 409,
    body: { code: 'session_id_conflict' }
  })
  t.match(await ask('POST', '/api/sessions/s3/renew', { username: 'u3' }), {
    status: 200,
    body: { reregistered: false }
  })
  t.match(await ask('GET', '/api/sessions/s4'), {
    status: 200,
    body: { username: 'u4', node: 'n1' }
  })
  t.strictSame(
    await listed(ask, '/api/sessions/limits', 'user_limits'),
    [...users].sort(),
    'every limit once'
  )
  t.strictSame(
    await listed(ask, '/api/sessions/counts', 'counts'),
    [...users].sort(),
    'every count once'
  )
  t.match(await ask('GET', '/api/sessions/users?limit=5'), {
    body: { total: 30, users: { length: 5 } }
  })
  t.match(await ask('DELETE', '/api/sessions/s5'), { status: 200, body: { released: true } })
  t.match(await ask('POST', '/api/sessions', { username: 'u5', session_id: 's5' }), { status: 410 })
  const sessions = users.slice(6).map((username, i) => ({ username, session_id: `s${i + 6}` }))
  const report = await ask('PUT', '/api/sessions/nodes/n1', { epoch: 1, sessions })
  // The five that it lacks are too young to lose their slots, and lose them when they are not.
  t.match(report, { status: 200, body: { renewed: 24, registered: 0, released: 0 } })
  const known = sessions.map(({ username, session_id: sessionId }) => ({ username, sessionId }))
  const later = reported({ node: 'n1', epoch: 1, sessions: known })
  t.match(await app.admission.reconcileNode(later, {}, app.log), {
    renewed: 24,
    registered: 0,
    released: 5
  })
  t.match(await ask('DELETE', '/api/sessions/users/u6/sessions'), {
    status: 200,
    body: { terminated: ['s6'] }
  })
  t.match(await ask('POST', '/api/sessions/sweep'), { status: 200 })
}

/** The names in all pages of a list, seven at a time. */
async function listed (
  ask: ReturnType<typeof as>,
  path: string,
  member: string
): Promise<string[]> {
  const found: string[] = []
  let cursor: string | null = ''
  for (let page = 0; cursor !== null && page < 1000; page++) {
    const { body }: { body: Record<string, any> } = await ask(
      'GET',
      `${path}?count=7&cursor=${cursor}`
    )
    found.push(...Object.keys(body[member]).filter((name) => name !== '_default'))
    cursor = body['next_cursor'] as string | null
  }
  return found.sort()
}

t.test('Sentinels with a password of their own, and all of it over TLS', async (t) => {
  const set = await startSentinel(t, {
    password: 'of Redis',
    sentinelPassword: 'of Sentinel',
    tls: true
  })
  const { ca = '', cert = '', key = '' } = set.master.tls ?? {}
  const app = await startOn(t, {
    REDIS_SENTINELS: set.sentinels.map(address).join(', '),
    REDIS_SENTINEL_MASTER: set.name,
    REDIS_SENTINEL_PASSWORD: 'of Sentinel',
    REDIS_PASSWORD: 'of Redis',
    REDIS_TLS: 'true',
    REDIS_TLS_CA: ca,
    REDIS_TLS_CERT: cert,
    REDIS_TLS_KEY: key
  })
  await checkApi(t, app)
  t.equal(
    await set.master.cli('GET', `${PREFIX}user-limit:u0`),
    '2',
    'keys are named as without Sentinels'
  )
})

t.test('a Cluster, and an ACL user in it', async (t) => {
  const { masters } = await startCluster(t, 3, 0)
  await everywhere(
    masters,
    'ACL',
    'SETUSER',
    'limits',
    'on',
    '>of limits',
    `~${PREFIX}*`,
    ...RIGHTS
  )
  const app = await startOn(t, {
    REDIS_CLUSTER_NODES: masters.map(address).join(),
    REDIS_USERNAME: 'limits',
    REDIS_PASSWORD: 'of limits'
  })
  await checkApi(t, app)
  const keys = (await everywhere(masters, 'KEYS', '*')).flatMap((text) => text.split('\n'))
  const slots = new Set<string>()
  for (const key of keys.filter((key) => key.includes('{u7}'))) {
    slots.add((await masters[0]?.cli('CLUSTER', 'KEYSLOT', key)) ?? '')
  }
  t.equal(slots.size, 1, 'all keys of a user share a slot')
  t.ok(
    keys.some((key) => key === `${PREFIX}user-limit:{u7}`) &&
      keys.some((key) => key === `${PREFIX}session-lease:{u7}:s7`)
  )
  const logs = await everywhere(masters, 'ACL', 'LOG')
  t.notMatch(logs.join(), /client-info.*lib-name(?!=)/, 'nothing was asked that is not allowed')
})

t.test('a slot that is half moved is an outage, and no failure', async (t) => {
  const {
    masters: [first, second, third]
  } = await startCluster(t, 3, 0)
  if (first === undefined || second === undefined || third === undefined) {
    return t.fail('no masters')
  }
  const app = await startOn(t, { REDIS_CLUSTER_NODES: address(first) })
  const ask = as(app, ADMIN)
  t.match(await ask('POST', '/api/sessions', { username: 'mover', session_id: 'm1' }), {
    status: 201,
    body: { degraded: false }
  })
  const slot = await first.cli('CLUSTER', 'KEYSLOT', '{mover}')
  const from = Number(slot) < 5461 ? first : Number(slot) < 10_922 ? second : third
  const to = from === first ? second : first
  await to.cli('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await from.cli('CLUSTER', 'MYID'))
  await from.cli('CLUSTER', 'SETSLOT', slot, 'MIGRATING', await to.cli('CLUSTER', 'MYID'))
  await from.cli(
    'MIGRATE',
    to.host,
    String(to.port),
    `${PREFIX}session-lease:{mover}:m1`,
    '0',
    '5000'
  )
  const renewed = await ask('POST', '/api/sessions/m1/renew', { username: 'mover' })
  t.match(
    renewed,
    { status: 200, body: { reregistered: false, degraded: true } },
    'the record has moved, and the lease has not'
  )
})

t.test('an ACL user on a single Redis', async (t) => {
  const redis = await startRedis(t)
  await redis.cli('ACL', 'SETUSER', 'limits', 'on', '>of limits', `~${PREFIX}*`, ...RIGHTS)
  await redis.cli('ACL', 'SETUSER', 'default', 'off')
  const app = await startOn(t, {
    REDIS_HOST: redis.host,
    REDIS_PORT: String(redis.port),
    REDIS_USERNAME: 'limits',
    REDIS_PASSWORD: 'of limits'
  })
  await checkApi(t, app)
})

t.test('no Redis that is down holds up the start, of whatever kind', async (t) => {
  const [redis, set, { masters }] = [
    await startRedis(t),
    await startSentinel(t),
    await startCluster(t, 3, 0)
  ]
  const kinds: Array<[string, Record<string, string>, RedisServer[]]> = [
    ['a single one', { REDIS_URL: redis.url }, [redis]],
    [
      'Sentinels',
      { REDIS_SENTINELS: set.sentinels.map(address).join() },
      [set.master, ...set.sentinels]
    ],
    ['a Cluster', { REDIS_CLUSTER_NODES: masters.map(address).join() }, masters]
  ]
  for (const [kind, env, servers] of kinds) {
    await t.test(kind, async (t) => {
      if (servers.includes(set.master)) await set.replica.kill()
      await Promise.all(servers.map(async (server) => await server.kill()))
      const app = await startApp(t, { ...PATIENT, ...env })
      const ask = as(app, ADMIN)
      t.match(await ask('GET', '/healthz/live'), { status: 200 })
      t.match(await ask('GET', '/healthz/ready'), {
        status: 200,
        body: { status: 'degraded', components: { redis: { status: 'down' } } }
      })
      t.match(
        await ask('POST', '/api/sessions', {
          username: 'alice',
          session_id: kind.replaceAll(' ', '-')
        }),
        { status: 201, body: { degraded: true } }
      )
      for (const server of servers) await server.restart({ keepData: true })
      await isBack(app)
      t.match(
        await ask('GET', '/api/sessions/counts/alice'),
        { body: { leases: 1 } },
        'what was admitted meanwhile is there'
      )
      await waitFor(async () => (await ask('GET', '/healthz/ready')).body.status === 'ok', {
        what: 'health'
      })
    })
  }
})

t.test('a policy in etcd', async (t) => {
  const etcd = await startEtcd(t, { auth: { user: 'limits', password: 'of limits' } })
  const hung = await startEtcd(t)
  hung.pause()
  const env = {
    MAX_SESSIONS_PER_USER: '9',
    ETCD_ENDPOINTS: `${hung.url},${etcd.url}`,
    ETCD_POLICY_KEY: KEY,
    ETCD_USERNAME: 'limits',
    ETCD_PASSWORD: 'of limits'
  }
  const [one, other] = [await startApp(t, env), await startApp(t, env)]
  const put = async (value: object | string) =>
    await etcd.put(KEY, typeof value === 'string' ? value : JSON.stringify(value))
  const inForce = async (policy: object, app = other) => {
    await waitFor(
      () =>
        Object.entries(policy).every(
          ([name, value]) => app.policy.current[name as 'enabled'] === value
        ),
      {
        what: JSON.stringify(policy),
        everyMs: 5
      }
    )
  }
  const becomes = async (status: string) =>
    await waitFor(() => other.policy.status === status, { what: `a policy that is ${status}` })
  const malformed = () => other.malformed.counts.get('etcd_policy_without_meaning') ?? 0

  await t.test(
    'what is not stored is as the settings say; a change is put in force',
    async (t) => {
      t.strictSame(one.policy.current, {
        enabled: true,
        max_sessions_per_user: 9,
        session_limit_action: 'reject'
      })
      for (const policy of [
        { max_sessions_per_user: 4 },
        { enabled: false },
        { session_limit_action: 'observe', note: "another's" }
      ]) {
        await put(policy)
        const { note: _note, ...ours } = { note: '', ...policy }
        await inForce(ours)
      }
      t.match(
        other.policy.current,
        { enabled: true, max_sessions_per_user: 9 },
        'what is stored no more is as the settings say'
      )
    }
  )

  await t.test('changes by the API are merged, also such that meet', async (t) => {
    for (let i = 1; i <= 10; i++) {
      const answers = await Promise.all([
        as(one, ADMIN)('PUT', '/api/sessions/limits', { max_sessions_per_user: i }),
        as(other, ADMIN)('PUT', '/api/sessions/limits', {
          session_limit_action: i % 2 === 0 ? 'observe' : 'reject'
        })
      ])
      t.strictSame(
        answers.map(({ status }) => status),
        [200, 200]
      )
      const policy = {
        max_sessions_per_user: i,
        session_limit_action: i % 2 === 0 ? 'observe' : 'reject'
      }
      t.match(
        JSON.parse((await etcd.get(KEY)) ?? ''),
        { ...policy, note: "another's" },
        'what others store beside it stays'
      )
      await Promise.all([inForce(policy, one), inForce(policy)])
    }
  })

  await t.test('a value that cannot be used changes nothing, is counted, and shown', async (t) => {
    const before = other.policy.current
    for (const value of [
      'not JSON',
      '7',
      'null',
      '[]',
      { max_sessions_per_user: -1 },
      { max_sessions_per_user: '5' },
      { enabled: null },
      { enabled: false, session_limit_action: 'destroy' },
      ''
    ]) {
      const count = malformed()
      await put(value)
      await waitFor(() => malformed() > count, {
        what: `${JSON.stringify(value)} to be met`,
        everyMs: 5
      })
      t.strictSame([other.policy.status, other.policy.current], ['invalid', before])
    }
    t.match(await as(other, ADMIN)('GET', '/healthz/ready'), {
      status: 200,
      body: { status: 'ok', policy: 'invalid' }
    })
    const count = malformed()
    await sleep(1100)
    t.equal(malformed(), count, 'the same value is counted once')
    t.match(
      await as(other, ADMIN)('PUT', '/api/sessions/limits', { enabled: false }),
      { status: 200, body: { ...before, enabled: false } },
      'a change begins from the last policy that could be used'
    )
    await becomes('current')
    t.strictSame(other.policy.current, { ...before, enabled: false })
  })

  await t.test('etcd is away, and back with all its tokens forgotten', async (t) => {
    const before = other.policy.current
    await etcd.stop()
    await becomes('stale')
    t.strictSame(other.policy.current, before)
    t.match(await as(other, ADMIN)('PUT', '/api/sessions/limits', { enabled: true }), {
      status: 503,
      headers: { 'retry-after': '1' }
    })
    await etcd.restart({ keepData: true })
    await becomes('current')
    t.match(await as(other, ADMIN)('PUT', '/api/sessions/limits', { enabled: true }), {
      status: 200
    })
    await inForce({ ...before, enabled: true }, one)
    await etcd.delete(KEY)
    await inForce({ enabled: true, max_sessions_per_user: 9, session_limit_action: 'reject' }, one)
  })
})

async function everywhere (servers: RedisServer[], ...words: string[]): Promise<string[]> {
  return await Promise.all(servers.map(async (server) => await server.cli(...words)))
}
