/**
 * Callers that are bound to a switch node: whatever one of them says, or hears, of the sessions of
 * another node, where a part of a Cluster is out, changes nothing about them.
 */
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { as, type Claims, type Send } from '../helpers/app.ts'
import { audit } from '../helpers/audit.ts'
import { startPartial, usersByMaster } from '../helpers/cluster-parts.ts'
import { waitFor } from '../helpers/wait.ts'
import { startOn, untilDegraded } from './service.ts'
import { startNearAndFar } from './two-replicas.ts'

const switchOf = (node: string): Claims => ({ sub: `sw-${node}`, role: 'switch', node })

/** What a caller of another node says of a session. */
async function attack (send: Send, id: string, username: string): Promise<number[]> {
  const at = `/api/sessions/${id}`
  const ways: Array<Parameters<Send>> = [
    ['POST', '/api/sessions', { username, session_id: id, attempt: 9, ttl: 86_400 }],
    ['POST', '/api/sessions', { username: 'mallory', session_id: id, ttl: 86_400 }],
    ['POST', `${at}/renew`, { username, attempt: 9 }],
    ['POST', `${at}/renew`, { username: 'mallory' }],
    ['POST', '/api/sessions/nodes/pbx-b', { epoch: 1, sessions: [{ session_id: id, username }] }],
    ['DELETE', at],
    ['DELETE', `${at}?username=${username}&attempt=9`],
    ['DELETE', `${at}?username=mallory`],
    ['POST', '/api/sessions/release', { sessions: [{ session_id: id, attempt: 9 }] }],
    ['POST', '/api/sessions/nodes/pbx-b', { epoch: 2, sessions: [] }],
    ['POST', '/api/sessions/nodes/pbx-b/forget', {}],
    ['DELETE', at]
  ]
  const statuses = []
  for (const way of ways) statuses.push((await send(...way)).status)
  return statuses
}

t.test('a part of a Cluster is out', async (t) => {
  const cluster = await startPartial(t)
  const nodes = cluster.masters.map(({ host, port }) => `${host}:${port}`).join()
  const env = { REDIS_CLUSTER_NODES: nodes, BIND_NODES: 'true', MAX_SESSIONS_PER_USER: '0' }
  const start = async (more = {}) => await startOn(t, { ...env, ...more })
  const apps: Record<string, FastifyInstance> = {
    near: await start(),
    local: await start(),
    deny: await start({ OUTAGE_MODE: 'deny' }),
    allow: await start({ OUTAGE_MODE: 'allow' })
  }
  const untilUp = async () => {
    for (const app of Object.values(apps)) await untilDegraded(app, false)
  }
  await untilUp()
  const { near, ...others } = apps as Record<string, FastifyInstance> & { near: FastifyInstance }
  const a = as(near, switchOf('pbx-a'))
  const up = (await usersByMaster(cluster, 2)).flat().flatMap((username) =>
    [0, 1, 2].map((i) => ({ username, id: `${username}-${i}`, node: 'pbx-a' })))
  for (const { username, id } of up) {
    const body = { username, session_id: id, ttl: 3_600 }
    t.equal((await a('POST', '/api/sessions', body)).status, 201)
  }

  for (const [i, master] of cluster.masters.entries()) {
    await master.cli('SAVE')
    await master.kill()
    for (const [mode, app] of Object.entries(others)) {
      const b = as(app, switchOf('pbx-b'))
      const isPartial = async () =>
        (await as(app, null)('GET', '/healthz/ready')).body.components.redis.status === 'partial'
      await waitFor(isPartial, { what: `${mode} to notice the outage of master ${i}` })
      for (const { id, username } of up) {
        const statuses = await attack(b, id, username)
        t.notOk(statuses.includes(500), `${id}, ${mode}: ${statuses.join(' ')}`)
      }
    }
    await master.restart({ keepData: true })
    await master.cli('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
    await untilUp()
    for (const { username, id } of up) {
      const renewed = await a('POST', `/api/sessions/${id}/renew`, { username, ttl: 3_600 })
      const session = { node: 'pbx-a', attempt: 0 }
      const wanted = { status: 200, body: { reregistered: false, session } }
      t.match(renewed, wanted, `${id}, after the outage of master ${i}`)
    }
  }
  await audit(t, near, cluster.masters, { up, gone: [] })
})

t.test('what a caller hears of an end is of its own node', async (t) => {
  const { redis, proxy, near, far } = await startNearAndFar(t)
  const [a, b] = [as(far, switchOf('pbx-a')), as(far, switchOf('pbx-b'))]
  const session = (id: string) => ({ username: 'alice', session_id: id })
  const hears: Record<string, (id: string) => ReturnType<Send>> = {
    acquire: async (id) => await b('POST', '/api/sessions', session(id)),
    renewal: async (id) => await b('POST', `/api/sessions/${id}/renew`, { username: 'alice' }),
    report: async (id) =>
      await b('POST', '/api/sessions/nodes/pbx-b', { epoch: 1, sessions: [session(id)] })
  }
  for (const [id, hear] of Object.entries(hears)) {
    await b('DELETE', `/api/sessions/${id}`)
    const heard = await hear(id)
    t.ok(heard.status === 410 || heard.body.ended?.[0] === id, `${id}: it has ended`)
    t.equal((await as(near, switchOf('pbx-a'))('POST', '/api/sessions', session(id))).status, 201)
  }
  proxy.reset()
  await untilDegraded(far, true)
  for (const id of Object.keys(hears)) {
    const renewed = await a('POST', `/api/sessions/${id}/renew`, { username: 'alice' })
    t.match(renewed, { status: 200, body: { degraded: true } }, `${id}: it is up on its own node`)
  }
  proxy.pass()
  await untilDegraded(far, false)
  const up = Object.keys(hears).map((id) => ({ username: 'alice', id, node: 'pbx-a' }))
  await audit(t, near, [redis], { up, gone: [] })
})
