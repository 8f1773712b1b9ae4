/** An admission on a Redis that others use too. */
import type { Comparison } from '../bench.ts'
import { fillOtherKeys } from '../harness/fill.ts'
import { growth } from '../harness/growth.ts'

export default {
  name: 'growth-keys',
  title: 'Median time of an admission as the keys of others grow',
  async run (bench) {
    return await growth(
      bench,
      [0, 100_000, bench.quick ? 200_000 : 1_000_000].map((keys) => ({
        what: `${keys.toLocaleString('en')} keys of others`,
        users: 1000,
        fill: async (redis) => await redis.load(fillOtherKeys(keys))
      }))
    )
  }
} satisfies Comparison
