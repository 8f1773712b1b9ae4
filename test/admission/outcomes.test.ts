/**
 * What happens to sessions is told to observers; and what it takes to add one, or a backend: a new
 * file and one line. Both stand here in place of those files.
 */
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { Backend, BackendOptions } from '../../services/backends/backend.ts'
import { memoryBackend } from '../../services/backends/memory-backend.ts'
import type { Outcome } from '../../services/sessions/outcomes.ts'
import { ADMIN, as, startApp, startAppOn } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import { makeOlder } from './api.ts'

const redis = await startRedis(t)

/** An observer that remembers: what happened, to whom, by whom and why. */
function remember (told: Outcome[]) {
  return (outcome: Outcome) => {
    told.push(outcome)
  }
}

/** The newest outcomes in short; those of an id that is not asked for are left out. */
function shortOf (told: Outcome[]): string[] {
  const list = told.splice(0)
  return list.map(({ what, sessionId, username, node = '-', by, reason }) => {
    const who = typeof by === 'string' ? by : (by.username ?? 'nobody')
    return `${what} ${sessionId} of ${username} on ${node} by ${who}: ${reason}`
  })
}

let aheadMs = 0

const apps = {
  memory: async (t: Test) => await startApp(t, {}, { clock: () => Date.now() + aheadMs }),
  redis: async (t: Test) =>
    await startAppOn(t, redis, {
      REDIS_KEY_PREFIX: `${randomUUID()}:`,
      GHOST_SWEEP_INTERVAL_SECONDS: '0'
    })
}

for (const [kind, start] of Object.entries(apps)) {
  t.test(`${kind}: every verb tells what happened to which session, by whom and why`, async (t) => {
    const app = await start(t)
    const send = as(app, ADMIN)
    const told: Outcome[] = []
    app.admission.outcomes.observe(remember(told))
    await send('PUT', '/api/sessions/limits/alice', { limit: 1 })

    const acquire = async (sessionId: string, more = {}) =>
      await send('POST', '/api/sessions', { username: 'alice', session_id: sessionId, ...more })
    await acquire('a', { node: 'n1' })
    t.match(told, [{ what: 'started', count: 1, limit: 1, emergency: false, degraded: false }])
    t.strictSame(shortOf(told), ['started a of alice on n1 by admin: acquire'])
    await acquire('b')
    t.match(told, [{ what: 'rejected', count: 1, limit: 1 }])
    t.strictSame(shortOf(told), ['rejected b of alice on - by admin: acquire'])
    await acquire('a')
    t.strictSame(shortOf(told), ['refreshed a of alice on n1 by admin: acquire'])
    await acquire('c', { dry_run: true })
    t.strictSame(shortOf(told), [], 'a dry run happens to nobody')
    await send('PUT', '/api/sessions/limits', { session_limit_action: 'terminate_oldest' })
    await acquire('c', { emergency: false })
    t.strictSame(shortOf(told), [
      'terminated a of alice on - by admin: made room for a newer session',
      'started c of alice on - by admin: acquire'
    ])
    await acquire('a')
    t.strictSame(shortOf(told), ['ended a of alice on - by admin: acquire'])

    await send('POST', '/api/sessions/c/renew', { username: 'alice' })
    t.strictSame(shortOf(told), [], 'a plain renewal changes nothing')
    await send('POST', '/api/sessions/d/renew', { username: 'alice' })
    t.strictSame(shortOf(told), ['reregistered d of alice on - by admin: renewal'])
    await send('POST', '/api/sessions/renew', {
      sessions: [
        { session_id: 'a', username: 'alice' },
        { session_id: 'c', username: 'bob' },
        { session_id: 'd', username: 'alice' }
      ]
    })
    t.strictSame(shortOf(told), [
      'ended a of alice on - by admin: renewal',
      'conflict c of bob on - by admin: renewal'
    ])

    await send('DELETE', '/api/sessions/c?username=bob')
    await send('DELETE', '/api/sessions/c', { reason: 'hangup' })
    await send('DELETE', '/api/sessions/unknown')
    const conflict = 'conflict c of bob on - by admin: released'
    const released = 'released c of alice on - by admin: hangup'
    // Outside a cluster an id has one holder, and the store in memory knows it by the id alone.
    t.strictSame(shortOf(told), [conflict, released])

    await send('PUT', '/api/sessions/nodes/n2', {
      epoch: 1,
      sessions: [
        { session_id: 'e', username: 'bob' },
        { session_id: 'c', username: 'alice' }
      ]
    })
    t.strictSame(shortOf(told), [
      'reregistered e of bob on n2 by admin: node report',
      'ended c of alice on n2 by admin: node report'
    ])
    // A young session would be spared.
    if (kind === 'memory') aheadMs += 20_000
    else await makeOlder(app, ['e'])
    await send('PUT', '/api/sessions/nodes/n2', { epoch: 1, sessions: [] })
    t.strictSame(shortOf(told), ['lapsed e of bob on n2 by admin: missing on its node'])
    await send('DELETE', '/api/sessions/users/alice/sessions', { reason: 'fraud' })
    t.strictSame(shortOf(told), ['terminated d of alice on - by admin: fraud'])
  })
}

