/** Each right of the Redis user is missed in turn. */
import t from 'tap'
import { startRedis, waitFor } from '../helpers/servers.ts'
import {
  addExternal,
  askEverything,
  GRANTED,
  RIGHTS,
  startAs,
  warningsOf
} from '../outage/rights.ts'

/** What only the connection uses, so that nothing is refused for the lack of it. */
const OF_THE_CONNECTION = ['+quit']

t.test('each right that is missing is named, and nothing is a 500', async (t) => {
  const redis = await startRedis(t)
  await addExternal(redis)
  for (const right of GRANTED.filter((one) => !OF_THE_CONNECTION.includes(one))) {
    await redis.cli('SCRIPT', 'FLUSH')
    const user = `without-${right.slice(1)}`
    const rest = RIGHTS.filter((one) => one !== right)
    await redis.cli('ACL', 'SETUSER', user, 'on', '>password', ...rest)
    const app = await startAs(t, redis, user)
    const failed = [...(await askEverything(app))].filter(
      ([, status]) => status >= 500 && status !== 503
    )
    t.strictSame(failed, [], `${right}: nothing is a 500`)
    const named = async () => (await warningsOf(app)).some((text) => text.includes(` ${right}`))
    t.ok(
      await waitFor(named, { what: `a warning that names ${right}`, deadlineMs: 5000 }).catch(
        () => false
      ),
      `${right}: is named`
    )
    await app.close()
  }
})
