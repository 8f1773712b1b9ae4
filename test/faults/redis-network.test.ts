/** The network between the service and Redis is bad. */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { startProxy, startRedis } from '../helpers/servers.ts'
import { conclude } from './matrix.ts'
import { measureOn } from './redis-rows.ts'

t.test('connections cut by CLIENT KILL', async (t) => {
  const redis = await startRedis(t)
  conclude(
    t,
    await measureOn(t, {
      fault: 'connections cut (CLIENT KILL, 10 times)',
      redis,
      inject: () => {},
      hold: async () => {
        for (let i = 0; i < 10; i++) {
          await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
          await sleep(300)
        }
      },
      clear: () => {}
    })
  )
})

t.test('a bad network', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis)
  const rows = [
    { fault: 'network resets every connection', inject: proxy.reset },
    { fault: 'network delays by 50 ms', inject: () => proxy.delay(50) },
    { fault: 'network delays by 3 s', inject: () => proxy.delay(3000) },
    { fault: 'network trickles (20 kB/s)', inject: () => proxy.trickle(20) },
    { fault: 'network swallows everything', inject: proxy.blackhole },
    {
      fault: 'network swallows a reply, 10 times',
      inject: () => {
        for (let i = 0; i < 10; i++) void proxy.swallowNextReply()
      }
    }
  ]
  for (const [i, { fault, inject }] of rows.entries()) {
    await t.test(fault, async (t) => {
      conclude(
        t,
        await measureOn(t, {
          fault,
          redis,
          via: proxy,
          inject,
          hold: 3000,
          clear: proxy.pass,
          load: { name: `net${i}` }
        })
      )
    })
  }
})
