/** An admission of a user with one session, and of users with many. */
import type { Comparison } from '../bench.ts'
import { growth, takeSlots } from '../harness/growth.ts'

/** Its name is as long as those that stand in for it, so that content-length stays right. */
const ONE = 'user-00000007'

export default {
  name: 'growth-sessions',
  title: 'Median time of an admission as the sessions of its user grow',
  async run (bench) {
    return await growth(
      bench,
      [1, 100, 10_000].map((sessions) => ({
        what: `${sessions.toLocaleString('en')} session${sessions === 1 ? '' : 's'}`,
        users: 1,
        one: ONE,
        fill: async (redis, service) => {
          await service.fetch(`/api/sessions/limits/${ONE}`, {
            method: 'PUT',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ limit: 1_000_000 })
          })
          await takeSlots(redis, service, { sessions, users: 1, one: ONE })
        }
      }))
    )
  }
} satisfies Comparison
