/** The service under a load, against the bare twin under the same. */
import type { Bench, Figure } from '../bench.ts'
import { interleave, loadRemark, middle, ratio } from './interleave.ts'
import { load, type Load, type LoadRequest } from './load.ts'
import type { BenchRedis } from './redis.ts'

/** What the ratios should be: requests at least, CPU at most. */
export interface TwinGoals { rate: number, cpu?: number }

/** Measures both in turn; Redis' own CPU time is shown apart. */
export async function againstTwin (
  bench: Bench, redis: BenchRedis, request: Omit<LoadRequest, 'port'>, goals: TwinGoals
): Promise<Figure[]> {
  const [service, twin] = [await bench.service(redis), await bench.twin()]
  const common = { ...request, ...bench.pace }
  const pairs = await interleave(bench.pace.rounds,
    async () => await load({ ...common, port: service.port, pids: { http: service.pid, redis: redis.pid } }),
    async () => await load({ ...common, port: twin.port, pids: { http: twin.pid } }))

  const httpCpu = ({ cpuUs }: Load) => cpuUs.http ?? NaN
  const rate = ratio(pairs, (s) => s.perSecond, (s) => s.perSecond)
  const cpu = ratio(pairs, httpCpu, httpCpu)
  const both = (of: (sample: Load) => number, decimals: number, unit: string) =>
    [pairs.a, pairs.b].map((side) => `${middle(side, of).toFixed(decimals)} ${unit}`).join(' : ')
  return [
    {
      what: 'requests per second',
      value: rate.value,
      goal: { atLeast: goals.rate },
      note: `${both((s) => s.perSecond, 0, '/s')}; rounds ${rate.spread}. ${loadRemark(pairs.a, pairs.b)}`
    },
    {
      what: 'CPU per request, without Redis\' own',
      value: cpu.value,
      ...(goals.cpu !== undefined && { goal: { atMost: goals.cpu } }),
      note: `${both(httpCpu, 1, 'µs')}; rounds ${cpu.spread}`
    },
    { what: 'CPU of Redis per request', value: middle(pairs.a, (s) => s.cpuUs.redis ?? NaN), unit: 'µs' },
    { what: 'CPU of the load process', value: middle([...pairs.a, ...pairs.b], (s) => s.loadCpuMs / s.seconds / 10), unit: '% of a core' }
  ]
}
