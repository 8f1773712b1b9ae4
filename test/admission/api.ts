/** What the tests of admission over HTTP ask for, and the shapes that they expect. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type Answer, type Claims, type Send } from '../helpers/app.ts'

export const own = { GHOST_SWEEP_INTERVAL_SECONDS: '0', REDIS_TIMEOUT_MS: '10000' }

export const [admission, active] = ['/api/sessions', '/api/sessions/active']

export const [pbx, viewer, nobody]: [Claims, Claims, Claims] = [
  { sub: 'b2bua-1', role: 'switch' },
  { sub: 'v', role: 'viewer' },
  { sub: 'nobody' }
]

export const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** A user whom no other test knows. */
export function newUser (): string {
  return `u-${randomUUID().slice(0, 8)}`
}

/**
 * Checks that an answer is a problem document with exactly these members beyond type, title and
 * detail.
 */
export function isProblem (
  t: Test,
  { status, headers, body, text }: Answer,
  members: {
    status: number
    code: string
  } & Record<string, unknown>,
  what: string
) {
  t.equal(status, members.status, `${what}: ${text.slice(0, 160)}`)
  t.equal(headers['content-type'], 'application/problem+json')
  const { type, title, detail, errors, ...rest } = body as Record<string, unknown>
  t.ok(
    [type, title, detail].every((part) => typeof part === 'string' && part !== ''),
    'has type, title and detail'
  )
  // The verbs of admission say it in the body, too: some switches see nothing else.
  const degraded = members.code === 'store_unavailable'
  const refusal = 'allowed' in rest ? { allowed: false, degraded } : {}
  t.strictSame(rest, { ...refusal, ...members }, what)
  t.equal(
    errors !== undefined,
    members.code === 'invalid_input' && String(detail).includes('/'),
    'errors[] where there are places to name'
  )
}

/** A body with the times in it checked and then put away. */
export function timeless (
  t: Test,
  { session_id: id, started_at: start, expires_at: end, ...rest }: Record<string, unknown>,
  ttl = 90
) {
  t.match([start, end], [RFC3339, RFC3339], `${String(id)} has times in RFC 3339, in UTC`)
  t.equal(Date.parse(String(end)) - Date.parse(String(start)), ttl * 1000, `and lasts ${ttl} s`)
  return { session_id: id, ...rest }
}

/** A session as the API shows it, without its times. */
export function bare (username: string, id: string, more: object = {}) {
  return {
    session_id: id,
    attempt: 0,
    username,
    node: null,
    call_id: null,
    from: null,
    to: null,
    direction: null,
    emergency: false,
    metadata: {},
    source: 'lease',
    ...more
  }
}

/** Lets sessions in Redis have begun 20 s earlier, as if 20 s had gone by. */
export async function makeOlder (app: FastifyInstance, ids: string[]): Promise<void> {
  const keys = ids.map((id) => `${app.config.REDIS_KEY_PREFIX}session-lease:${id}`)
  const records = await app.redis.mget(keys)
  const pipeline = app.redis.pipeline()
  for (const [i, record] of records.entries()) {
    const older = String(record).replace(
      /^(\+\S+ )(\d+)/,
      (_all, user: string, startedMs: string) => `${user}${Number(startedMs) - 20_000}`
    )
    pipeline.set(keys[i] as string, older, 'KEEPTTL')
  }
  await pipeline.exec()
}

/** Holds the policy at something while a test runs. */
export async function withPolicy (
  send: Send,
  change: object,
  run: () => Promise<unknown>
): Promise<void> {
  t.equal((await send('PUT', '/api/sessions/limits', change)).status, 200)
  await run()
  await send('PUT', '/api/sessions/limits', {
    enabled: true,
    session_limit_action: 'reject',
    max_sessions_per_user: 5
  })
}

/** Every page of a list of sessions. */
export async function listed (send: Send, query: string): Promise<string[]> {
  const ids: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { body }: Answer = await send('GET', `${active}?${query}&cursor=${cursor}`)
    ids.push(...body.sessions.map((session: { session_id: string }) => session.session_id))
    cursor = body.next_cursor
  }
  return ids.sort()
}
