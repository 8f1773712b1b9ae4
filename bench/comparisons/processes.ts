/**
 * Two service processes on one Redis against one, each with half of the connections and a load
 * process of its own.
 */
import { availableParallelism } from 'node:os'
import type { Comparison } from '../bench.ts'
import { ratio } from '../harness/estimate.ts'
import { load } from '../harness/load.ts'
import { both, inTurn } from '../harness/rounds.ts'
import { TAKE_AND_RELEASE } from '../harness/sessions.ts'

export default {
  name: 'processes',
  title: 'Take and release: 2 service processes : 1, on one Redis',
  async run (bench) {
    const redis = await bench.redis()
    const [one, other] = [await bench.service(redis), await bench.service(redis)]
    const perSecond = async (...ports: number[]) => {
      const loads = await Promise.all(
        ports.map(
          async (port) =>
            await load({
              ...bench.pace,
              ...TAKE_AND_RELEASE,
              port,
              connections: 32
            })
        )
      )
      return loads.reduce((sum, { perSecond }) => sum + perSecond, 0)
    }
    const rates = await inTurn(bench.pace.rounds, {
      two: async () => await perSecond(one.port, other.port),
      one: async () => await perSecond(one.port, one.port)
    })
    return [
      {
        what: 'requests per second',
        measured: ratio(rates.two, rates.one),
        note:
          `${both(rates.two, rates.one, (rate) => rate)} /s; services, Redis and load share ` +
          `${availableParallelism()} cores`
      }
    ]
  }
} satisfies Comparison
