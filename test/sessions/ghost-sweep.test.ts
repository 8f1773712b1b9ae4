/**
 * The sweep that goes on in the background, on real Redis: by itself, and by one replica at a time.
 */
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import { startAppOn } from '../helpers/app.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'

const redis = await startRedis(t)

/** A service that sweeps every second, with keys of its own. */
async function start (t: Test, prefix = `${randomUUID()}:`) {
  return await startAppOn(t, redis, { REDIS_KEY_PREFIX: prefix, GHOST_SWEEP_INTERVAL_SECONDS: '1' })
}

t.test('the background sweep removes ghosts and no session that exists', async (t) => {
  const app = await start(t)
  const { REDIS_KEY_PREFIX: prefix } = app.config
  await redis.cli('SET', `${prefix}session:there`, '{}')
  await redis.cli('SADD', `${prefix}user-sessions:alice`, 'ghost', 'there')
  await waitFor(async () => (await redis.cli('SCARD', `${prefix}user-sessions:alice`)) === '1', {
    what: 'the ghost to go'
  })
  t.equal(await redis.cli('SMEMBERS', `${prefix}user-sessions:alice`), 'there')
})

t.test(
  'while a sweep takes longer than the time between two, no other replica sweeps',
  async (t) => {
    const app = await start(t)
    let end = () => {}
    let begun = 0
    app.sweeper.sweep = async () => {
      begun++
      await new Promise<void>((resolve) => {
        end = resolve
      })
      return { users: 0, removed: 0 }
    }
    const lock = `${app.config.REDIS_KEY_PREFIX}session-sweep-lock`
    const leftMs = async () => await app.redis.pttl(lock)
    await waitFor(() => begun === 1, { what: 'the sweep to begin' })
    // Each time that the claim has become longer again, it was prolonged; after five thirds of a
    // second the first one is over.
    for (let prolonged = 0, beforeMs = await leftMs(); prolonged < 5;) {
      const nowMs = await leftMs()
      if (nowMs > beforeMs) prolonged++
      beforeMs = nowMs
      if (await app.sweeper.claimSweep(1000)) {
        return t.fail('another replica could claim the sweep')
      }
    }
    end()
    await waitFor(() => begun > 1, { what: 'the next sweep to begin when that one is over' })
    t.equal(begun, 2)
    end()
  }
)

t.test('the sweep forgets switch nodes whose sessions are all over', async (t) => {
  const app = await start(t)
  const { REDIS_KEY_PREFIX: prefix } = app.config
  const late = Date.now() + 3_600_000
  // The record of a session goes a minute after its lease: then only the index names its node.
  for (let i = 0; i < 3; i++) await redis.cli('ZADD', `${prefix}node-leases:gone-${i}`, '1', 'a x')
  const many = Array.from({ length: 450 }, (_, i) => ['1', `bob s-${i}`]).flat()
  await redis.cli('ZADD', `${prefix}node-leases:up`, ...many, String(late), 'alice s')
  await redis.cli('SET', `${prefix}node-leases:text`, 'not an index')
  await waitFor(
    async () => (await redis.cli('KEYS', `${prefix}node-leases:gone-*`)) === '' &&
      (await redis.cli('ZRANGE', `${prefix}node-leases:up`, '0', '-1')) === 'alice s',
    { what: 'the nodes to go' }
  )
  t.equal(await redis.cli('GET', `${prefix}node-leases:text`), 'not an index')
})
