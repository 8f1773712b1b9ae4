/** A Cluster client that was closed does nothing any more. */
import t from 'tap'
import { loadConfig } from '../../config.ts'
import { connectRedis } from '../../services/redis/client.ts'
import { startCluster, waitFor } from '../helpers/servers.ts'

/** What the client knows of its refreshes: it keeps that to itself. */
interface Refreshes {
  isRefreshing: boolean
  slotsTimer: NodeJS.Timeout | null
}

for (const how of ['quit', 'disconnect'] as const) {
  t.test(`after ${how} amid a refresh of the slots none follows`, async (t) => {
    const cluster = await startCluster(t, 3, 0)
    const nodes = cluster.masters.map(({ host, port }) => `${host}:${port}`).join()
    const client = connectRedis(loadConfig({ REDIS_CLUSTER_NODES: nodes }), {})
    client.on('error', () => {})
    t.teardown(() => client.disconnect())
    await client.connect()
    const refreshes = client as unknown as Refreshes
    await waitFor(() => refreshes.slotsTimer !== null, { what: 'the first refresh to be due' })
    for (const master of cluster.masters) master.pause()
    await waitFor(() => refreshes.isRefreshing, { what: 'a refresh', everyMs: 5 })
    const closing = how === 'quit' ? client.quit().catch(() => {}) : client.disconnect()
    for (const master of cluster.masters) master.resume()
    await closing
    await waitFor(() => !refreshes.isRefreshing, { what: 'the refresh to be over', everyMs: 5 })
    t.equal(refreshes.slotsTimer, null)
  })
}
