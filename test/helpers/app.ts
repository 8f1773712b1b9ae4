import { randomUUID } from 'node:crypto'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { buildApp, type Overrides } from '../../app.ts'
import { loadConfig } from '../../config.ts'
import type { Teardown } from './process.ts'
import { waitFor } from './wait.ts'

/** What the tests' tokens are signed with. */
export const TEST_SECRET = 'a secret that only the tests know, 32+ bytes'

/** What a token says of its bearer. */
export type Claims = Record<string, unknown>

/** A caller who may do everything. */
export const ADMIN: Claims = { sub: 'admin', role: 'admin' }

/** An answer, its body parsed where it is JSON. */
export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: any
  text: string
}

/**
 * Sends one request; an object is sent as JSON, a string or buffer as it is, with the type of JSON
 * unless told otherwise.
 */
export type Send = (
  method: NonNullable<InjectOptions['method']>,
  url: string,
  body?: object | string | Buffer,
  headers?: Record<string, string>
) => Promise<Answer>

/** Settings of a service that waits for Redis for as long as a busy machine may need. */
export const PATIENT = { REDIS_TIMEOUT_MS: '10000' }

/** Builds the service as the server does, ready to be asked, and closes it when the test ends. */
export async function startApp (
  t: Teardown,
  env: NodeJS.ProcessEnv = {},
  overrides: Overrides = {}
): Promise<FastifyInstance> {
  const app = await buildApp(loadConfig({ LOG_LEVEL: 'silent', ...env }), TEST_SECRET, overrides)
  t.teardown(async () => await app.close())
  await app.ready()
  return app
}

/** The services of this process that are on a Redis which is there all the time. */
const connectedApps = new Set<FastifyInstance>()

/**
 * The same on a Redis, connected to it. Redis has longer to answer than in production: a busy
 * machine is no outage.
 */
export async function startAppOn (
  t: Teardown,
  redis: { url: string },
  env: NodeJS.ProcessEnv = {},
  overrides: Overrides = {}
): Promise<FastifyInstance> {
  const app = await startApp(t, { REDIS_URL: redis.url, ...PATIENT, ...env }, overrides)
  connectedApps.add(app)
  t.teardown(() => connectedApps.delete(app))
  await connected(...connectedApps)
  return app
}

/**
 * The same on a Redis that other tests use, too: under a key prefix of its own, with no sweep in
 * the background.
 */
export async function startOwnApp (
  t: Teardown,
  redis: { url: string },
  env: NodeJS.ProcessEnv = {}
): Promise<FastifyInstance> {
  return await startAppOn(t, redis, {
    REDIS_KEY_PREFIX: `${randomUUID()}:`,
    GHOST_SWEEP_INTERVAL_SECONDS: '0',
    ...env
  })
}

/** The same on a Cluster. */
export async function startOwnAppOnCluster (
  t: Teardown,
  { masters }: { masters: Array<{ host: string; port: number }> }
): Promise<FastifyInstance> {
  const app = await startApp(t, {
    REDIS_CLUSTER_NODES: masters.map(({ host, port }) => `${host}:${port}`).join(),
    REDIS_KEY_PREFIX: `${randomUUID()}:`,
    GHOST_SWEEP_INTERVAL_SECONDS: '0',
    ...PATIENT
  })
  await connected(app)
  return app
}

/**
 * Waits until apps have their connections to Redis and ask it again: building another one may stall
 * the process for so long that one is lost.
 */
export async function connected (...apps: FastifyInstance[]): Promise<void> {
  for (const app of apps) {
    await waitFor(
      async () =>
        app.redis.status === 'ready' &&
        !('stale_ms' in (await app.sessions.getCount('nobody'))),
      { what: 'the service to ask Redis', everyMs: 5 }
    )
  }
}

/** Lets an app listen on a free port of loopback; returns its URL. */
export async function listen (app: FastifyInstance): Promise<string> {
  return await app.listen({ host: '127.0.0.1', port: 0 })
}

/** A token with these claims, valid for an hour unless they say otherwise. */
export function tokenFor (app: FastifyInstance, claims: Claims): string {
  return app.jwt.sign({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims })
}

/** Sends requests with a token of these claims, or without a token for null. */
export function as (app: FastifyInstance, claims: Claims | null): Send {
  const authorization = claims === null ? {} : { authorization: `Bearer ${tokenFor(app, claims)}` }
  return async (method, url, body, headers = {}) => {
    const raw = typeof body === 'object' && !Buffer.isBuffer(body) ? JSON.stringify(body) : body
    const response = await app.inject({
      method,
      url,
      headers: {
        ...authorization,
        ...(raw === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers
      },
      ...(raw === undefined ? {} : { payload: raw })
    })
    const { statusCode: status, headers: answered, payload: text } = response
    return { status, headers: answered as Answer['headers'], body: parsed(text), text }
  }
}

function parsed (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
