/**
 * An outage in a Cluster is as large as what is out: one slot that nobody serves, or one master.
 * The same under load is in test/faults.
 */
import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { ADMIN, as } from '../helpers/app.ts'
import { audit, type KnownSession } from '../helpers/audit.ts'
import { slotOfUser, startPartial, unserve, usersByMaster } from '../helpers/cluster-parts.ts'
import type { RedisCluster } from '../helpers/redis-cluster.ts'
import { waitFor } from '../helpers/servers.ts'
import { acquire, release, startOn, untilDegraded } from './service.ts'

async function serveOn (
  t: Test,
  { masters }: RedisCluster,
  env: NodeJS.ProcessEnv = {}
): Promise<FastifyInstance> {
  const nodes = masters.map(({ host, port }) => `${host}:${port}`).join()
  const app = await startOn(t, { REDIS_CLUSTER_NODES: nodes, ...env })
  await untilDegraded(app, false)
  return app
}

async function health (app: FastifyInstance) {
  const { status, body } = await as(app, null)('GET', '/healthz/ready')
  return { code: status, status: body.status, redis: body.components.redis.status }
}

async function untilHealth (app: FastifyInstance, wanted: string): Promise<void> {
  await waitFor(async () => (await health(app)).redis === wanted, { what: `Redis to be ${wanted}` })
}

/** Takes a slot for each user; returns the sessions. */
async function admit (
  t: Test,
  app: FastifyInstance,
  users: string[],
  tag: string,
  degraded: boolean
): Promise<KnownSession[]> {
  const sessions = users.map((username) => ({ username, id: `${tag}-${username}`, node: 'n1' }))
  for (const session of sessions) {
    const answer = await acquire(app, session)
    t.match(answer, { status: 201, body: { degraded } }, `${session.id}, degraded: ${degraded}`)
  }
  return sessions
}

t.test('a slot that nobody serves concerns its users only', async (t) => {
  const cluster = await startPartial(t)
  const app = await serveOn(t, cluster)
  const strict = await serveOn(t, cluster, { OUTAGE_MODE: 'deny' })
  const [users = [], ...rest] = await usersByMaster(cluster, 8)
  const [victim = '', ...others] = [...users, ...rest.flat()]
  const before = await admit(t, app, [victim, ...others.slice(0, 8)], 'before', false)
  const serve = await unserve(cluster.masters, await slotOfUser(cluster, victim))

  const read = async (one: FastifyInstance) =>
    (await as(one, ADMIN)('GET', `/api/sessions/limits/${victim}`)).body
  for (let i = 0; i < 5; i++) t.match(await read(app), { degraded: true }, 'reads')
  const meanwhile = await admit(t, app, [victim], 'meanwhile', true)
  meanwhile.push(...(await admit(t, app, others, 'meanwhile', false)))
  t.match(await acquire(strict, { username: victim, id: 'denied' }), { status: 503 })
  for (const username of others) {
    const answer = await acquire(strict, { username, id: `strict-${username}` })
    t.match(answer, { status: 201, body: { degraded: false } }, `${username} where outages deny`)
    await release(strict, { username, id: `strict-${username}` })
  }
  await untilHealth(app, 'partial')
  await untilHealth(strict, 'partial')
  t.match(await health(app), { code: 200, status: 'degraded' })
  t.match(await health(strict), { code: 200, status: 'degraded' })
  const gone = before.slice(0, 2)
  for (const session of gone) {
    t.match(await release(app, session), { status: 200, body: { released: true } })
  }

  await serve()
  await untilHealth(app, 'up')
  await untilHealth(strict, 'up')
  await audit(t, app, cluster.masters, {
    up: [...before.slice(2), ...meanwhile],
    gone: [...gone, ...others.map((username) => ({ username, id: `strict-${username}` }))]
  })
})

for (const keepData of [true, false]) {
  t.test(`a master away, and back ${keepData ? 'with' : 'without'} its data`, async (t) => {
    const cluster = await startPartial(t)
    const [master] = cluster.masters
    const app = await serveOn(t, cluster)
    const [victims = [], ...rest] = await usersByMaster(cluster, 8)
    const others = rest.flat()
    const before = await admit(t, app, [...victims, ...others], 'before', false)
    if (keepData) await master?.cli('SAVE')
    await master?.kill()

    await waitFor(
      async () => (await acquire(app, { username: victims[0] ?? '', id: 'probe' })).body.degraded,
      { what: 'the loss to be noticed' }
    )
    await release(app, { username: victims[0] ?? '', id: 'probe' })
    const meanwhile = await admit(t, app, victims, 'meanwhile', true)
    meanwhile.push(...(await admit(t, app, others, 'meanwhile', false)))
    t.match(await health(app), { code: 200, status: 'degraded', redis: 'partial' })
    t.equal((await as(app, ADMIN)('GET', '/api/sessions/active')).status, 503, 'no list')
    const gone = [...before.slice(0, 2), ...before.slice(-2)]
    for (const session of gone) {
      t.match(await release(app, session), { status: 200, body: { released: true } })
    }

    await master?.restart({ keepData })
    await master?.cli('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
    await untilHealth(app, 'up')
    await audit(t, app, cluster.masters, {
      up: [...before.slice(2, -2), ...meanwhile],
      gone: [...gone, { username: victims[0] ?? '', id: 'probe' }]
    })
  })
}
