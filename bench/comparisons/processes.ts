/**
 * Two service processes on one Redis against one, each with half of the connections and a load
 * process of its own.
 */
import { availableParallelism } from 'node:os'
import type { Comparison } from '../bench.ts'
import { both, interleave, ratio } from '../harness/interleave.ts'
import { load } from '../harness/load.ts'
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
    const pairs = await interleave(
      bench.pace.rounds,
      async () => await perSecond(one.port, other.port),
      async () => await perSecond(one.port, one.port)
    )
    const { value, spread } = ratio(
      pairs,
      (s) => s,
      (s) => s
    )
    return [
      {
        what: 'requests per second',
        value,
        note: `${both(pairs, (s) => s)} /s; rounds ${spread}; ${availableParallelism()} cores for services, Redis and load together`
      }
    ]
  }
} satisfies Comparison
