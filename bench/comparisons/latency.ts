/**
 * How long requests take at half of the rate that the service can do: not at saturation, where all
 * time is waiting. They are sent by the clock, and each counts from when it was due, so that no
 * stall hides the requests that it held up.
 */
import type { Comparison, Figure } from '../bench.ts'
import { interleave } from '../harness/interleave.ts'
import { load, type Load } from '../harness/load.ts'
import { median, spread } from '../harness/median.ts'
import { TAKE_AND_RELEASE } from '../harness/sessions.ts'

export default {
  name: 'latency',
  title: 'Take and release at a fixed rate, half of that at saturation',
  async run (bench) {
    const [service, twin] = [await bench.service(await bench.redis()), await bench.twin()]
    const common = { ...bench.pace, ...TAKE_AND_RELEASE }
    const atSaturation: Load[] = []
    for (let round = 0; round < bench.pace.rounds; round++) {
      atSaturation.push(await load({ ...common, port: service.port }))
    }
    const saturation = median(atSaturation.map(({ perSecond }) => perSecond))
    const perSecond = Math.round(saturation / 2)
    const pairs = await interleave(
      bench.pace.rounds,
      async () => checkPace(await load({ ...common, port: service.port, perSecond }), perSecond),
      async () => checkPace(await load({ ...common, port: twin.port, perSecond }), perSecond)
    )
    return [
      {
        ...ratioOf('the service', pairs.a, `${perSecond} of ${saturation.toFixed(0)} requests/s`),
        goal: { atMost: 5 }
      },
      ratioOf('the bare twin at the same rate', pairs.b, 'what the machine makes of it')
    ]
  }
} satisfies Comparison

/** The least share of the rate that is answered while answers are counted. */
const LEAST_ANSWERED = 0.9

/**
 * @throws Error when less was answered than was due: a rate that cannot be kept up has no latency
 */
function checkPace (sample: Load, perSecond: number): Load {
  const answered = sample.perSecond
  if (answered < perSecond * LEAST_ANSWERED) {
    throw new Error(`${answered.toFixed(0)} /s were answered, not ${perSecond}`)
  }
  return sample
}

/** The 99th percentile against the median, with all percentiles behind it. */
function ratioOf (who: string, samples: Load[], note: string): Figure {
  const ratios = samples.map(({ latency }) => latency.p99 / latency.p50)
  const ms = (name: 'p50' | 'p99' | 'p999', of: 'latency' | 'late' = 'latency') =>
    (median(samples.map((sample) => sample[of][name])) / 1000).toFixed(2)
  return {
    what: `${who}: p99 : p50`,
    value: median(ratios),
    note:
      `${note}; p50 ${ms('p50')} ms, p99 ${ms('p99')} ms, p99.9 ${ms('p999')} ms, ` +
      `of which sent late: p50 ${ms('p50', 'late')} ms, p99 ${ms('p99', 'late')} ms; rounds ${spread(ratios)}`
  }
}
