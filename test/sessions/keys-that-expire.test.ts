/** Each key of the service expires by itself, but for those that are asked for by name. */
import t from 'tap'
import { startOwnApp, startOwnAppOnCluster } from '../helpers/app.ts'
import { startCluster, startRedis } from '../helpers/servers.ts'
import { askEverything } from '../outage/rights.ts'

/** Families without an end: limits, bars and keys that are given, and indexes that are swept. */
const STAYS = /^(user-limit|user-leases|node-leases|session-policy$|session-generation|api-keys$)/

t.test('on one server, and in a Cluster', async (t) => {
  const redis = await startRedis(t)
  const { masters } = await startCluster(t, 3, 0)
  for (const app of [
    await startOwnApp(t, redis),
    await startOwnAppOnCluster(t, { masters })
  ]) {
    await askEverything(app)
    const { REDIS_KEY_PREFIX: prefix, REDIS_CLUSTER_NODES: nodes } = app.config
    const servers = nodes === undefined ? [redis] : masters
    const families = new Set<string>()
    const left = async () => {
      const staying: string[] = []
      for (const server of servers) {
        for (const key of (await server.cli('KEYS', `${prefix}*`)).split('\n')) {
          if (key === '') continue
          const name = key.slice(prefix.length)
          families.add(name.split(':')[0] ?? '')
          if (STAYS.test(name)) continue
          if ((await server.cli('PTTL', key)).trim() === '-1') staying.push(name)
        }
      }
      return staying
    }
    t.strictSame(await left(), [])
    t.ok(families.size > 9, [...families].join())
  }
})
