/** What Redis is set to that loses data: said in health while it lasts. */
import t from 'tap'
import { as, startApp, startAppOn } from '../helpers/app.ts'
import { startCluster, startRedis } from '../helpers/servers.ts'

const DROPS = /noeviction/

async function warnings (app: Awaited<ReturnType<typeof startApp>>): Promise<string[]> {
  return (await as(app, null)('GET', '/healthz/ready')).body.warnings
}

t.test('a Redis that drops data when it is full', async (t) => {
  for (const policy of ['allkeys-lru', 'volatile-lru', 'volatile-ttl', 'allkeys-random']) {
    const redis = await startRedis(t, { args: ['--maxmemory-policy', policy] })
    t.match(await warnings(await startAppOn(t, redis)), [DROPS], policy)
  }
  const redis = await startRedis(t)
  t.same(await warnings(await startAppOn(t, redis)), [], 'noeviction')
})

t.test('one master of a Cluster that does', async (t) => {
  const { masters } = await startCluster(t, 3, 0)
  await masters[2]?.cli('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  const nodes = masters.map(({ host, port }) => `${host}:${port}`).join()
  const app = await startApp(t, { REDIS_CLUSTER_NODES: nodes, REDIS_TIMEOUT_MS: '10000' })
  t.match(await warnings(app), [DROPS])
})
