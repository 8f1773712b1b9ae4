/**
 * The policy lives in etcd, and etcd is away, hangs, comes back, or holds nonsense. Admission goes
 * on by the last good policy.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { EtcdServer } from '../helpers/etcd-server.ts'
import { startEtcd, startRedis, waitFor } from '../helpers/servers.ts'
import {
  conclude,
  type Fault,
  type HttpClient,
  httpClient,
  leasesOf,
  measure,
  serveHere
} from './matrix.ts'

const KEY = '/voice-ferry-c4/config/session-limits'
/** The policy that holds throughout: one that the settings do not know. */
const POLICY = { enabled: true, max_sessions_per_user: 5, session_limit_action: 'terminate_oldest' }
const AUTH = { user: 'session-limits', password: 'of etcd' }

async function start (t: Test) {
  const [redis, etcd] = [await startRedis(t), await startEtcd(t, { auth: AUTH })]
  await etcd.put(KEY, JSON.stringify(POLICY))
  const service = await serveHere(t, {
    REDIS_URL: redis.url,
    ETCD_ENDPOINTS: etcd.url,
    ETCD_POLICY_KEY: KEY,
    ETCD_USERNAME: AUTH.user,
    ETCD_PASSWORD: AUTH.password
  })
  const client = httpClient(service.url, service.token, 4)
  t.teardown(() => client.close())
  await seen(client, POLICY.session_limit_action)
  return { redis, etcd, service, client }
}

/** Waits for a policy with this action to be in force. */
async function seen (client: HttpClient, action: string, deadlineMs = 5000): Promise<void> {
  await waitFor(
    async () =>
      (await client.ask('GET', '/api/sessions/limits?count=1')).body.session_limit_action ===
      action,
    {
      what: `the action ${action}`,
      deadlineMs
    }
  )
}

/** Waits for what health says of the policy and of etcd. */
async function said (
  client: HttpClient,
  policy: string,
  etcd: string,
  deadlineMs = 5000
): Promise<void> {
  await waitFor(
    async () => {
      const { body, status } = await client.ask('GET', '/healthz/ready')
      return (
        status === 200 &&
        body.policy === policy &&
        body.components.etcd.status === etcd &&
        body.components.redis.status === 'up'
      )
    },
    { what: `policy ${policy} and etcd ${etcd}`, deadlineMs }
  )
}

/**
 * One fault of etcd: health says so, the last good policy holds, a change is refused or done,
 * admission notices nothing.
 */
async function row (
  t: Test,
  fault: string,
  inject: (etcd: EtcdServer) => unknown,
  clear: (etcd: EtcdServer) => unknown,
  invalid = false
) {
  const { redis, etcd, service, client } = await start(t)
  const look: Fault['hold'] = async () => {
    await said(client, invalid ? 'invalid' : 'stale', invalid ? 'up' : 'down')
    const until = performance.now() + 3000
    while (performance.now() < until) {
      await sleep(100)
      await seen(client, POLICY.session_limit_action)
      if (invalid) continue
      const { status, retryAfter, ms } = await client.ask('PUT', '/api/sessions/limits', {
        max_sessions_per_user: 77
      })
      t.match(
        { status, retryAfter },
        { status: 503, retryAfter: /^\d+$/ },
        'a change is refused, with Retry-After'
      )
      t.ok(ms <= 1000, `within ${Math.round(ms)} ms`)
    }
  }
  const measured = await measure(t, {
    fault,
    service,
    inject: async () => await inject(etcd),
    hold: look,
    clear: async () => await clear(etcd),
    leases: async () => await leasesOf(redis)
  })
  await said(client, 'current', 'up')
  await seen(client, POLICY.session_limit_action)
  const { body } = await client.ask('GET', '/api/sessions/limits?count=1')
  t.equal(
    body.max_sessions_per_user,
    POLICY.max_sessions_per_user,
    'a refused change was not half kept'
  )
  t.equal(measured.readinessChanges, 0, 'readiness stays 200')
  t.equal(measured.degradedShare, 0, 'no admission is degraded')
  conclude(t, measured, { p99: 200, recoverMs: 3000 })
}

t.test('down', async (t) => {
  await row(
    t,
    'etcd killed, back with its data',
    async (etcd) => await etcd.kill(),
    async (etcd) => await etcd.restart({ keepData: true })
  )
})

t.test('hung', async (t) => {
  await row(
    t,
    'etcd hung (SIGSTOP)',
    (etcd) => etcd.pause(),
    (etcd) => etcd.resume()
  )
})

t.test('nonsense', async (t) => {
  await row(
    t,
    'etcd: a policy that cannot be used',
    async (etcd) => await etcd.put(KEY, '{"max_sessions_per_user": -1}'),
    async (etcd) => await etcd.put(KEY, JSON.stringify(POLICY)),
    true
  )
})
