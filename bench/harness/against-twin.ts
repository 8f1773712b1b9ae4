/** The service under a load, against the bare twin under the same. */
import type { Bench } from '../bench.ts'
import type { Figure, Goal } from '../figure.ts'
import { estimate, ratio } from './estimate.ts'
import type { HttpServer } from './http-server.ts'
import { load, loadRemark, type Load, type LoadRequest } from './load.ts'
import type { BenchRedis } from './redis.ts'
import { both, inTurn, middle, type Samples } from './rounds.ts'

/** What the ratios should be: of requests per second, and of CPU per request. */
export interface TwinGoals {
  rate?: Goal
  cpu?: Goal
}

/** What a load is put on, and which processes' CPU time is read. */
export type Target = Pick<LoadRequest, 'port' | 'pids'>

/** Measures both in turn under one load. */
export async function againstTwin (
  bench: Bench,
  service: HttpServer,
  redis: BenchRedis,
  request: Omit<LoadRequest, 'port'>
): Promise<Figure[]> {
  const measure = async (target: Target) => await load({ ...request, ...bench.pace, ...target })
  return twinFigures(await besideTwin(bench, service, redis, measure), {})
}

/** Measures both in turn, by whatever load; the CPU time of Redis is read apart. */
export async function besideTwin<S> (
  bench: Bench,
  service: HttpServer,
  redis: BenchRedis,
  measure: (target: Target) => Promise<S>
): Promise<Samples<'service' | 'twin', S>> {
  const twin = await bench.twin()
  const targets = {
    service: { port: service.port, pids: { http: service.pid, redis: redis.pid } },
    twin: { port: twin.port, pids: { http: twin.pid } }
  }
  return await inTurn(bench.pace.rounds, {
    service: async () => await measure(targets.service),
    twin: async () => await measure(targets.twin)
  })
}

/** CPU time of the HTTP server's process per request, in microseconds. */
export function httpCpu ({ cpuUs }: Load): number {
  return cpuUs.http ?? NaN
}

/** CPU time of Redis per request, in microseconds. */
export function redisCpu ({ cpuUs }: Load): number {
  return cpuUs.redis ?? NaN
}

/** Rate and CPU of the service against the twin's, and what Redis and the load process took. */
export function twinFigures (
  { service, twin }: Samples<'service' | 'twin', Load>,
  goals: TwinGoals,
  of = ''
): Figure[] {
  for (const [round, sample] of service.entries()) checkAlike(sample, twin[round])
  const rate = ({ perSecond }: Load) => perSecond
  const loads = [...service, ...twin]
  const busy = middle(loads, (s) => s.loadCpuMs / s.seconds / 10).toFixed(0)
  return [
    {
      what: `${of}requests per second`,
      measured: ratio(service.map(rate), twin.map(rate)),
      goal: goals.rate,
      note: `${both(service, twin, rate)} /s; load process at ${busy} %. ${loadRemark(loads)}`
    },
    {
      what: `${of}CPU per request, without Redis' own`,
      measured: ratio(service.map(httpCpu), twin.map(httpCpu)),
      goal: goals.cpu,
      note: `${both(service, twin, httpCpu, 1)} µs`
    },
    {
      what: `${of}CPU of Redis per request`,
      measured: estimate(service.map(redisCpu)),
      unit: 'µs'
    }
  ]
}

/** How many bytes one answer may be longer than the other: a count of sessions has more digits. */
const SLACK = 4

/**
 * @throws Error unless both answered alike, in status, headers and length: a twin that says less
 * would be no yardstick
 */
export function checkAlike (service: Load, twin: Load | undefined): void {
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
  const names = headers.map((line) => line.slice(0, line.indexOf(':')).toLowerCase())
  return [status, ...names.sort()].join(', ')
}
