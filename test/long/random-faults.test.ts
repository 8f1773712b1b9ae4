/**
 * Faults at random on a Redis behind Sentinels, and on a Cluster. RANDOM_SECONDS says for how long
 * each; RANDOM_SEED repeats the choices, though not to the millisecond.
 */
import { randomInt } from 'node:crypto'
import t from 'tap'
import { behindSentinels, inCluster } from '../random/deployments.ts'
import { runRandom } from '../random/run-random.ts'

const { RANDOM_SECONDS = 1800, RANDOM_SEED = randomInt(2 ** 30), RANDOM_ON = '' } = process.env
const options = { seed: Number(RANDOM_SEED), seconds: Number(RANDOM_SECONDS) }

for (const [name, start] of Object.entries({ Sentinel: behindSentinels, Cluster: inCluster })) {
  if (!name.includes(RANDOM_ON)) continue
  t.test(`${name}: faults at random`, async (t) => await runRandom(t, start, options))
}
