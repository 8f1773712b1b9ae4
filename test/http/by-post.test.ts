/** Switches that send GET and POST only: every change can be made by POST, and is the same one. */
import t, { type Test } from 'tap'
import { BY_POST } from '../../plugins/by-post.ts'
import { ACCESS } from '../../services/auth/access-table.ts'
import { AUDITED } from '../../services/auth/audit.ts'
import { service } from '../auth/logged-service.ts'
import { ADMIN, as, type Send } from '../helpers/app.ts'

const post = (own: string) => `POST ${BY_POST[own]}`
/** A route's path, about what `furnish` makes. */
const pathOf = (pattern: string) =>
  pattern.replace(':id', 'a'.repeat(16)).replace(/:\w+/g, 'alice')

/** What is sent for each change; where nothing is named, nothing. */
const bodies: Record<string, object> = {
  'PUT /api/sessions/limits': { max_sessions_per_user: 9 },
  'PUT /api/sessions/limits/:username': { limit: 3 },
  'PUT /api/sessions/users/:username/bar': { reason: 'unpaid' },
  'PUT /api/sessions/nodes/:node': { epoch: 2, sessions: [] }
}

/** A service with one of everything that a change may be about. */
async function furnish (t: Test, send: Send, attempt: number): Promise<void> {
  await send('PUT', '/api/sessions/limits/alice', { limit: 5 })
  await send('POST', '/api/sessions/users/alice/temporary-limit', { limit: 7, duration: 600 })
  const call = { username: 'alice', session_id: 'alice', node: 'alice', attempt }
  const report = { epoch: 1, sessions: [call] }
  for (const old of ['users/alice/bar', 'nodes/alice']) {
    t.match(await send('DELETE', `/api/sessions/${old}`), { status: 200 })
  }
  t.match(await send('POST', '/api/sessions', call), { status: 201 })
  t.match(await send('PUT', '/api/sessions/nodes/alice', report), { status: 200 })
}

/** Every view that a change may show in. */
async function views (send: Send): Promise<unknown> {
  const paths = ['limits', 'limits/alice', 'counts/alice', 'active', 'nodes', 'users/alice']
  const found = await Promise.all(
    paths.map(async (path) => await send('GET', `/api/sessions/${path}`))
  )
  return found.map(({ status, text }) => [status, text.replace(/\d{4}-\d\d-\d\dT[\d:.]*Z/g, '')])
}

t.test('every change that has a PUT or DELETE has a POST, too', async (t) => {
  const changes = Object.keys(ACCESS).filter((route) => /^(PUT|DELETE) /.test(route))
  t.strictSame(Object.keys(BY_POST).sort(), changes.sort())
})

type Logged = Awaited<ReturnType<typeof service>>
const services: [Logged, Logged] = [await service(t), await service(t)]

for (const [attempt, own] of Object.keys(BY_POST).entries()) {
  t.test(`${post(own)} does what ${own} does, and asks for the same`, async (t) => {
    t.strictSame(ACCESS[post(own)], ACCESS[own])
    t.ok(AUDITED[own])
    t.equal(AUDITED[post(own)], AUDITED[own])
    const asks = [own, post(own)].map(async (route, i) => {
      const { app, log } = services[i] as Logged
      const send = as(app, ADMIN)
      await furnish(t, send, attempt)
      log.take()
      const [method, pattern = ''] = route.split(' ') as ['PUT' | 'DELETE' | 'POST', string]
      const { status, body } = await send(method, pathOf(pattern), bodies[own])
      const again = await send(method, pathOf(pattern), bodies[own])
      const audited = log.take().map(({ request_id: _id, ...line }) => line)
      return [status, body, again.status, again.body, audited, await views(send)]
    })
    const [byOwn, byPost] = await Promise.all(asks)
    t.equal(byOwn?.[0], 200)
    t.strictSame(byPost, byOwn)
  })
}

t.test('a POST without a body may say that its body is JSON', async (t) => {
  const send = as(services[0].app, ADMIN)
  for (const [own, url] of Object.entries(BY_POST)) {
    if (own in bodies) continue
    for (const body of ['', '{}']) {
      t.match(await send('POST', pathOf(url), body), { status: 200 }, `${url} with "${body}"`)
    }
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    t.match(await send('POST', pathOf(url), '', form), { status: 200 }, `${url} by curl -d ''`)
    t.match(await send('POST', pathOf(url), 'a=b', form), { status: 415 }, `${url} with a form`)
  }
})
