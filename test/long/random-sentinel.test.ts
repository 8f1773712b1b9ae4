/** Faults at random on a Redis behind Sentinels. */
import t from 'tap'
import { behindSentinels } from '../random/deployments.ts'
import { runRandom } from '../random/run-random.ts'

t.test('faults at random on a Redis behind Sentinels', async (t) => {
  await runRandom(t, behindSentinels)
})
