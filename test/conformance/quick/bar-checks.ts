import type { Check } from './check-store.ts'
import { onRedis } from './redis-checks.ts'

/** Promises about call barring, on a Redis. */
export const barChecks: Record<string, Check> = {
  'a bar refuses every call but an emergency, until it is removed': onRedis(async (store, is) => {
    const { limits, policy } = store.subject
    const bar = { reason: 'fraud', expiresMs: undefined }
    is(await store.acquire('ann', 's0'), 'admitted 1/2')
    is(await limits.setBar('ann', bar), true)
    is(await store.acquire('ann', 's0'), 'refreshed 1/2')
    is(await store.acquire('ann', 's1'), 'barred 1/2')
    is(await store.acquire('ann', 's2', { details: { emergency: true } }), 'admitted 2/2')
    is(await store.release('s2'), 'released')
    is(await limits.removeBar('ann'), true)
    is(await store.acquire('ann', 's1'), 'admitted 2/2')
    is(await limits.setBar('bob', bar), true)
    await policy.update({ session_limit_action: 'observe' })
    is(await store.acquire('bob', 'b0'), 'admitted 1/2 observed')
  }),
  'a bar ends by itself, and one that is over is none': onRedis(async (store, is, raw) => {
    const { limits } = store.subject
    const { keys, command } = raw
    const expiresMs = Number(((await command('TIME')) as [string])[0]) * 1000 + 60_000
    is(await limits.setBar('ann', { reason: '', expiresMs: 1 }), false)
    is(await store.acquire('ann', 's0'), 'admitted 1/2')
    is(await limits.setBar('ann', { reason: '', expiresMs }), true)
    is(await store.acquire('ann', 's1'), 'barred 1/2')
    is(await command('PEXPIRETIME', keys.user('user-bar', 'ann')), expiresMs)
  })
}
