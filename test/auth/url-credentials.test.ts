/** A switch that knows nothing but a URL: its API key is the password in `http://name:key@host/`. */
import { Agent, request } from 'node:http'
import { json } from 'node:stream/consumers'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ADMIN, as, listen, startApp, startOwnApp } from '../helpers/app.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { startRedis } from '../helpers/servers.ts'

const redis = await startRedis(t)

const starts = {
  memory: async (t: Test) =>
    await startApp(t, { API_KEYS_FILE: join(temporaryFolder(t), 'keys.json') }),
  redis: async (t: Test) => await startOwnApp(t, redis)
}

/** Sends requests by one connection that stays open, the credentials of the URL with each. */
function clientOf (t: Test, url: string) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  return async (method: string, path: string, body?: object): Promise<object> =>
    await new Promise((resolve, reject) => {
      const headers = body && { 'content-type': 'application/json' }
      const sent = request(new URL(path, url), { method, agent, headers }, (response) => {
        json(response).then((answer) => {
          resolve({ status: response.statusCode, body: answer })
        }, reject)
      })
      sent.on('error', reject)
      sent.end(body && JSON.stringify(body))
    })
}

for (const [store, start] of Object.entries(starts)) {
  t.test(`${store}: a key in the URL holds for every request of a connection`, async (t) => {
    const app = await start(t)
    let connections = 0
    app.server.on('connection', () => connections++)
    const admin = as(app, ADMIN)
    const named = { name: 'pbx', role: 'switch', node: 'pbx' }
    const { key, id } = (await admin('POST', '/api/auth/api-keys', named)).body
    const url = await listen(app)
    const send = clientOf(t, url.replace('://', `://kamailio:${key}@`))

    for (let i = 0; i < 50; i++) {
      const call = { username: 'alice', session_id: `c${i}` }
      const taken = { status: 201, body: { allowed: true, session: { node: 'pbx' } } }
      t.match(await send('POST', '/api/sessions', call), taken)
      t.match(await send('POST', `/api/sessions/c${i}/renew`, { username: 'alice' }), {
        status: 200,
        body: { reregistered: false }
      })
      const other = await send('PUT', '/api/sessions/limits/alice', { limit: 1 })
      t.match(other, { status: 403 }, 'a refusal does not end it')
      if (i < 48) {
        t.match(await send('DELETE', `/api/sessions/c${i}`), { body: { released: true } })
      }
    }
    t.match(await send('GET', '/api/sessions/counts/alice'), { status: 200, body: { count: 2 } })

    const nobody = clientOf(t, url)
    t.match(await nobody('GET', '/api/sessions/counts/alice'), { status: 401 })
    t.match(await send('DELETE', '/api/sessions/c48'), { body: { released: true } })
    t.equal((await admin('DELETE', `/api/auth/api-keys/${id}`)).status, 200)
    t.match(await send('DELETE', '/api/sessions/c49'), { status: 401 }, 'until it is revoked')
    t.match((await admin('GET', '/api/sessions/counts/alice')).body, { count: 1 })
    t.equal(connections, 2, 'one connection for each client')
  })
}
