/** The service under a load, against the bare twin under the same. */
import type { Bench, Figure } from '../bench.ts'
import type { HttpServer } from './http-server.ts'
import { both, interleave, loadRemark, middle, ratio, type Pairs } from './interleave.ts'
import { load, type Load, type LoadRequest } from './load.ts'
import type { BenchRedis } from './redis.ts'

/** What the ratios should be: requests at least, CPU at most. */
export interface TwinGoals {
  rate?: number
  cpu?: number
}

/** Measures both in turn under one load. */
export async function againstTwin (
  bench: Bench,
  service: HttpServer,
  redis: BenchRedis,
  request: Omit<LoadRequest, 'port'>,
  goals: TwinGoals
): Promise<Figure[]> {
  const pairs = await besideTwin(
    bench,
    service,
    redis,
    async (server) => await load({ ...request, ...bench.pace, ...server })
  )
  return twinFigures(pairs, goals)
}

/** Measures both in turn, by whatever load; the CPU time of Redis is read apart. */
export async function besideTwin<S> (
  bench: Bench,
  service: HttpServer,
  redis: BenchRedis,
  measure: (server: Pick<LoadRequest, 'port' | 'pids'>) => Promise<S>
): Promise<Pairs<S>> {
  const twin = await bench.twin()
  return await interleave(
    bench.pace.rounds,
    async () =>
      await measure({ port: service.port, pids: { http: service.pid, redis: redis.pid } }),
    async () => await measure({ port: twin.port, pids: { http: twin.pid } })
  )
}

/**
 * Rate and CPU of the service against the twin's, with what Redis and the load took beside them.
 */
export function twinFigures (pairs: Pairs<Load>, goals: TwinGoals, of = ''): Figure[] {
  for (const [i, a] of pairs.a.entries()) checkAlike(a, pairs.b[i])
  const httpCpu = ({ cpuUs }: Load) => cpuUs.http ?? NaN
  const rate = ratio(
    pairs,
    (s) => s.perSecond,
    (s) => s.perSecond
  )
  const cpu = ratio(pairs, httpCpu, httpCpu)
  const busy = middle([...pairs.a, ...pairs.b], (s) => s.loadCpuMs / s.seconds / 10).toFixed(0)
  return [
    {
      what: `${of}requests per second`,
      value: rate.value,
      ...(goals.rate !== undefined && { goal: { atLeast: goals.rate } }),
      note: `${both(pairs, (s) => s.perSecond)} /s; rounds ${rate.spread}; load process at ${busy} %. ${loadRemark(pairs.a, pairs.b)}`
    },
    {
      what: `${of}CPU per request, without Redis' own`,
      value: cpu.value,
      ...(goals.cpu !== undefined && { goal: { atMost: goals.cpu } }),
      note: `${both(pairs, httpCpu, 1)} µs; rounds ${cpu.spread}`
    },
    {
      what: `${of}CPU of Redis per request`,
      value: middle(pairs.a, (s) => s.cpuUs.redis ?? NaN),
      unit: 'µs'
    }
  ]
}

/**
 * How much longer or shorter one answer may be than the other's, in bytes: a count of sessions,
 * say.
 */
const SLACK = 4

/**
 * @throws Error unless both answered alike, in status, headers and length: a twin that says less
 * would be no yardstick
 */
function checkAlike (service: Load, twin: Load | undefined): void {
  for (const [i, answer] of service.samples.entries()) {
    const other = twin?.samples[i] ?? ''
    if (headOf(answer) !== headOf(other)) {
      throw new Error(`The service answers with ${headOf(answer)}; the twin with ${headOf(other)}`)
    }
    if (Math.abs(answer.length - other.length) > SLACK) {
      throw new Error(`The twin's answer is not as long:\n${answer}\n${other}`)
    }
  }
}

/** Status line and names of headers. */
function headOf (answer: string): string {
  const [status, ...headers] = answer.slice(0, answer.indexOf('\r\n\r\n')).split('\r\n')
  return [
    status,
    ...headers.map((line) => line.slice(0, line.indexOf(':')).toLowerCase()).sort()
  ].join(', ')
}
