/**
 * What a lost answer and a known outage mean to verbs, limits and lists. The backend is not
 * started, so that only what the tests ask opens its breaker.
 */
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
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
import { ask } from '../conformance/words.ts'
import { startProxy, startRedis, waitFor } from '../helpers/servers.ts'

const redis = await startRedis(t)
const defaults: Policy = { enabled: true, max_sessions_per_user: 5, session_limit_action: 'reject' }
const unavailable = { code: 'store_unavailable' }

/**
 * A backend whose way to Redis can be cut.
 * @param reconnectWaitMs - how long a question waits for a connection that was cut
 */
async function start (t: Test, reconnectWaitMs: number) {
  const proxy = await startProxy(t, redis)
  const env = { REDIS_URL: `redis://${proxy.host}:${proxy.port}`, REDIS_TIMEOUT_MS: '5000' }
  const client = connectRedis(loadConfig(env), {})
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  await client.connect()
  let sent = 0
  const send = client.sendCommand.bind(client)
  client.sendCommand = (command, stream) => {
    sent++
    return send(command, stream)
  }
  const log = { warn: () => {}, info: () => {} }
  const executor = new RedisExecutor(client, 5000)
  const keys = new RedisKeys(`${randomUUID()}:`)
  const backend = redisBackend(
    { executor, keys, mode: 'local', reconnectWaitMs },
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
  const connected = async () =>
    await waitFor(() => client.status === 'ready', { what: 'the connection to come back' })
  return {
    backend,
    proxy,
    connected,
    sent: () => sent,
    /** Lets a verb meet a Redis that is away, so that the breaker opens, and brings Redis back. */
    async losesRedis () {
      proxy.reset()
      const result = await backend.sessions.acquire(ask('lost', 'lost'))
      t.match(result, { outcome: 'admitted', degraded: true })
      proxy.pass()
      await connected()
    }
  }
}

type Started = Awaited<ReturnType<typeof start>>

t.test('a connection that is cut once degrades nothing, whatever was asked', async (t) => {
  const questions = {
    'a limit': async ({ backend }: Started) =>
      await backend.limits.getLimit('alice'),
    'the write of a limit': async ({ backend }: Started) =>
      await backend.limits.setLimit('alice', 3),
    'a count': async ({ backend }: Started) =>
      await backend.sessions.getCount('alice'),
    'an admission': async ({ backend }: Started) =>
      await backend.sessions.acquire(ask('alice', 'other'))
  }
  for (const [what, question] of Object.entries(questions)) {
    const store = await start(t, 30_000)
    const swallowed = store.proxy.swallowNextReply()
    const answer = question(store)
    await swallowed
    t.notMatch(await answer, { degraded: true }, `${what} is answered by Redis`)
    await store.connected()
    const result = await store.backend.sessions.acquire(ask('bob', 'b'))
    t.equal(result.outcome, 'admitted')
    t.equal(result.degraded, undefined, `after ${what}, Redis is asked as before`)
  }
})

t.test('while Redis is known to be away, lists, sweeps and the policy ask nothing', async (t) => {
  const { backend, losesRedis, sent } = await start(t, 1)
  const page = { cursor: '', count: 10 }
  const all = async (list: AsyncIterable<unknown>) => {
    for await (const batch of list) t.fail(`there is an answer: ${JSON.stringify(batch)}`)
  }
  const questions: Record<string, () => Promise<unknown>> = {
    'all counts': async () => await all(backend.sessionLists.allCounts()),
    counts: async () => await backend.sessionLists.listCounts(page),
    sessions: async () => await backend.sessionLists.listSessions({}, page),
    "a user's sessions": async () =>
      await backend.sessionLists.listSessions({ username: 'alice' }, page),
    "a node's sessions": async () => await backend.sessionLists.listSessions({ node: 'n' }, page),
    users: async () =>
      await backend.sessionLists.listUsers({ offset: 0, limit: 9, sort: 'sessions_desc' }),
    nodes: async () => await backend.sessionLists.listNodes(page),
    'all limits': async () => await all(backend.limitLists.allLimits('')),
    limits: async () => await backend.limitLists.listLimits('', page),
    'the sweep': async () => await backend.sweeper.sweep(1),
    'the claim of a sweep': async () => await backend.sweeper.claimSweep(1000),
    'the policy': async () => await backend.policy.refresh(),
    'a change of the policy': async () => await backend.policy.update({ enabled: false })
  }
  await losesRedis()
  const before = sent()
  for (const [what, question] of Object.entries(questions)) {
    await t.rejects(question(), unavailable, what)
  }
  t.equal(await backend.requestCount?.add('alice', 1000), undefined, 'the count of requests')
  t.equal(sent(), before, 'no command was sent')
  t.equal(backend.policy.status, 'stale')
})

t.test('a list that fails does not keep admissions from Redis', async (t) => {
  const { backend, proxy, connected } = await start(t, 1)
  proxy.reset()
  const page = { cursor: '', count: 10 }
  await t.rejects(backend.sessionLists.listSessions({}, page), unavailable)
  await t.rejects(backend.limitLists.listLimits('', page), unavailable)
  await t.rejects(backend.policy.refresh(), unavailable)
  proxy.pass()
  await connected()
  const result = await backend.sessions.acquire(ask('alice', 'a'))
  t.equal(result.outcome, 'admitted')
  t.equal(result.degraded, undefined)
})
