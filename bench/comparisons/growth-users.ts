/** An admission among few users and among many, each with a session. */
import type { Comparison } from '../bench.ts'
import { growth, takeSlots } from '../harness/growth.ts'

export default {
  name: 'growth-users',
  title: 'Median time of an admission as users grow, each with a session up',
  async run (bench) {
    return await growth(
      bench,
      [1_000, bench.quick ? 10_000 : 100_000, bench.quick ? 100_000 : 1_000_000].map((users) => ({
        what: `${users.toLocaleString('en')} users`,
        users,
        fill: async (redis, service) =>
          await takeSlots(redis, service, { sessions: users, users })
      }))
    )
  }
} satisfies Comparison
