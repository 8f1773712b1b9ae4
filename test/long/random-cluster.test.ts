/** Faults at random on a Cluster. */
import t from 'tap'
import { inCluster } from '../random/deployments.ts'
import { runRandom } from '../random/run-random.ts'

t.test('faults at random on a Cluster', async (t) => {
  await runRandom(t, inCluster)
})
