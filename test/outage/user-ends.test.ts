/** The end of all sessions of a user, told again by a clock that may have been set since. */
import { Redis } from 'ioredis'
import t from 'tap'
import { endUserAgain } from '../../services/outage/tell-end.ts'
import { UserEnds, type UserEnd } from '../../services/outage/user-ends.ts'
import { RedisExecutor } from '../../services/redis/executor.ts'
import type { RedisSessionStore } from '../../services/sessions/redis/redis-session-store.ts'
import { startRedis } from '../helpers/servers.ts'

const HOUR = 3_600_000
const redis = await startRedis(t)
const client = new Redis(redis.url)
t.teardown(() => client.disconnect())
const executor = new RedisExecutor(client, 5000)
let made = 0

/** Until when sessions are ended, from now, when they were ended so long ago, at that time. */
async function toldAt (fromNowMs: number, agoMs: number): Promise<number> {
  const now = await executor.nowMs('')
  const args = [now + fromNowMs, agoMs, '', '60000', '']
  const at = (await executor.scripts.endUser([`user-${made++}`], args)) as number
  return at - now
}

t.test('by the time of then, or by how long ago that was: whichever is earlier', async (t) => {
  t.equal(await toldAt(-9_000, 9_000), -9_000, 'the clock goes on')
  t.equal(await toldAt(-9_000 + 1_500, 9_000), -7_500, 'more or less')
  t.equal(await toldAt(-HOUR, 9_000), -HOUR, 'set forward: calls began before that')
  for (const setBackMs of [5_000, HOUR]) {
    const at = await toldAt(setBackMs - 9_000, 9_000)
    t.ok(at >= -9_000 && at < -5_000, `set back, which nobody may know yet: ${at}`)
  }
  t.ok((await toldAt(1_000, 0)) < 1_000, 'never in the future')
})

t.test('what began while the clock was set back is not ended when it is right again', async (t) => {
  const ends = new UserEnds()
  ends.note('alice', 5_000, false, 5_000)
  const [[, { ordinary }]] = [...ends.since(0, 6_000)] as [[string, UserEnd]]
  const asked: unknown[] = []
  let at = 5_000
  const endUser: RedisSessionStore['endUser'] = async (_name, _reason, _all, ended) => {
    asked.push(ended)
    return { atMs: at, leases: [], spared: [] }
  }
  const parts = { store: { endUser } as RedisSessionStore, mirror: { now: () => 6_000 } as never }
  await endUserAgain(parts, 'alice', ordinary, false)
  at = 5_000 - HOUR
  await endUserAgain(parts, 'alice', ordinary, false)
  await endUserAgain(parts, 'alice', ordinary, false)
  t.same(asked, [5_000, 5_000, 5_000 - HOUR].map((atMs) => ({ atMs, agoMs: 1_000 })))
})

t.test('an end of all but emergency sessions leaves the end of those as it was', async (t) => {
  const ends = new UserEnds()
  ends.note('alice', 5_000, true, 5_000)
  ends.note('alice', 7_000, false, 7_000)
  const [[, { ordinary, all }]] = [...ends.since(6_000, 8_000)] as [[string, UserEnd]]
  t.equal(ordinary.atMs, 7_000)
  t.equal(all?.atMs, 5_000)
  t.same([...ends.since(7_001, 8_000)], [], 'Redis knows')
})
