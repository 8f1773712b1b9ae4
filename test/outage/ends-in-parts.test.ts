/** In a Cluster one part may lose its data, while another knows whose sessions have ended. */
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { ADMIN, as } from '../helpers/app.ts'
import { audit, type KnownSession } from '../helpers/audit.ts'
import { leasesOf } from '../helpers/leases.ts'
import { waitFor } from '../helpers/servers.ts'
import { acquire, muzzle, untilDegraded } from './service.ts'
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
