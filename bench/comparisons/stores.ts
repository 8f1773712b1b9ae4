/**
 * What it costs to keep leases in Redis rather than in memory, where only one process has them.
 */
import type { Comparison } from '../bench.ts'
import { httpCpu } from '../harness/against-twin.ts'
import { ratio } from '../harness/estimate.ts'
import { load, type Load } from '../harness/load.ts'
import { both, inTurn } from '../harness/rounds.ts'
import { TAKE_AND_RELEASE } from '../harness/sessions.ts'

export default {
  name: 'stores',
  title: 'Take and release: on Redis : in memory',
  async run (bench) {
    const [onRedis, inMemory] = [
      await bench.service(await bench.redis()),
      await bench.service(null)
    ]
    const common = { ...bench.pace, ...TAKE_AND_RELEASE }
    const { redis, memory } = await inTurn(bench.pace.rounds, {
      redis: async () => await load({ ...common, port: onRedis.port, pids: { http: onRedis.pid } }),
      memory: async () =>
        await load({ ...common, port: inMemory.port, pids: { http: inMemory.pid } })
    })
    const rate = ({ perSecond }: Load) => perSecond
    return [
      {
        what: 'requests per second',
        measured: ratio(redis.map(rate), memory.map(rate)),
        note: `${both(redis, memory, rate)} /s`
      },
      {
        what: "CPU per request, without Redis' own",
        measured: ratio(redis.map(httpCpu), memory.map(httpCpu)),
        note: `${both(redis, memory, httpCpu)} µs`
      }
    ]
  }
} satisfies Comparison
