/**
 * All sessions of a user are ended by a replica that is cut off and does not know them: what Redis
 * says of them afterwards, it has to remember.
 */
import t from 'tap'
import { ADMIN, as } from '../helpers/app.ts'
import { audit } from '../helpers/audit.ts'
import { startRedis } from '../helpers/servers.ts'
import { startOn, untilDegraded } from './service.ts'
import { cutOff, heal, startTwo, untilLater } from './two-replicas.ts'

t.test('what it has ended stays ended, though Redis loses everything', async (t) => {
  const redis = await startRedis(t)
  const [near, far] = await startTwo(t, redis)
  const s1 = { username: 'alice', id: 's1', node: 'n' }
  const body = { username: s1.username, session_id: s1.id, node: s1.node }
  t.equal((await near.send('POST', '/api/sessions', body)).status, 201)
  await untilLater()
  await cutOff(far)
  const end = await far.send('DELETE', '/api/sessions/users/alice/sessions', {})
  t.match(end, { status: 200, body: { terminated: [], degraded: true } }, 'it knows of none')
  await heal(far)
  t.equal((await near.send('GET', '/api/sessions/s1')).status, 404, 'it has ended')
  // Whoever has admitted it tells nothing any more.
  await near.app.close()
  const lost = untilDegraded(far.app, true)
  await redis.cli('FLUSHALL')
  await lost
  await untilDegraded(far.app, false)
  const other = await startOn(t, { REDIS_URL: redis.url })
  await untilDegraded(other, false)
  const renewed = await as(other, ADMIN)('POST', '/api/sessions/s1/renew', { username: 'alice' })
  t.match(renewed, { status: 410, body: { code: 'session_ended' } })
  t.equal((await as(other, ADMIN)('POST', '/api/sessions', body)).status, 410)
  for (const app of [far.app, other]) await audit(t, app, [redis], { up: [], gone: [s1] })
})
