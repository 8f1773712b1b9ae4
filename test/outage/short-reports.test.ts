/** A node's report that lacks sessions, while Redis is away: missing is not ended. */
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { reported } from '../conformance/words.ts'
import { ADMIN, as, PATIENT } from '../helpers/app.ts'
import { audit, type KnownSession, listed } from '../helpers/audit.ts'
import { startRedis } from '../helpers/servers.ts'
import { acquire, startOn, untilDegraded } from './service.ts'

const sessionOf = (id: string): KnownSession => ({ username: 'alice', id, node: 'n1' })
const all = ['stays', 'back', 'late', 'renewed', 'again', 'lost'].map(sessionOf)
const [stays, back, late, renewed, again, lost] = all as [
  KnownSession,
  KnownSession,
  KnownSession,
  KnownSession,
  KnownSession,
  KnownSession
]

/** A report of these sessions, as if none of the others were too young to lose its slot. */
async function report (app: FastifyInstance, epoch: number, ...sessions: KnownSession[]) {
  const items = sessions.map(({ username, id }) => ({ username, sessionId: id }))
  const list = reported({ node: 'n1', epoch, sessions: items })
  const { renewed, registered, released, ended } = await app.admission.reconcileNode(
    list, {}, app.log
  )
  return { renewed, registered, released, ended }
}

const tally = (renewed: number, registered: number, released: number) =>
  ({ renewed, registered, released, ended: [] })

/** What can be asked without Redis: each id, and the count. Of others it cannot be known. */
async function seenMeanwhile (t: Test, app: FastifyInstance, up: KnownSession[]): Promise<void> {
  const send = as(app, ADMIN)
  for (const one of all) {
    const wanted = up.includes(one) ? 200 : 503
    t.equal((await send('GET', `/api/sessions/${one.id}`)).status, wanted, `${one.id} by its id`)
  }
  t.match((await send('GET', '/api/sessions/counts/alice')).body, { count: up.length })
}

t.test('a report without Redis frees slots, and ends no id', async (t) => {
  const args = ['--appendonly', 'yes', '--appendfsync', 'always']
  const redis = await startRedis(t, { args })
  const app = await startOn(t, { REDIS_URL: redis.url, MAX_SESSIONS_PER_USER: '6', ...PATIENT })
  await untilDegraded(app, false)
  const send = as(app, ADMIN)
  for (const one of all) t.match(await acquire(app, one), { status: 201 })
  t.same(await report(app, 1, ...all), tally(6, 0, 0))

  await redis.kill()
  await untilDegraded(app, true)
  t.same(await report(app, 2, stays), tally(1, 0, 5), 'five slots are free')
  await seenMeanwhile(t, app, [stays])
  t.same(await report(app, 2, stays, back), tally(1, 1, 0), 'one is listed again')
  t.match(await send('POST', '/api/sessions/renewed/renew', { username: 'alice', node: 'n1' }), {
    status: 200,
    body: { reregistered: true, degraded: true }
  })
  t.match(await acquire(app, again), { status: 201, body: { degraded: true } })
  const up = [stays, back, renewed, again]
  await seenMeanwhile(t, app, up)

  await redis.restart({ keepData: true })
  await untilDegraded(app, false)
  t.same(await listed(send, 'username=alice'), up.map(({ id }) => id).sort())
  await audit(t, app, [redis], { up, gone: [] })
  t.equal((await send('GET', '/api/sessions/late')).status, 404, 'its slot is free')
  t.same(await report(app, 3, ...up, late), tally(4, 1, 0), 'nor has it ended')
  t.match(await acquire(app, lost), { status: 201, body: { degraded: false } })
  await audit(t, app, [redis], { up: all, gone: [] })
})
