/**
 * The time that an admission adds at a fixed rate, as a switch feels it: that of the service less
 * that of the bare twin at the same rate. Requests are sent by the clock, and each counts from when
 * it was due, so that no stall hides the requests that it held up.
 */
import type { Bench, Comparison } from '../bench.ts'
import type { Figure } from '../figure.ts'
import { besideTwin, checkAlike, type Target } from '../harness/against-twin.ts'
import { difference } from '../harness/estimate.ts'
import type { HttpServer } from '../harness/http-server.ts'
import { load, type Load } from '../harness/load.ts'
import type { BenchRedis } from '../harness/redis.ts'
import { middle, type Samples } from '../harness/rounds.ts'
import { ADMISSIONS } from '../harness/sessions.ts'

/** Admissions per second. */
const RATES = [500, 2000]
/** At least so many admissions a round: the slowest hundredth is twenty of them. */
const ADMISSIONS_PER_ROUND = 2000
/** What a caller does not notice while a call is being set up, in milliseconds. */
const GOALS_MS = { p50: 1, p99: 10 }

export default {
  name: 'latency',
  title: 'Time that an admission adds at a fixed rate: the service less the bare twin',
  async run (bench) {
    const redis = await bench.redis()
    const service = await bench.service(redis)
    const figures: Figure[] = []
    for (const perSecond of RATES) figures.push(...(await added(bench, service, redis, perSecond)))
    return figures
  }
} satisfies Comparison

async function added (
  bench: Bench,
  service: HttpServer,
  redis: BenchRedis,
  perSecond: number
): Promise<Figure[]> {
  const durationMs = Math.max(bench.pace.durationMs, (ADMISSIONS_PER_ROUND * 1000) / perSecond)
  const measure = async (target: Target) =>
    await load({ ...ADMISSIONS, ...bench.pace, durationMs, ...target, perSecond })
  const samples = await besideTwin(bench, service, redis, measure)
  for (const side of [samples.service, samples.twin]) checkRate(side, perSecond)
  checkAlike(samples.service[0] as Load, samples.twin[0])
  return (['p50', 'p99'] as const).map((name) => figureOf(name, perSecond, samples))
}

function figureOf (
  name: 'p50' | 'p99',
  perSecond: number,
  { service, twin }: Samples<'service' | 'twin', Load>
): Figure {
  const ms = ({ latency }: Load) => latency[name] / 1000
  const lateMs = ({ late }: Load) => late[name] / 1000
  const text = (side: Load[], of: (sample: Load) => number) => `${middle(side, of).toFixed(2)} ms`
  return {
    what: `at ${perSecond.toLocaleString('en')} /s, ${name}`,
    measured: difference(service.map(ms), twin.map(ms)),
    unit: 'ms',
    goal: { atMost: GOALS_MS[name] },
    note:
      `the service ${text(service, ms)}, of which sent late ${text(service, lateMs)}; ` +
      `the twin ${text(twin, ms)}, of which sent late ${text(twin, lateMs)}`
  }
}

/** The least share of the rate that has to be answered while answers are counted. */
const LEAST_ANSWERED = 0.9

/**
 * @throws Error when fewer requests were answered than were due, in the median of the rounds: where
 * the rate cannot be kept up, latency means nothing
 */
function checkRate (samples: Load[], perSecond: number): void {
  const answered = middle(samples, (sample) => sample.perSecond)
  if (answered < perSecond * LEAST_ANSWERED) {
    throw new Error(`${answered.toFixed(0)} /s were answered, not ${perSecond}`)
  }
}
