/**
 * What one request may cost the others at the most: the dearest ones of each route, on a Redis with
 * 100,000 users. Bounds in milliseconds need a machine that does nothing else: `npm run
 * test:costs`. COSTS, a regular expression, picks some of the requests.
 */
import { writeFileSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { startRedis } from '../helpers/servers.ts'
import { tableOf, type Cost } from './meter.ts'
import { name } from './requests.ts'

/** What promise 10 allows: milliseconds of the event loop and of Redis, growth by the body. */
const [MOST_LOOP_MS, MOST_REDIS_MS, MOST_GROWTH] = [50, 20, 16]
/** What a process grows by whatever the body, in MiB; scrypt takes 128 for a login. */
const [GROUND_MIB, LOGIN_MIB] = [64, 192]
/** How much of large bodies is in use at one time. */
const MOST_AT_ONCE_MIB = 32
const USERS = 100_000

await t.test('what each request costs', async (t) => {
  const redis = await startRedis(t)
  await redis.load(Buffer.from([...commands()].join('')))
  const only = process.env['COSTS']
  const costs: Cost[] = []
  // In a thread of its own: tap watches every promise in this one, at a price.
  const worker = new Worker(new URL('worker.ts', import.meta.url), {
    workerData: { redisUrl: redis.url, only }
  })
  t.teardown(async () => await worker.terminate())
  worker.on('message', (cost: Cost) => costs.push(cost))
  await new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject))
  for (const { what, status, wanted, loopMs, redisMs, command, ...cost } of costs) {
    t.equal(status, wanted, what)
    t.ok(loopMs <= MOST_LOOP_MS, `${what}: ${loopMs.toFixed()} ms of the event loop`)
    t.ok(redisMs <= MOST_REDIS_MS, `${what}: ${redisMs.toFixed(1)} ms of Redis, ${command}`)
    const grown = cost.grownMiB - (what === 'a login' ? LOGIN_MIB : GROUND_MIB)
    const room = Math.min(cost.bodyMiB * cost.atOnce, MOST_AT_ONCE_MIB)
    t.ok(grown <= MOST_GROWTH * room, `${what}: grown by ${cost.grownMiB.toFixed()} MiB`)
  }
  t.ok(costs.length > 0)
  t.comment(`\n${tableOf(costs)}`)
  if (only === undefined) writeFileSync('.cache/costs.md', `${tableOf(costs)}\n`)
})

/** What is there before: users with a session each, users and nodes with very many. */
function * commands (): Generator<string> {
  const prefix = 'voice-ferry-c4:'
  const end = Date.now() + 3_600_000
  for (let i = 0; i < USERS; i++) {
    yield `ZADD ${prefix}user-leases:user-${i} ${end} s-${i}\r\n`
    yield `SET ${prefix}user-limit:user-${i} 5\r\n`
    for (const user of ['big', 'huge', 'dry']) {
      yield `ZADD ${prefix}user-leases:${user} ${end + i} ${user}-${i}\r\n`
      yield `SET ${prefix}session-lease:${user}-${i} "+${user} ${end - i} n1 " PX 3600000\r\n`
    }
    yield `ZADD ${prefix}node-leases:n1 ${end + i} "big big-${i}"\r\n`
    if (i >= 20_000) continue
    const [id, user] = [name(USERS + i, 512), name(USERS + i, 256)]
    yield `ZADD ${prefix}user-leases:${user} ${end} ${id}\r\n`
    yield `SET ${prefix}session-lease:${id} "+${user} 0 n3 " PX 3600000\r\n`
    yield `ZADD ${prefix}node-leases:n3 ${end} "${user} ${id}"\r\n`
  }
}
