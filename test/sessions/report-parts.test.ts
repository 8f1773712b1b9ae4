/** Reports in parts, on Redis: what they list is bounded, and its loss is noticed. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { redisStores } from '../../services/backends/redis-stores.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import { EVERYWHERE, type Reach } from '../../services/redis/reach.ts'
import { MalformedValues } from '../../services/util/malformed-values.ts'
import { executorOn, startOnRedis } from '../conformance/stores.ts'
import { ask, reported } from '../conformance/words.ts'
import { startRedis } from '../helpers/servers.ts'

const redis = await startRedis(t)
const executor = await executorOn(t, { REDIS_URL: redis.url })

/** A store on Redis, its keys, and what sends a part of a report of two. */
async function start () {
  const prefix = `${randomUUID()}:`
  const { policy } = await startOnRedis(executor, { max_sessions_per_user: 0 }, { prefix })
  const keys = new RedisKeys(prefix)
  const { sessions } = redisStores({ executor, keys, policy, malformed: new MalformedValues() })
  const send = async (number: number, ids: string[], reach: Reach = EVERYWHERE) => {
    const list = ids.map((sessionId) => ({ sessionId, username: 'alice' }))
    const about = { node: 'n1', epoch: 1, sessions: list, part: { number, of: 2 } }
    return await sessions.reconcileNode(reported(about), undefined, reach)
  }
  for (const id of ['a', 'b', 'c']) await sessions.acquire(ask('alice', id, { node: 'n1' }))
  const up = async () => (await sessions.getCount('alice')).count
  return { keys, send, up }
}

t.test('a part that comes time and again lists no more than all parts can', async (t) => {
  const { keys, send, up } = await start()
  await send(1, ['a', 'b'])
  const key = keys.nodeListed('n1')
  const others = Array.from({ length: 40_000 }, (_, i) => `SADD ${key} other-${i}\r\n`)
  await redis.load(Buffer.from(others.join('')))
  t.match(await send(2, ['c']), { outcome: 'incomplete' })
  t.equal(await executor.client.scard(key), 40_002)
  t.equal(await up(), 3)
  await send(1, ['a', 'b'])
  t.equal(await executor.client.scard(key), 2, 'a new report begins anew')
  t.match(await send(2, ['c']), { renewed: 1 })
})

t.test('a part whose list could not be kept is missing', async (t) => {
  const { keys, send, up } = await start()
  const without = (out: string): Reach => ({
    ask: async (key, question) => (key === out ? undefined : await question())
  })
  for (const out of [keys.nodeListed('n1'), keys.nodeReport('n1')]) {
    t.match(await send(1, ['a', 'b'], without(out)), { renewed: 2, degraded: true })
    t.match(await send(2, ['c']), { outcome: 'incomplete' })
    t.equal(await up(), 3)
    await send(1, ['a', 'b'])
    await send(2, ['c'])
    t.match(await send(1, ['a', 'b'], without(out)), { renewed: 2, degraded: true })
    await send(2, ['c'])
    t.equal(await up(), 3, 'nor does it take the end of the report before for its own')
  }
})
