/** The rights that the documentation gives to the Redis user, and requests that need them. */
import { readFileSync } from 'node:fs'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { ADMIN, as, PATIENT, startApp } from '../helpers/app.ts'
import type { RedisServer } from '../helpers/redis-server.ts'

const guide = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
const [, words = ''] = /^ACL SETUSER session-limits on >password (.*)$/m.exec(guide) ?? []
/** As the words of ACL SETUSER. */
export const RIGHTS = words.split(' ')
/** The commands among them. */
export const GRANTED = RIGHTS.filter((word) => word.startsWith('+'))

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

export const limits = '/api/sessions/limits'
const EVERYTHING: Array<[Method, string, object?]> = [
  ['PUT', limits, { max_sessions_per_user: 2 }],
  ['GET', limits],
  ['GET', `${limits}?count=2`],
  ['PUT', `${limits}/alice`, { limit: 1 }],
  ['GET', `${limits}/alice`],
  ['POST', `${limits}/bulk`, { limits: { bob: 3, carol: null } }],
  ['DELETE', `${limits}/bob`],
  ['POST', '/api/sessions/users/bob/temporary-limit', { limit: 4, duration: 60 }],
  ['DELETE', '/api/sessions/users/bob/temporary-limit'],
  ['POST', '/api/sessions', { username: 'alice', session_id: 'a1', node: 'n' }],
  ['POST', '/api/sessions', { username: 'alice', session_id: 'a2', node: 'n' }],
  ['POST', '/api/sessions', { username: 'dave', session_id: 'd1', attempt: 1 }],
  ['POST', '/api/sessions/a1/renew', { username: 'alice', node: 'm' }],
  ['POST', '/api/sessions/renew', { sessions: [{ session_id: 'r1', username: 'erin' }] }],
  [
    'POST',
    '/api/sessions/nodes/n',
    { epoch: 1, sessions: [{ session_id: 'n1', username: 'erin' }], age_seconds: 0 }
  ],
  [
    'POST',
    '/api/sessions/nodes/p',
    { epoch: 1, part: 1, parts: 1, total: 1, sessions: [{ session_id: 'p1', username: 'erin' }] }
  ],
  ['GET', '/api/sessions/nodes'],
  ['GET', '/api/sessions/a1'],
  ['GET', '/api/sessions/active'],
  ['GET', '/api/sessions/active?username=alice'],
  ['GET', '/api/sessions/active?node=n'],
  ['GET', '/api/sessions/users'],
  ['GET', '/api/sessions/users/alice'],
  ['GET', '/api/sessions/counts'],
  ['GET', '/api/sessions/counts/alice'],
  ['DELETE', '/api/sessions/a1'],
  ['POST', '/api/sessions/release', { sessions: [{ session_id: 'd1', username: 'dave' }] }],
  ['DELETE', '/api/sessions/users/erin/sessions'],
  ['DELETE', '/api/sessions/nodes/n'],
  ['POST', '/api/sessions/sweep'],
  ['POST', '/api/auth/api-keys', { name: 'key', role: 'switch' }],
  ['GET', '/api/auth/api-keys'],
  ['GET', '/healthz/ready']
]

/** Asks for everything; what was answered, by what was asked. */
export async function askEverything (app: FastifyInstance): Promise<Map<string, number>> {
  const send = as(app, ADMIN)
  const answers = new Map<string, number>()
  for (const [method, url, body] of EVERYTHING) {
    answers.set(`${method} ${url}`, (await send(method, url, body)).status)
  }
  return answers
}

/** The warnings of health. */
export async function warningsOf (app: FastifyInstance): Promise<string[]> {
  return (await as(app, null)('GET', '/healthz/ready')).body.warnings as string[]
}

/** Starts the service as a user of Redis. */
export async function startAs (t: Test, redis: RedisServer, user: string) {
  return await startApp(t, {
    ...PATIENT,
    REDIS_HOST: redis.host,
    REDIS_PORT: String(redis.port),
    REDIS_USERNAME: user,
    REDIS_PASSWORD: 'password',
    RATE_LIMIT_MAX: '1000',
    GHOST_SWEEP_INTERVAL_SECONDS: '1'
  })
}

/** What the switch has left in Redis: a session of its own, and a ghost. */
export async function addExternal (redis: RedisServer): Promise<void> {
  const prefix = 'voice-ferry-c4:'
  await redis.cli('SADD', `${prefix}user-sessions:alice`, 'e1', 'ghost')
  await redis.cli('SET', `${prefix}session:e1`, '{"username":"alice","created_at":1}')
}
