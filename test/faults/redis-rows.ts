/** What the rows on a single Redis share. */
import type { Test } from 'tap'
import type { RedisServer } from '../helpers/redis-server.ts'
import {
  type Fault,
  type HttpClient,
  type Load,
  type Measured,
  leasesOf,
  measure,
  serveHere
} from './matrix.ts'

/**
 * A fault of a single Redis, and which service it is done to: the one in this process unless one is
 * given.
 */
export type RedisFault = Omit<Fault, 'service' | 'leases'> &
  Partial<Pick<Fault, 'service' | 'leases'>> & {
    redis: RedisServer
    env?: NodeJS.ProcessEnv
    /** Where the service reaches Redis, when not directly: a proxy. */
    via?: { host: string; port: number }
  }

/** Measures one fault of a single Redis. */
export async function measureOn (
  t: Test,
  { redis, env = {}, via, ...fault }: RedisFault
): Promise<Measured> {
  const url = via === undefined ? redis.url : `redis://${via.host}:${via.port}`
  const service = fault.service ?? (await serveHere(t, { REDIS_URL: url, ...env }))
  return await measure(t, { leases: async () => await leasesOf(redis), ...fault, service })
}

/**
 * What holds while Redis cannot be asked: limits and policy cannot be written, and say when to try
 * again; what was known is still known, and says how old it is.
 */
export async function checkWrites (
  t: Test,
  client: HttpClient,
  known: { username: string; limit: number }
): Promise<void> {
  const writes = [
    ['PUT', `/api/sessions/limits/${known.username}`, { limit: known.limit + 1 }],
    ['DELETE', `/api/sessions/limits/${known.username}`, undefined],
    [
      'POST',
      '/api/sessions/limits/bulk',
      { limits: { [known.username]: known.limit + 2, other: 1 } }
    ],
    ['PUT', '/api/sessions/limits', { max_sessions_per_user: 77 }],
    [
      'POST',
      `/api/sessions/users/${known.username}/temporary-limit`,
      { limit: known.limit + 3, duration: 60 }
    ]
  ] as const
  for (const [method, path, body] of writes) {
    const { status, retryAfter, ms } = await client.ask(method, path, body)
    t.match(
      { status, retryAfter },
      { status: 503, retryAfter: /^\d+$/ },
      `${method} ${path}: 503 with Retry-After`
    )
    t.ok(ms <= 500, `${method} ${path}: ${Math.round(ms)} ms`)
  }
  const { status, body } = await client.ask('GET', `/api/sessions/limits/${known.username}`)
  const lastKnown = {
    status: 200,
    body: { limit: known.limit, source: 'user', degraded: true, stale_ms: Number }
  }
  t.match({ status, body }, lastKnown, 'the last known limit, and how old it is')
  const ended = await client.ask('DELETE', '/api/sessions/users/nobody/sessions')
  t.match(
    ended,
    { status: 200, body: { success: true, terminated: [], degraded: true } },
    'sessions that are known here can be ended'
  )
}

/** After an outage: the limit is the one before it, in Redis as in the answer. */
export async function checkKept (
  t: Test,
  client: HttpClient,
  redis: RedisServer,
  known: { username: string; limit: number }
): Promise<void> {
  const { body } = await client.ask('GET', `/api/sessions/limits/${known.username}`)
  t.match(body, { limit: known.limit, source: 'user' }, 'the limit is as it was')
  t.equal(body.stale_ms, undefined, 'and fresh')
  t.equal(
    await redis.cli('GET', `voice-ferry-c4:user-limit:${known.username}`),
    String(known.limit),
    'in Redis, too'
  )
  t.notMatch(
    await redis.cli('HGETALL', 'voice-ferry-c4:session-policy'),
    '77',
    'and so is the policy'
  )
}

/** A `hold` that waits so long, looking at the service meanwhile. */
export function holdAnd (
  ms: number,
  look: (client: HttpClient, load: Load) => Promise<void>
): Fault['hold'] {
  return async (load, client) => {
    const endMs = performance.now() + ms
    // Not before the service has noticed.
    await new Promise((resolve) => setTimeout(resolve, Math.min(ms / 2, 700)))
    await look(client, load)
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, endMs - performance.now())))
  }
}
