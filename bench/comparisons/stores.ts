/**
 * What keeping leases in Redis costs against keeping them in memory, which only one process can.
 */
import type { Comparison } from '../bench.ts'
import { both, interleave, ratio } from '../harness/interleave.ts'
import { load, type Load } from '../harness/load.ts'
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
    const pairs = await interleave(
      bench.pace.rounds,
      async () => await load({ ...common, port: onRedis.port, pids: { http: onRedis.pid } }),
      async () => await load({ ...common, port: inMemory.port, pids: { http: inMemory.pid } })
    )
    const [perSecond, cpuUs] = [(s: Load) => s.perSecond, (s: Load) => s.cpuUs.http ?? NaN]
    const [rate, cpu] = [ratio(pairs, perSecond, perSecond), ratio(pairs, cpuUs, cpuUs)]
    return [
      {
        what: 'requests per second',
        value: rate.value,
        note: `${both(pairs, perSecond)} /s; rounds ${rate.spread}`
      },
      {
        what: "CPU per request, without Redis' own",
        value: cpu.value,
        note: `${both(pairs, cpuUs)} µs; rounds ${cpu.spread}`
      }
    ]
  }
} satisfies Comparison
