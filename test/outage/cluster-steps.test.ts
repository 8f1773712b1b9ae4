/** Work on thousands of sessions in a Cluster goes in small steps, so that others need not wait. */
import t from 'tap'
import { randomUUID } from 'node:crypto'
import { loadConfig } from '../../config.ts'
import type { Policy } from '../../schemas/policy.ts'
import { redisBackend } from '../../services/backends/redis-backend.ts'
import { systemClock } from '../../services/clock.ts'
import { Warnings } from '../../services/health/warnings.ts'
import { PolicyCache } from '../../services/policy/policy.ts'
import { connectRedis } from '../../services/redis/client.ts'
import { RedisExecutor } from '../../services/redis/executor.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import { Outcomes } from '../../services/sessions/outcomes.ts'
import { MalformedValues } from '../../services/util/malformed-values.ts'
import { startCluster } from '../helpers/servers.ts'

/** The most commands that such work may have under way at once. */
const MOST_AT_ONCE = 80
const MANY = 3000

const cluster = await startCluster(t, 3, 0)
const nodes = cluster.masters.map(({ host, port }) => `${host}:${port}`).join()
const client = connectRedis(loadConfig({ REDIS_CLUSTER_NODES: nodes }), {})
client.on('error', () => {})
t.teardown(() => client.disconnect())
await client.connect()
const under = { way: 0, most: 0 }
const send = client.sendCommand.bind(client)
client.sendCommand = (command, stream) => {
  under.most = Math.max(under.most, ++under.way)
  void command.promise.finally(() => under.way--).catch(() => {})
  return send(command, stream)
}

const defaults: Policy = { enabled: true, max_sessions_per_user: 5, session_limit_action: 'reject' }
const log = { warn: () => {}, info: () => {} }
const backend = redisBackend(
  {
    executor: new RedisExecutor(client, 10_000),
    keys: new RedisKeys(`${randomUUID()}:`, true),
    mode: 'local'
  },
  {
    clock: systemClock,
    defaults,
    policyFrom: (source) => new PolicyCache(source, defaults),
    malformed: new MalformedValues(),
    outcomes: new Outcomes(log),
    log,
    warnings: new Warnings(log)
  }
)
const sessions = Array.from({ length: MANY }, (_, i) => ({
  sessionId: `s${i}`,
  username: `u${i}`
}))
const report = {
  node: 'n1',
  epoch: 1,
  sessions,
  ttlMs: 60_000,
  asOfMs: Infinity,
  ageMs: 0,
  youngMs: 0,
  part: undefined,
  total: undefined,
  given: MANY
}

for (const [what, work, wanted] of [
  ['a report', async () => await backend.sessions.reconcileNode(report), { registered: MANY }],
  ['the next', async () => await backend.sessions.reconcileNode(report), { renewed: MANY }],
  [
    'a batch of renewals',
    async () => ({ results: await backend.sessions.renew(sessions, 60_000) }),
    { results: sessions.map(() => ({ outcome: 'renewed' })) }
  ],
  [
    'one of a single user',
    async () => ({
      results: await backend.sessions.renew(
        sessions.map(({ sessionId }) => ({ sessionId: `of-one-${sessionId}`, username: 'one' })),
        60_000
      )
    }),
    { results: sessions.map(() => ({ outcome: 'reregistered' })) }
  ],
  ['the end of all', async () => await backend.sessions.terminateUser('one', 'test', true), {}],
  [
    'a report that lists nothing',
    async () => await backend.sessions.reconcileNode({ ...report, sessions: [], given: 0 }),
    { released: MANY }
  ],
  [
    'a bulk of limits',
    async () =>
      await backend.limits.setLimits(Object.fromEntries(sessions.map((one) => [one.username, 3]))),
    { set: MANY, removed: 0 }
  ]
] as const) {
  t.test(`${what} of ${MANY} in small steps`, async (t) => {
    under.most = 0
    t.match(await work(), wanted)
    t.ok(under.most <= MOST_AT_ONCE, `${under.most} commands under way at once`)
  })
}
