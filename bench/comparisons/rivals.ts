/**
 * Slots taken and given back by the service, and by libraries that people limit sessions with,
 * behind the same Fastify.
 */
import type { Comparison } from '../bench.ts'
import { load, type Load } from '../harness/load.ts'
import { median, spread } from '../harness/median.ts'
import { TAKE_AND_RELEASE } from '../harness/sessions.ts'

const RIVALS = ['redis-semaphore', 'rate-limiter-flexible']

export default {
  name: 'rivals',
  title:
    'Take and release: the service : a library behind the same Fastify, each on a Redis of its own',
  async run (bench) {
    const redises = [await bench.redis(), await bench.redis(), await bench.redis()] as const
    const servers = [
      await bench.service(redises[0]),
      ...(await Promise.all(RIVALS.map(async (name, i) => await bench.twin(name, redises[i + 1]))))
    ]
    const rounds: Load[][] = []
    for (let round = 0; round < bench.pace.rounds; round++) {
      const loads: Load[] = []
      for (const [i, { port, pid }] of servers.entries()) {
        const pids = { http: pid, redis: redises[i]?.pid ?? 0 }
        loads.push(await load({ ...bench.pace, port, pids, ...TAKE_AND_RELEASE }))
      }
      rounds.push(loads)
    }
    return RIVALS.map((name, i) => {
      const ratios = rounds.map(
        (loads) => (loads[0]?.perSecond ?? NaN) / (loads[i + 1]?.perSecond ?? NaN)
      )
      const both = (of: (sample: Load) => number) =>
        [0, i + 1]
          .map((side) => median(rounds.map((loads) => of(loads[side] as Load))).toFixed(0))
          .join(' : ')
      return {
        what: name,
        value: median(ratios),
        goal: { atLeast: 1.2 },
        note:
          `${both((s) => s.perSecond)} requests/s; CPU per request ${both((s) => s.cpuUs.http ?? NaN)} µs, ` +
          `Redis ${both((s) => s.cpuUs.redis ?? NaN)} µs; rounds ${spread(ratios)}`
      }
    })
  }
} satisfies Comparison
