/** Redis is there and away by turns, faster than anybody should react to. */
import t from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { startRedis } from '../helpers/servers.ts'
import { conclude } from './matrix.ts'
import { measureOn } from './redis-rows.ts'

t.test('blinking', async (t) => {
  for (const mode of ['local', 'deny'] as const) {
    const redis = await startRedis(t)
    const measured = await measureOn(t, {
      fault: `Redis blinking every 300 ms for 30 s, \`${mode}\``,
      redis,
      env: { OUTAGE_MODE: mode },
      refuses: mode === 'deny',
      inject: () => {},
      hold: async () => {
        for (const endMs = performance.now() + 30_000; performance.now() < endMs;) {
          redis.pause()
          await sleep(300)
          redis.resume()
          await sleep(300)
        }
      },
      clear: () => {}
    })
    t.ok(
      measured.readinessChanges <= 2,
      `readiness changed ${measured.readinessChanges} times, at most twice`
    )
    measured.row.note = `readiness changed ${measured.readinessChanges} times`
    conclude(t, measured)
  }
})
