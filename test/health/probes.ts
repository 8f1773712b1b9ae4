/** Probes of a service, and what its callers are told, while Redis or etcd is away. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { ADMIN, as, startApp as startAnyApp } from '../helpers/app.ts'
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

/** Asks liveness and readiness again and again, as an orchestrator would, only more often. */
export class Prober {
  readonly #app: FastifyInstance
  #running: Promise<void>
  #stopped = false
  #readiness: number[] = []
  #liveness = new Set<number>()

  constructor (t: Test, app: FastifyInstance) {
    this.#app = app
    this.#running = this.#run()
    t.teardown(async () => await this.stop())
  }

  /** Ends, after a last look at how things are. */
  async stop (): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    await this.#running
    await this.#ask()
  }

  /** The status codes of readiness in their order, each once until another one came. */
  get readiness (): number[] {
    return this.#readiness.filter((code, i, all) => code !== all[i - 1])
  }

  /** The status codes of liveness. */
  get liveness (): number[] {
    return [...this.#liveness]
  }

  async #run (): Promise<void> {
    while (!this.#stopped) {
      await this.#ask()
      await sleep(20)
    }
  }

  async #ask (): Promise<void> {
    const send = as(this.#app, null)
    const [live, ready] = await Promise.all([
      send('GET', '/healthz/live'),
      send('GET', '/healthz/ready')
    ])
    this.#liveness.add(live.status)
    this.#readiness.push(ready.status)
  }
}

/** A service that gives Redis the time that a busy machine may need. */
export async function startApp (t: Test, env: NodeJS.ProcessEnv = {}): Promise<FastifyInstance> {
  return await startAnyApp(t, { OUTAGE_MODE, REDIS_TIMEOUT_MS: '2000', ...env })
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
  wanted: Partial<Awaited<ReturnType<typeof ready>>>
): Promise<void> {
  await waitFor(
    async () => {
      const seen = await ready(app)
      if (
        Object.entries(wanted).every(([name, value]) => seen[name as keyof typeof seen] === value)
      ) {
        return true
      }
      throw new Error(JSON.stringify(seen))
    },
    { what: `readiness to be ${JSON.stringify(wanted)}` }
  )
}

/**
 * Every request that needs Redis is refused and told when to come again, or answered with what is
 * known.
 */
export async function refuses (t: Test, app: FastifyInstance): Promise<void> {
  for (const [method, url, body] of [...REFUSED, ...KNOWN]) {
    const answer = await as(app, ADMIN)(method, url, body)
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
    { what: 'limits to be written again' }
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
