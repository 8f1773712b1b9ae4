/** In a Cluster one part may lose its data, while another knows whose sessions have ended. */
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { ADMIN, as, PATIENT } from '../helpers/app.ts'
import { audit, type KnownSession } from '../helpers/audit.ts'
import { startPartial, usersByMaster } from '../helpers/cluster-parts.ts'
import { leasesOf } from '../helpers/leases.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { waitFor } from '../helpers/servers.ts'
import { acquire, muzzle, startOn, untilDegraded } from './service.ts'
import { startTwoInCluster } from './two-replicas.ts'

/** As many users that each part has some, and some ids whose index lies in another part. */
const USERS = 12

function sessionsOf (what: string): KnownSession[] {
  return Array.from({ length: USERS }, (_, i) =>
    ({ username: `user-${i}`, id: `${what}-${i}`, node: 'n1' }))
}

async function endById (app: FastifyInstance, { id }: KnownSession) {
  return await as(app, ADMIN)('DELETE', `/api/sessions/${id}`)
}

t.test('ended by id where nobody knew whose it was, and its user is lost', async (t) => {
  const { masters, one, other } = await startTwoInCluster(t)
  const [up, gone] = [sessionsOf('up'), sessionsOf('gone')]
  for (const session of [...up, ...gone]) t.equal((await acquire(one, session)).status, 201)
  const healOther = await muzzle(other)
  for (const session of gone) {
    t.match(await endById(other, session), { body: { released: false, degraded: true } })
  }
  await healOther()
  const leases = up.map(({ username, id }) => `${username} ${id}`).sort()
  t.same([...(await leasesOf(...masters))].sort(), leases, 'Redis was told')
  await masters[0]?.cli('FLUSHALL')
  await waitFor(
    async () => [...(await leasesOf(...masters))].sort().join() === leases.join(),
    { what: 'the calls that are up, and no other' }
  )
  for (const app of [one, other]) await untilDegraded(app, false)
  for (const app of [one, other]) await audit(t, app, masters, { up, gone })
})

t.test('ended by id while its index is out: its user, who is not, takes no slot', async (t) => {
  const cluster = await startPartial(t)
  const { masters } = cluster
  const [, ...others] = await usersByMaster(cluster, 2)
  const nodes = masters.map(({ host, port }) => `${host}:${port}`).join()
  const start = async () => await startOn(t, { REDIS_CLUSTER_NODES: nodes, ...PATIENT })
  const [one, other] = [await start(), await start()]
  for (const app of [one, other]) await untilDegraded(app, false)
  const gone: KnownSession[] = []
  for (const [i, username] of others.flat().entries()) {
    gone.push({ username, id: await idOn(masters[0] as RedisServer, `gone-${i}`), node: 'n1' })
  }
  for (const session of gone) t.equal((await acquire(one, session)).status, 201)
  masters[0]?.pause()
  const send = as(other, ADMIN)
  for (const session of gone) {
    t.match(await endById(other, session), { body: { released: false, degraded: true } })
  }
  const [first, second, third, fourth] = gone as [
    KnownSession, KnownSession, KnownSession, KnownSession
  ]
  t.equal((await acquire(other, first)).status, 410, 'asked for again')
  const renewal = { username: second.username }
  t.equal((await send('POST', `/api/sessions/${second.id}/renew`, renewal)).status, 410, 'renewed')
  const sessions = [{ session_id: third.id, username: third.username }]
  t.match(await send('POST', '/api/sessions/renew', { sessions }), {
    body: { results: [{ outcome: 'session_ended' }] }
  }, 'in a batch')
  const listed = { epoch: 1, sessions: [{ session_id: fourth.id, username: fourth.username }] }
  const report = await send('PUT', '/api/sessions/nodes/n1', listed)
  t.match(report, { status: 200, body: { ended: [fourth.id] } }, 'in a report')
  masters[0]?.resume()
  for (const app of [one, other]) await untilDegraded(app, false)
  for (const app of [one, other]) await audit(t, app, masters, { up: [], gone })
})

/** An id whose index lies on a master: the first of a row. */
async function idOn (master: RedisServer, like: string): Promise<string> {
  for (let i = 0; ; i++) {
    const key = `voice-ferry-c4:session-holder:${like}-${i}`
    // Whoever does not serve a slot says so.
    const reply = await master.cli('EXISTS', key).catch((error: unknown) => String(error))
    if (reply === '0') return `${like}-${i}`
  }
}
