import type { Check, Raw, World } from './check-store.ts'

/** A check of what only a switch writes, or only Redis shows. */
export function onRedis (
  check: (store: World, is: Parameters<Check>[1], raw: Raw) => Promise<void>
): Check {
  return async (store, is) => {
    if (store.raw !== null) await check(store, is, store.raw)
  }
}

/**
 * What a switch writes when a call begins; without `created`, what is left of a call that is gone.
 */
async function external (
  { keys, command }: Raw,
  user: string,
  id: string,
  created?: number | string
): Promise<void> {
  await command('SADD', keys.user('user-sessions', user), id)
  if (created !== undefined) {
    await command(
      'SET',
      keys.session(id),
      JSON.stringify({ session_id: id, username: user, created_at: created })
    )
  }
}

/** Checks of what is shared with the switch, and of what lies in Redis. */
export const redisChecks: Record<string, Check> = {
  'external sessions count, and those that are leases, too, count once': onRedis(
    async (store, is, raw) => {
      await external(raw, 'ann', 'x0', 1)
      is(await store.count('ann'), '0+1/2')
      is(await store.acquire('ann', 's0'), 'admitted 2/2')
      await external(raw, 'ann', 's0', 2)
      is(await store.count('ann'), '1+1/2')
      is(await store.acquire('ann', 's1'), 'limit_reached 2/2')
      await store.subject.limits.setLimit('ann', 3)
      is(await store.acquire('ann', 's1'), 'admitted 3/3')
      is(await store.release('x0', 'ann'), 'released')
      is(await store.count('ann'), '2+0/3')
      is(await store.acquire('ann', 'x0'), 'ended')
    }
  ),
  'an external session that asks for a lease has its slot already': onRedis(
    async (store, is, raw) => {
      await external(raw, 'ann', 'x0', 1)
      await external(raw, 'ann', 'x1', 2)
      is(await store.acquire('ann', 'x0'), 'admitted 2/2')
      is(await store.count('ann'), '1+1/2')
    }
  ),
  'a node whose index still names a session that has moved does not release it': onRedis(
    async (store, is, { keys, command }) => {
      await store.acquire('ann', 's0', { node: 'n2' })
      await command('ZADD', keys.nodeLeases('n1'), '9999999999999', 'ann s0')
      is(await store.report('n1', 1, []), '0/0/0')
      is(await store.sessions('ann'), ['s0'])
    }
  ),
  'a ghost takes no slot, and sessions that are up stay': onRedis(async (store, is, raw) => {
    await external(raw, 'ann', 'x0', 1)
    await external(raw, 'ann', 'x1')
    is(await store.acquire('ann', 's0'), 'admitted 2/2')
    is(await store.acquire('ann', 's1'), 'limit_reached 2/2')
    is(await store.sessions('ann'), ['s0', 'x0'])
  }),
  'external sessions are terminated after all leases, the oldest first': onRedis(
    async (store, is, raw) => {
      await store.subject.policy.update({
        max_sessions_per_user: 5,
        session_limit_action: 'terminate_oldest'
      })
      await external(raw, 'ann', 'x0', '1970-01-01T01:03:20+00:30')
      await external(raw, 'ann', 'x1', 1000)
      await external(raw, 'ann', 'x2', 3000)
      await store.acquire('ann', 's0')
      await store.subject.limits.setLimit('ann', 2)
      is(await store.acquire('ann', 's1'), 'admitted 2/2 ending s0 x1 x0')
      is(await store.sessions('ann'), ['s1', 'x2'])
    }
  ),
  'a limit that is not a decimal integer does not count': onRedis(
    async (store, is, { keys, command }) => {
      for (const text of ['0x10', '1e1', 'nan', '12345678901']) {
        await command('SET', keys.user('user-limit', 'ann'), text)
        is(await store.acquire('ann', 's0', { dryRun: true }), 'admitted 1/2')
      }
    }
  ),
  'a sweep removes expired leases and ghosts, and nothing else': onRedis(async (store, is, raw) => {
    const { keys, command } = raw
    await store.acquire('ann', 's0', { node: 'n1' })
    await store.acquire('ann', 's1', { node: 'n1', ttlMs: 80_000 })
    await external(raw, 'bob', 'x0')
    await external(raw, 'bob', 'x1', 1)
    await store.pass(64)
    await store.subject.sessions.sweep(1)
    is(await command('ZRANGE', keys.user('user-leases', 'ann'), 0, -1), ['s1'])
    is(await command('ZRANGE', keys.nodeLeases('n1'), 0, -1), ['ann s1'])
    is(await command('SMEMBERS', keys.user('user-sessions', 'bob')), ['x1'])
  }),
  'a lease whose record is lost ends when its user is named': onRedis(
    async (store, is, { keys, command }) => {
      const by = (boundTo?: string) => (boundTo === undefined ? {} : { boundTo })
      const lost = async (boundTo?: string) => {
        await command('DEL', keys.lease('ann', 's0'))
        await command('ZADD', keys.user('user-leases', 'ann'), '9999999999999', 's0')
        is(await store.release('s0', undefined, by(boundTo)), 'unknown')
      }
      for (const [endedBy, releasedBy, outcome] of [
        [undefined, undefined, 'released'],
        ['n1', undefined, 'released'],
        [undefined, 'n1', 'released'],
        ['n1', 'n1', 'unknown']
      ] as const) {
        await lost(endedBy)
        is(await store.release('s0', 'ann', by(releasedBy)), outcome)
        is(await store.count('ann'), outcome === 'released' ? '0+0/2' : '1+0/2')
      }
      await command('DEL', keys.lease('bob', 's0'))
      is(await store.acquire('bob', 's0'), 'admitted 1/2')
      is(await store.release('s0'), 'released')
      is(await store.release('s0', 'ann'), 'unknown')
      is(await store.count('ann'), '1+0/2')
    }
  ),
  'no key is left when all sessions have ended and are forgotten': onRedis(
    async (store, is, { keys, command }) => {
      await store.acquire('ann', 's0', { node: 'n1' })
      await store.acquire('ann', 's1', { node: 'n1' })
      await store.renew('ann', 's1', { node: 'n2' })
      await store.subject.limits.setTemporaryLimit('ann', { limit: 1, duration: 16 })
      await store.release('s0')
      await store.pass(64)
      await store.subject.sessions.sweep(1)
      await store.pass(3616)
      const left = [
        keys.lease('ann', 's0'),
        keys.lease('ann', 's1'),
        keys.nodeLeases('n1'),
        keys.nodeLeases('n2'),
        keys.user('user-leases', 'ann'),
        keys.user('user-temporary-limit', 'ann')
      ]
      is(await command('EXISTS', ...left), 0)
    }
  ),
  'a dry run leaves no key behind': onRedis(async (store, is, { keys, command }) => {
    await store.subject.policy.update({
      max_sessions_per_user: 1,
      session_limit_action: 'terminate_oldest'
    })
    await store.acquire('ann', 's0')
    is(await store.acquire('ann', 's1', { dryRun: true }), 'admitted 1/1 ending s0')
    is(await command('EXISTS', keys.lease('ann', 's1')), 0)
  }),
  'a later attempt is written as one that was there from the beginning': onRedis(
    async (store, is, { keys, command }) => {
      const details = { from: 'sip:ann@example.net', emergency: true }
      const [ordinary, urgent] = [{ ...details, emergency: undefined }, details]
      const behindStart = async (id: string) =>
        String(await command('GET', keys.lease('ann', id))).replace(/^\S+ \d+ /, '')
      for (const [first, later, its] of [
        ['s0', 's1', ordinary],
        ['s2', 's3', urgent]
      ] as const) {
        await store.acquire('ann', first, { attempt: 12, details: its })
        await store.acquire('ann', later, { details: its })
        await store.acquire('ann', later, { attempt: 12 })
        is(await behindStart(later), await behindStart(first))
        await store.renew('ann', later, { attempt: 13, node: 'n1' })
        is(await behindStart(later), `n1${(await behindStart(first)).replace('12', '13')}`)
      }
    }
  ),
  'a policy of another type is replaced': onRedis(async (store, is, { keys, command }) => {
    await command('SET', keys.policy, 'x')
    await store.subject.policy.update({ max_sessions_per_user: 3 })
    is(await command('HGETALL', keys.policy), ['max_sessions_per_user', '3'])
  })
}
