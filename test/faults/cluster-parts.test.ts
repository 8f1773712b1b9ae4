/** A part of a Cluster is out under load, and work on thousands of sessions beside admissions. */
import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { ADMIN, as, type Send, startApp } from '../helpers/app.ts'
import { audit, type KnownSession } from '../helpers/audit.ts'
import { slotOfUser, startPartial, unserve, usersByMaster } from '../helpers/cluster-parts.ts'
import type { RedisCluster } from '../helpers/redis-cluster.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import { percentile, record } from './matrix.ts'

/** With the deadlines of production. */
async function serve (t: Test, env: NodeJS.ProcessEnv): Promise<FastifyInstance> {
  const app = await startApp(t, { GHOST_SWEEP_INTERVAL_SECONDS: '0', ...env })
  const isWell = async () => (await as(app, null)('GET', '/health')).body.status === 'ok'
  await waitFor(isWell, { what: 'the service to reach Redis' })
  return app
}

const settingsOf = ({ masters }: RedisCluster) => ({
  REDIS_CLUSTER_NODES: masters.map(({ host, port }) => `${host}:${port}`).join()
})

/** One admission after another, round and round the users. */
class Admissions {
  readonly up: KnownSession[] = []
  readonly ms: number[] = []
  degraded = 0
  failed = 0
  #send: Send
  #users: string[]
  #tag: string
  #stopped = false
  #running: Promise<void>

  constructor (app: FastifyInstance, users: string[], tag: string) {
    this.#send = as(app, ADMIN)
    this.#users = users
    this.#tag = tag
    this.#running = this.#run()
  }

  async stop (): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run (): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const username = this.#users[i % this.#users.length] ?? ''
      const id = `${this.#tag}-${i}`
      const startedMs = performance.now()
      const { status, body } = await this.#send('POST', '/api/sessions', {
        username,
        session_id: id,
        node: `node-${i % 7}`,
        ttl: 600
      })
      this.ms.push(performance.now() - startedMs)
      if (status === 201) this.up.push({ username, id, node: `node-${i % 7}` })
      else this.failed++
      if (body.degraded !== false) this.degraded++
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

/** A row of what was admitted beside something. */
function note (t: Test, fault: string, { ms, degraded, failed }: Admissions): void {
  const sorted = [...ms].sort((a, b) => a - b)
  const at = (share: number) => Math.round(percentile(sorted, share) * 10) / 10
  record(t, {
    fault,
    requests: ms.length,
    p50: at(0.5),
    p99: at(0.99),
    slowest: at(1),
    errors: failed,
    over: 0,
    lost: 0,
    detectMs: null,
    recoverMs: null,
    note: `of the users who are not out; ${degraded} degraded`
  })
  t.ok(ms.length > 20, `${ms.length} admissions`)
  t.equal(degraded, 0, 'none of them degraded')
  t.equal(failed, 0, 'none of them refused')
  t.ok(at(0.99) <= 500, `p99 ${at(0.99)} ms`)
}

const unlimited = { MAX_SESSIONS_PER_USER: '0' }

for (const [what, strike] of [
  [
    'a slot that nobody serves',
    async (cluster: RedisCluster, victim: string) =>
      await unserve(cluster.masters, await slotOfUser(cluster, victim))
  ],
  [
    'a master killed that nobody stands in for',
    async ({ masters: [master] }: RedisCluster) => {
      await master?.cli('SAVE')
      await master?.kill()
      return async () => {
        await master?.restart({ keepData: true })
        await master?.cli('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
      }
    }
  ],
  [
    'a master frozen that nobody stands in for',
    async ({ masters: [master] }: RedisCluster) => {
      master?.pause()
      return async () => master?.resume()
    }
  ]
] as const) {
  t.test(what, async (t) => {
    const cluster = await startPartial(t)
    const [[victim = '', ...near] = [], ...far] = await usersByMaster(cluster, 12)
    const others = what.startsWith('a slot') ? [...near, ...far.flat()] : far.flat()
    const app = await serve(t, { ...settingsOf(cluster), ...unlimited })
    const strict = await serve(t, { ...settingsOf(cluster), ...unlimited, OUTAGE_MODE: 'deny' })
    const all = [app, strict].map((one, i) => new Admissions(one, others, `s${i}`))
    const mend = await strike(cluster, victim)
    const out = new Admissions(app, [victim], 'out')
    await new Promise((resolve) => setTimeout(resolve, 4000))
    for (const one of [app, strict]) {
      t.match(await as(one, null)('GET', '/health'), {
        status: 200,
        body: { status: 'degraded', components: { redis: { status: 'partial' } } }
      })
    }
    const request = { username: victim, session_id: 'x' }
    t.match(await as(strict, ADMIN)('POST', '/api/sessions', request), { status: 503 })
    await mend()
    const mendedMs = performance.now()
    const isWell = async (one: FastifyInstance) =>
      (await as(one, null)('GET', '/health')).body.status === 'ok'
    await waitFor(async () => (await isWell(app)) && (await isWell(strict)), { what: 'all well' })
    const backMs = performance.now() - mendedMs
    t.ok(backMs < 5000, `all well after ${Math.round(backMs)} ms`)
    await Promise.all([...all, out].map(async (one) => await one.stop()))
    t.equal(out.failed, 0)
    t.ok(out.degraded > 0, 'the users that were out were decided by the mirror')
    for (const one of all) note(t, `Cluster: ${what}`, one)
    const up = [...all, out].flatMap((one) => one.up)
    await audit(t, app, cluster.masters, { up, gone: [] })
  })
}

for (const where of ['a Cluster', 'one server']) {
  t.test(`thousands of sessions on ${where}`, async (t) => {
    const env = where === 'a Cluster'
      ? settingsOf(await startPartial(t))
      : { REDIS_URL: (await startRedis(t)).url }
    const app = await serve(t, { ...env, ...unlimited })
    const send = as(app, ADMIN)
    const list = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ session_id: `c${i}`, username: `m${i % 9000}` }))
    const limits = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`m${i}`, i]))
    for (const [work, ask] of [
      ['a report of 20,000', () =>
        send('PUT', '/api/sessions/nodes/n1', { epoch: 1, sessions: list(20_000) })],
      ['the same again', () =>
        send('PUT', '/api/sessions/nodes/n1', { epoch: 1, sessions: list(20_000) })],
      ['a batch of 5,000 renewals', () =>
        send('POST', '/api/sessions/renew', { sessions: list(5000) })],
      ['a batch of 5,000 releases', () =>
        send('POST', '/api/sessions/release', { sessions: list(5000) })],
      ['10,000 limits', () =>
        send('POST', '/api/sessions/limits/bulk', { limits: limits(10_000) })]
    ] as const) {
      const admissions = new Admissions(app, ['x', 'y', 'z'], work.replaceAll(' ', '-'))
      const startedMs = performance.now()
      const { status, body } = await ask()
      const tookMs = performance.now() - startedMs
      t.equal(status, 200, `${work}: ${JSON.stringify(body).slice(0, 100)}`)
      t.notMatch(body, { degraded: true }, 'by Redis')
      while (admissions.ms.length <= 20) await new Promise((resolve) => setTimeout(resolve, 10))
      await admissions.stop()
      note(t, `${work} on ${where} (${Math.round(tookMs)} ms)`, admissions)
    }
  })
}