t.test('a lease that nobody renewed is told when the sweep finds it', async (t) => {
  const app = await apps.redis(t)
  const told: Outcome[] = []
  app.admission.outcomes.observe(remember(told))
  const { REDIS_KEY_PREFIX: prefix } = app.config
  await as(app, ADMIN)('POST', '/api/sessions', { username: 'alice', session_id: 'a' })
  await redis.cli('ZADD', `${prefix}user-leases:alice`, '1', 'a')
  told.length = 0
  await as(app, ADMIN)('POST', '/api/sessions/sweep')
  t.strictSame(shortOf(told), ['expired a of alice on - by sweep: not renewed in time'])
})

t.test('in memory it is told once the record is forgotten', async (t) => {
  let now = Date.parse('2026-11-22T10:00:00Z')
  const app = await startApp(t, {}, { clock: () => now })
  const told: Outcome[] = []
  app.admission.outcomes.observe(remember(told))
  const send = as(app, ADMIN)
  await send('POST', '/api/sessions', { username: 'alice', session_id: 'a' })
  told.length = 0
  now += 90_000 + 60_000
  await send('POST', '/api/sessions/sweep')
  t.strictSame(shortOf(told), ['expired a of alice on - by sweep: not renewed in time'])
})

t.test('an observer that throws is logged, and fails nobody', async (t) => {
  const lines: string[] = []
  const stream = { write: (line: string) => lines.push(line) }
  const app = await startApp(t, { LOG_LEVEL: 'warn' }, { logger: { stream } })
  const told: Outcome[] = []
  app.admission.outcomes.observe(() => {
    throw new Error('no such metric')
  })
  app.admission.outcomes.observe(remember(told))
  const { status } = await as(app, ADMIN)('POST', '/api/sessions', {
    username: 'alice',
    session_id: 'a'
  })
  t.equal(status, 201)
  t.equal(told.length, 1, 'the next observer is told all the same')
  const logged = lines.filter((line) => line.includes('no such metric'))
  t.equal(logged.length, 1)
  t.match(JSON.parse(logged[0] ?? ''), { outcome: 'started', msg: String })
})

/** A backend that counts what is asked of it, and otherwise keeps everything in memory. */
function countingBackend (counts: Map<string, number>, options: BackendOptions): Backend {
  const backend = memoryBackend(options)
  const acquire = backend.sessions.acquire.bind(backend.sessions)
  backend.sessions.acquire = async (request) => {
    counts.set(request.username, (counts.get(request.username) ?? 0) + 1)
    return await acquire(request)
  }
  return backend
}

t.test('a further backend is one function, and one line that picks it', async (t) => {
  const counts = new Map<string, number>()
  const app = await startApp(t, {}, { backend: (options) => countingBackend(counts, options) })
  const send = as(app, ADMIN)
  const body = { username: 'alice', session_id: 'a' }
  t.match(await send('POST', '/api/sessions', body), { status: 201, body: { count: 1, limit: 5 } })
  t.match(await send('GET', '/api/sessions/a'), { status: 200, body })
  t.match(await send('GET', '/api/sessions/counts/alice'), { body: { count: 1 } })
  t.strictSame([...counts], [['alice', 1]])
})
