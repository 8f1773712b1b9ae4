/** Probes of a service, and what its callers are told, while Redis or etcd is away. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { ADMIN, type Answer, as, startApp as startAnyApp } from '../helpers/app.ts'
import { waitFor } from '../helpers/servers.ts'

/** What the service does without Redis here: it refuses, and says so. */
export const OUTAGE_MODE = 'deny'

/** What readiness says of it then. */
export const WITHOUT_REDIS = { code: 503, status: 'down' }

export type Request = [method: Parameters<ReturnType<typeof as>>[0], url: string, body?: object]

/**
 * Requests that are refused while Redis is away: writes, and lists that nobody can know to be
 * whole.
 */
export const REFUSED: Request[] = [
  ['GET', '/api/sessions/limits'],
  ['GET', '/api/sessions/limits?count=10'],
  ['GET', '/api/sessions/counts'],
  ['PUT', '/api/sessions/limits/alice', { limit: 4 }],
  ['PUT', '/api/sessions/limits', { max_sessions_per_user: 4 }],
  ['DELETE', '/api/sessions/limits/alice'],
  ['POST', '/api/sessions/limits/bulk', { limits: { alice: 4, bob: null } }],
  ['POST', '/api/sessions/users/alice/temporary-limit', { limit: 1, duration: 60 }],
  ['DELETE', '/api/sessions/users/alice/temporary-limit'],
  ['POST', '/api/sessions/sweep']
]

/** Requests that may also be answered from what is known, if the answer says that it is. */
export const KNOWN: Request[] = [
  ['GET', '/api/sessions/limits/alice'],
  ['GET', '/api/sessions/counts/alice']
]

export const [LOST_WITHIN_MS, BACK_WITHIN_MS, ANSWER_WITHIN_MS, PROBE_WITHIN_MS] = [
  2_000, 3_000, 500, 1_000
]

export interface Probe {
  url: string
  code: number
  status: string
  ms: number
}

/** Asks liveness and readiness all the time, as an orchestrator would, only more often. */
export class Prober {
  readonly probes: Probe[] = []
  #app: FastifyInstance
  #stopped = new AbortController()
  #running: Promise<void>

  constructor (t: Test, app: FastifyInstance) {
    this.#app = app
    this.#running = this.#run()
    t.teardown(async () => await this.stop())
  }

  async ask (url: string): Promise<Answer> {
    const started = performance.now()
    const answer = await as(this.#app, null)('GET', url)
    this.probes.push({
      url,
      code: answer.status,
      status: answer.body.status,
      ms: performance.now() - started
    })
    return answer
  }

  /** Ends, after a last look at how things are. */
  async stop (): Promise<void> {
    if (this.#stopped.signal.aborted) return
    this.#stopped.abort()
    await this.#running
    await this.ask('/healthz/ready')
  }

  /** How often readiness changed. */
  get changes (): number {
    const codes = this.probes.filter(({ url }) => url === '/healthz/ready').map(({ code }) => code)
    return codes.filter((code, i) => i > 0 && code !== codes[i - 1]).length
  }

  async #run (): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await Promise.all([this.ask('/healthz/live'), this.ask('/healthz/ready')])
      await sleep(20, undefined, { signal: this.#stopped.signal }).catch(() => {})
    }
  }
}

/** What must hold of probes whatever happens. */
export function probesHold (t: Test, { probes }: Prober): void {
  t.same(
    probes.filter(({ url, code }) => url === '/healthz/live' && code !== 200),
    [],
    'liveness was 200 all the time'
  )
  const slowest = Math.max(...probes.map(({ ms }) => ms))
  t.ok(
    slowest < PROBE_WITHIN_MS,
    `the slowest of ${probes.length} probes took ${Math.round(slowest)} ms`
  )
}

export async function startApp (t: Test, env: NodeJS.ProcessEnv = {}): Promise<FastifyInstance> {
  return await startAnyApp(t, { OUTAGE_MODE, ...env })
}

export async function ready (
  app: FastifyInstance
): Promise<{ code: number; status: string; redis: string; etcd: string }> {
  const { status: code, body } = await as(app, null)('GET', '/healthz/ready')
  return {
    code,
    status: body.status,
    redis: body.components.redis.status,
    etcd: body.components.etcd.status
  }
}

/** Waits until readiness looks so. */
export async function untilReady (
  app: FastifyInstance,
  wanted: Partial<Awaited<ReturnType<typeof ready>>>,
  deadlineMs: number
): Promise<void> {
  await waitFor(
    async () => {
      const seen = await ready(app)
      if (
        Object.entries(wanted).every(([name, value]) => seen[name as keyof typeof seen] === value)
      ) { return true }
      throw new Error(JSON.stringify(seen))
    },
    { what: `readiness to be ${JSON.stringify(wanted)}`, deadlineMs }
  )
}

/**
 * Every request that needs Redis is answered soon: refused and told when to come again, or with
 * what is known.
 */
export async function refusesSoon (t: Test, app: FastifyInstance): Promise<void> {
  for (const [method, url, body] of [...REFUSED, ...KNOWN]) {
    const started = performance.now()
    const answer = await as(app, ADMIN)(method, url, body)
    const ms = performance.now() - started
    t.ok(ms < ANSWER_WITHIN_MS, `after ${Math.round(ms)} ms`)
    if (answer.status === 200 && KNOWN.some(([, known]) => known === url)) {
      t.ok(
        answer.body.degraded === true || answer.body.stale_ms >= 0,
        `${method} ${url} says that it is not from Redis`
      )
      continue
    }
    t.match(
      answer,
      {
        status: 503,
        headers: { 'content-type': /^application\/problem\+json/ },
        body: { code: 'store_unavailable' }
      },
      `${method} ${url}`
    )
    t.match(answer.headers['retry-after'], /^[1-9]\d*$/, 'Retry-After')
  }
}

/** Waits until limits can be written. */
export async function untilWritable (app: FastifyInstance): Promise<void> {
  await waitFor(
    async () =>
      (await as(app, ADMIN)('PUT', '/api/sessions/limits/alice', { limit: 3 })).status === 200,
    {
      what: 'limits to be written again',
      deadlineMs: BACK_WITHIN_MS
    }
  )
}

/** Limits are created, read, updated and deleted. */
export async function limitsWork (t: Test, app: FastifyInstance): Promise<void> {
  const send = as(app, ADMIN)
  const statuses = []
  for (const [method, url, body] of [...REFUSED, ...KNOWN]) {
    statuses.push((await send(method, url, body)).status)
  }
  t.same([...new Set(statuses)], [200], 'every request is answered')
  await send('PUT', '/api/sessions/limits/carol', { limit: 25 })
  t.match((await send('GET', '/api/sessions/limits/carol')).body, { limit: 25, source: 'user' })
  t.equal((await send('GET', '/api/sessions/limits')).body.user_limits.carol, 25)
  t.equal((await send('DELETE', '/api/sessions/limits/carol')).body.removed, true)
  t.match((await send('GET', '/api/sessions/limits/carol')).body, { source: 'default' })
}
