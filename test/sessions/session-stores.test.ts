/** Every session store keeps the same contract. */
import t from 'tap'
import { admission } from '../conformance/admission.ts'
import { attempts } from '../conformance/attempts.ts'
import { bars } from '../conformance/bars.ts'
import { boundNodes } from '../conformance/bound-nodes.ts'
import { runContract } from '../conformance/contract.ts'
import { lifetime } from '../conformance/lifetime.ts'
import { lists } from '../conformance/lists.ts'
import { manySessions } from '../conformance/many-sessions.ts'
import { nodeReports } from '../conformance/node-reports.ts'
import { executorOn, startInMemory, startOnCluster, startOnRedis } from '../conformance/stores.ts'
import { startCluster, startRedis } from '../helpers/servers.ts'

const redis = await startRedis(t)
const executor = await executorOn(t, { REDIS_URL: redis.url })
const { masters } = await startCluster(t, 3, 0)
const clusterExecutor = await executorOn(t, {
  REDIS_CLUSTER_NODES: masters.map(({ host, port }) => `${host}:${port}`).join()
})

const contract = {
  ...admission,
  ...attempts,
  ...bars,
  ...boundNodes,
  ...lifetime,
  ...manySessions,
  ...nodeReports,
  ...lists
}

t.test('the store in memory keeps the contract', async (t) => {
  await runContract(t, contract, startInMemory)
})

t.test('the store on Redis keeps the contract', async (t) => {
  await runContract(t, contract, async (change) => await startOnRedis(executor, change))
})

t.test('the store on a Cluster keeps the contract', async (t) => {
  await runContract(t, contract, async (change) => await startOnCluster(clusterExecutor, change))
})
