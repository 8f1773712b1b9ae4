/** What the marks of a replica tell about a Redis that may have lost something. */
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { probe } from '../../services/backends/redis-probe.ts'
import { Watermark } from '../../services/outage/watermark.ts'
import { RedisExecutor } from '../../services/redis/executor.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import { ManualClock } from '../helpers/manual-clock.ts'
import { startRedis } from '../helpers/servers.ts'

/** A Redis that remembers one mark, and a watermark that is probed there. */
function start () {
  const clock = new ManualClock()
  const watermark = new Watermark(clock.now)
  const redis = { mark: '', server: 'first' }
  const probeOnce = (isAsked: boolean, answers = true) => {
    const marking = watermark.next('key', isAsked ? ['first'] : undefined)
    const { mark, server } = redis
    const isAsLeft = marking.before.includes(mark)
    if (isAsLeft && marking.mark !== '' && server === 'first') redis.mark = marking.mark
    const answer = () => watermark.note('key', marking, { mark, isAsLeft, server })
    if (answers) answer()
    return answer
  }
  return { clock, watermark, redis, probeOnce }
}

t.test('while Redis is asked, it knows everything up to the last probe', async (t) => {
  const { clock, watermark, redis, probeOnce } = start()
  t.equal(watermark.sinceMs(['key']), -Infinity, 'nothing is known before the first probe')
  probeOnce(true)
  t.equal(watermark.sinceMs(['key']), clock.now())
  await clock.pass(200)
  probeOnce(true)
  t.equal(watermark.sinceMs(['key']), clock.now())
  const lastMs = clock.now()
  await clock.pass(5000)
  probeOnce(false)
  t.equal(watermark.sinceMs(['key']), lastMs, 'while it is not asked, that stays')
  t.equal(redis.mark, String(lastMs))
  t.equal(watermark.losses('key'), 0)
})

t.test('an older mark, or none, is a loss, once', async (t) => {
  const { clock, watermark, redis, probeOnce } = start()
  probeOnce(true)
  const saved = redis.mark
  for (let i = 0; i < 3; i++) {
    await clock.pass(200)
    probeOnce(true)
  }
  redis.mark = saved
  await clock.pass(200)
  probeOnce(true)
  t.equal(watermark.losses('key'), 1)
  t.equal(String(watermark.sinceMs(['key'])), saved)
  t.equal(redis.mark, saved, 'which is not written over before it was told what it lacks')
  for (let i = 0; i < 3; i++) probeOnce(false)
  t.equal(watermark.losses('key'), 1)
  await clock.pass(200)
  probeOnce(true)
  t.equal(watermark.sinceMs(['key']), clock.now())
  redis.mark = ''
  probeOnce(true)
  t.equal(watermark.losses('key'), 2)
  t.equal(watermark.sinceMs(['key']), -Infinity)
})

t.test('a mark that a restarted server still has stays until it was told the rest', async (t) => {
  const { clock, watermark, redis, probeOnce } = start()
  probeOnce(true)
  const saved = redis.mark
  await clock.pass(100)
  redis.server = 'second'
  for (const isAsked of [true, false, false]) {
    await clock.pass(200)
    probeOnce(isAsked)
    t.equal(redis.mark, saved)
    t.equal(String(watermark.sinceMs(['key'])), saved, 'what came after it is told again')
  }
  t.equal(watermark.losses('key'), 0)
})

t.test('a probe whose answer is lost, or late, is no loss', async (t) => {
  const { clock, watermark, redis, probeOnce } = start()
  probeOnce(true)
  await clock.pass(200)
  const late = probeOnce(true, false)
  await clock.pass(200)
  probeOnce(true)
  t.equal(watermark.losses('key'), 0, 'what was written without an answer may be there')
  await clock.pass(200)
  probeOnce(true, false)
  late()
  await clock.pass(200)
  probeOnce(true)
  t.equal(watermark.losses('key'), 0)
  t.equal(redis.mark, String(clock.now()))
})

t.test('of several masters the one counts that knows least', async (t) => {
  const clock = new ManualClock()
  const watermark = new Watermark(clock.now)
  const firstMs = clock.now()
  const probeOnce = (key: string, mark: string) =>
    watermark.note(key, watermark.next(key, []), { mark, isAsLeft: true, server: 'first' })
  for (const key of ['a', 'b']) probeOnce(key, '')
  await clock.pass(200)
  probeOnce('a', String(firstMs))
  t.equal(watermark.sinceMs(['a', 'b']), firstMs)
})

/** A watermark that is probed on a real Redis. */
async function onRedis (t: Test) {
  const redis = await startRedis(t)
  const client = new Redis(redis.url)
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  const clock = new ManualClock()
  const [watermark, keys] = [new Watermark(clock.now), new RedisKeys(`${randomUUID()}:`)]
  const executor = new RedisExecutor(client, 10_000)
  const probeKey = { slot: 0, key: keys.generation, own: keys.probes[0] ?? '' }
  const probeOnce = async (isAsked = true, servers: string[] = [], noted = watermark) => {
    const mark = { watermark: noted, asked: isAsked ? servers : undefined }
    const { ageMs: _ageMs, ...probed } = await probe(executor, keys, probeKey, mark)
    return probed
  }
  const key = keys.watermark(keys.generation, watermark.replica)
  return { client, clock, watermark, keys, key, probeOnce }
}

t.test('a real Redis keeps the mark, and tells of its loss', async (t) => {
  const { client, clock, watermark, keys, key, probeOnce } = await onRedis(t)
  const first = await probeOnce()
  t.equal(await client.get(key), String(clock.now()))
  t.ok((await client.pttl(key)) > 0, 'the mark of a replica that is gone goes, too')
  await clock.pass(200)
  t.same(await probeOnce(true, ['another', first.server]), first, 'nothing has happened')
  t.equal(await client.get(key), String(clock.now()))
  const knownMs = clock.now()
  await clock.pass(200)
  await probeOnce(true, ['another'])
  t.equal(await client.get(key), String(knownMs), 'it is not the server that was asked')
  t.equal(watermark.sinceMs([keys.generation]), knownMs)
  await client.set(key, '1')
  const back = await probeOnce()
  t.equal(watermark.losses(keys.generation), 1)
  t.equal(back.generation, first.generation)
  t.equal(watermark.sinceMs([keys.generation]), 1)
  await client.flushall()
  t.not((await probeOnce(false)).generation, first.generation)
  t.equal(watermark.sinceMs([keys.generation]), -Infinity)
})

t.test('what a probe finds whose answer is lost, the next one finds, too', async (t) => {
  const { client, clock, watermark, keys, key, probeOnce } = await onRedis(t)
  for (let i = 0; i < 2; i++) {
    await probeOnce()
    await clock.pass(200)
  }
  const { replica } = watermark
  const next: Watermark['next'] = (...args) => watermark.next(...args)
  const unheard = { replica, next, note: () => {} } as unknown as Watermark
  t.equal(await client.del(keys.recent(key)), 1, 'as if it had expired before its time')
  await probeOnce(true, [], unheard)
  t.equal(watermark.losses(keys.generation), 0)
  await clock.pass(200)
  await probeOnce()
  t.equal(watermark.losses(keys.generation), 1)
  t.equal(watermark.sinceMs([keys.generation]), -Infinity, 'everything is told again')
  await clock.pass(200)
  await probeOnce()
  t.equal(watermark.losses(keys.generation), 1, 'once')
  t.equal(await client.get(key), String(clock.now()))
})
