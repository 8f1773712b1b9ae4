import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { ADMIN, as } from './app.ts'
import { leasesOf } from './leases.ts'
import type { CliTarget } from './redis-cli.ts'

/** A session that a caller knows of. */
export interface KnownSession {
  username: string
  id: string
  node?: string
}

/** What callers were told: these are up, and those are not. Users have no other sessions. */
export interface Told {
  up: KnownSession[]
  gone: KnownSession[]
}

/**
 * Asks every view of a service about sessions, and reads Redis itself: all of them agree with what
 * callers were told. Asks for ids that are gone, which keeps them ended.
 * @param masters - the servers that hold the leases
 */
export async function audit (
  t: Test,
  app: FastifyInstance,
  masters: CliTarget[],
  { up, gone }: Told
): Promise<void> {
  const send = as(app, ADMIN)
  const users = [...new Set([...up, ...gone].map(({ username }) => username))].sort()
  const ids = (of: (session: KnownSession) => boolean) =>
    up
      .filter(of)
      .map(({ id }) => id)
      .sort()
  t.same(
    [...(await leasesOf(...masters))].sort(),
    up.map(({ username, id }) => `${username} ${id}`).sort(),
    'the leases in Redis'
  )
  for (const { username, id } of up) {
    t.match(await send('GET', path(id)), { status: 200, body: { username } }, `${id} by its id`)
  }
  for (const { id } of gone) t.equal((await send('GET', path(id))).status, 404, `${id} is gone`)
  t.same(await listed(send, ''), ids(() => true), 'the list of all sessions')
  for (const user of users) {
    const wanted = ids(({ username }) => username === user)
    t.same(await listed(send, `username=${user}`), wanted, `the list of ${user}`)
    const counted = await send('GET', `/api/sessions/counts/${user}`)
    t.match(counted.body, { count: wanted.length, leases: wanted.length }, `the count of ${user}`)
    t.notOk('stale_ms' in counted.body, 'which is fresh')
    t.same(await pagesOf(send, `/api/sessions/users/${user}?`), wanted, `${user} in full`)
  }
  for (const node of new Set(up.flatMap(({ node }) => node ?? []))) {
    t.same(await listed(send, `node=${node}`), ids((one) => one.node === node), `node ${node}`)
  }
  const { counts } = (await send('GET', '/api/sessions/counts')).body
  const counted = users.filter((user) => ids(({ username }) => username === user).length > 0)
  t.same(Object.keys(counts).sort(), counted, 'the users that are counted')
  for (const { username, id } of up) {
    const again = await send('POST', '/api/sessions', { username, session_id: id })
    t.match(again, { status: 200, body: { degraded: false } }, `${id} holds its slot`)
  }
  for (const { username, id, node } of gone) {
    const body = { username, session_id: id, ...(node !== undefined && { node }) }
    const again = await send('POST', '/api/sessions', body)
    t.match(again, { status: 410 }, `${id} stays ended`)
  }
}

function path (id: string): string {
  return `/api/sessions/${encodeURIComponent(id)}`
}

/** Asks for a view; a client of another process does as well as one of this. */
export type Look = (method: 'GET', url: string) => Promise<{ body: any }>

/** The ids in all pages of the list of sessions. */
export async function listed (send: Look, query: string): Promise<string[]> {
  return await pagesOf(send, `/api/sessions/active?${query}&`)
}

/** The ids in all pages of a view, whose address ends in `?` or `&`. */
async function pagesOf (send: Look, view: string): Promise<string[]> {
  const found: string[] = []
  let cursor: string | null = ''
  while (cursor !== null) {
    const { body }: Awaited<ReturnType<Look>> = await send(
      'GET',
      `${view}count=500&cursor=${cursor}`
    )
    found.push(...sessionIds(body.sessions))
    cursor = body.next_cursor
  }
  return found.sort()
}

/** The ids of sessions, in order. */
export function sessionIds (sessions: Array<{ session_id: string }>): string[] {
  return sessions.map(({ session_id: id }) => id).sort()
}
