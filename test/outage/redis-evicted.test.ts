/** A record is gone while its lease stands, or a lease while its record does. */
import t from 'tap'
import { ADMIN, as, startOwnApp } from '../helpers/app.ts'
import { audit } from '../helpers/audit.ts'
import { leasesOf } from '../helpers/leases.ts'
import { startRedis } from '../helpers/servers.ts'

const redis = await startRedis(t)
const PREFIX = 'voice-ferry-c4:'

/** A user at its limit, and one of its two sessions of which a key was removed. */
async function evicted (t: Parameters<typeof startOwnApp>[0], gone: 'record' | 'lease') {
  await redis.cli('FLUSHALL')
  const app = await startOwnApp(t, redis, { REDIS_KEY_PREFIX: PREFIX })
  const send = as(app, ADMIN)
  await send('PUT', '/api/sessions/limits/alice', { limit: 2 })
  for (const id of ['a1', 'a2']) {
    const body = { username: 'alice', session_id: id, node: 'n' }
    await send('POST', '/api/sessions', body)
  }
  if (gone === 'record') await redis.cli('DEL', `${PREFIX}session-lease:a1`)
  else await redis.cli('ZREM', `${PREFIX}user-leases:alice`, 'a1')
  return { app, send }
}

const both = ['a1', 'a2'].map((id) => ({ username: 'alice', id, node: 'n' }))

for (const gone of ['record', 'lease'] as const) {
  t.test(`the ${gone} is gone: the holder keeps its slot`, async (t) => {
    const { app, send } = await evicted(t, gone)
    await send('PUT', '/api/sessions/limits/alice', { limit: 1 })
    const again = await send('POST', '/api/sessions', {
      username: 'alice',
      session_id: 'a1',
      node: 'n'
    })
    t.match(again, { status: 200, body: { allowed: true, count: 2, limit: 1 } })
    await audit(t, app, [redis], { up: both, gone: [] })
  })

  t.test(`the ${gone} is gone: a renewal brings it back`, async (t) => {
    const { app, send } = await evicted(t, gone)
    const body = { username: 'alice', node: 'n' }
    t.equal((await send('POST', '/api/sessions/a1/renew', body)).status, 200)
    await audit(t, app, [redis], { up: both, gone: [] })
  })

  t.test(`the ${gone} is gone: nobody else gets the id`, async (t) => {
    const { send } = await evicted(t, gone)
    const other = { username: 'bob', session_id: 'a1' }
    t.match(await send('POST', '/api/sessions', other), {
      status: 409,
      body: { code: 'session_id_conflict' }
    })
    t.notOk((await leasesOf(redis)).has('bob a1'))
  })

  t.test(`the ${gone} is gone: a release by id alone frees the slot`, async (t) => {
    const { app, send } = await evicted(t, gone)
    const released = await send('DELETE', '/api/sessions/a1')
    t.match(released, { status: 200, body: { released: true } })
    const [gonesOne, upOne] = both
    await audit(t, app, [redis], {
      up: upOne === undefined ? [] : [upOne],
      gone: gonesOne === undefined ? [] : [gonesOne]
    })
  })
}

t.test('the record is gone: views of its user and by its id have it', async (t) => {
  const { send } = await evicted(t, 'record')
  t.match(await send('GET', '/api/sessions/a1'), { status: 200, body: { username: 'alice' } })
  const listed = (await send('GET', '/api/sessions/active?username=alice')).body.sessions
  t.same(listed.map((one: { session_id: string }) => one.session_id).sort(), ['a1', 'a2'])
  t.match((await send('GET', '/api/sessions/counts/alice')).body, { count: 2, leases: 2 })
  const { body } = await send('GET', '/api/sessions/users/alice')
  t.equal(body.sessions.length, 2)
})
