import type { Contract } from './contract.ts'
import { admit, ask, strip, TTL } from './words.ts'

const BAR = { reason: 'fraud', expiresMs: undefined }

/** Call barring: whom it refuses, and whom it leaves alone. */
export const bars: Contract = {
  'a bar refuses every new call, whatever the limit, and takes nothing': async (t, start) => {
    const { sessions, limits } = await start()
    await limits.setLimit('alice', 0)
    await limits.setTemporaryLimit('alice', { limit: 9, duration: 60 })
    t.equal(await limits.setBar('alice', BAR), true)
    for (const attempt of [0, 1]) {
      t.strictSame(strip(await sessions.acquire(ask('alice', 'a', { attempt }))), {
        outcome: 'barred',
        count: 0,
        limit: 9,
        bar: BAR
      })
    }
    t.equal(await sessions.getSession('a'), null, 'what was refused is not there')
    t.match(await sessions.getCount('alice'), { count: 0 })
    t.match((await limits.getLimit('alice')).bar, BAR)
    t.match(await admit(sessions, 'Alice', 'b'), { count: 1 }, 'another user, by case')
    t.equal(await limits.removeBar('alice'), true)
    t.equal(await limits.removeBar('alice'), false, 'there is none any more')
    t.equal((await limits.getLimit('alice')).bar, undefined)
    t.match(await admit(sessions, 'alice', 'a'), { count: 1 }, 'the id was not ended')
  },

  'calls that are up go on under a bar: re-acquired, renewed, released': async (t, start) => {
    const { sessions, limits } = await start()
    await admit(sessions, 'alice', 'a')
    await limits.setBar('alice', BAR)
    t.equal((await sessions.acquire(ask('alice', 'a'))).outcome, 'refreshed')
    const renewals = [
      { sessionId: 'a', username: 'alice' },
      { sessionId: 'b', username: 'alice' }
    ]
    const renewed = await sessions.renew(renewals, TTL)
    t.strictSame(renewed.map(({ outcome }) => outcome), ['renewed', 'reregistered'])
    t.match(await sessions.getCount('alice'), { count: 2 })
    t.equal((await sessions.acquire(ask('alice', 'c'))).outcome, 'barred')
    const { terminated, spared } = await sessions.terminateUser('alice', 'fraud', false)
    t.strictSame([terminated.sort(), spared], [['a', 'b'], []])
    t.equal((await sessions.acquire(ask('alice', 'a', { attempt: 1 }))).outcome, 'barred')
  },

  'an emergency call passes a bar, and a dry run is refused by it': async (t, start) => {
    const { sessions, limits } = await start()
    await limits.setBar('alice', BAR)
    t.equal((await sessions.acquire(ask('alice', 'a', { dryRun: true }))).outcome, 'barred')
    const emergency = ask('alice', 'a', { details: { emergency: true } })
    t.match(await sessions.acquire(emergency), { outcome: 'admitted', count: 1 })
  },

  'under terminate_oldest a bar ends nothing': async (t, start) => {
    const { sessions, limits } = await start({ session_limit_action: 'terminate_oldest' })
    await limits.setLimit('alice', 1)
    await admit(sessions, 'alice', 'a')
    await limits.setBar('alice', BAR)
    t.equal((await sessions.acquire(ask('alice', 'b'))).outcome, 'barred')
    t.ok(await sessions.getSession('a'), 'the call goes on')
  },

  'where nothing is refused, a bar refuses nothing: observe says so': async (t, start) => {
    const watching = await start({ session_limit_action: 'observe' })
    await watching.limits.setBar('alice', BAR)
    t.match(await admit(watching.sessions, 'alice', 'a'), { observed: true, count: 1 })
    const off = await start({ enabled: false })
    await off.limits.setBar('alice', BAR)
    t.match(await admit(off.sessions, 'alice', 'a'), { observed: false, count: 1 })
  },

  'a bar with an end ends by itself, and one that is over is none': async (t, start) => {
    const { sessions, limits, now, pass } = await start()
    const at = await now()
    t.equal(await limits.setBar('alice', { reason: '', expiresMs: at - 1 }), false)
    t.equal((await limits.getLimit('alice')).bar, undefined, 'nothing has changed')
    const bar = { reason: 'a\ncase', expiresMs: at + 600 }
    t.equal(await limits.setBar('alice', bar), true)
    t.strictSame((await limits.getLimit('alice')).bar, bar)
    t.equal((await sessions.acquire(ask('alice', 'a'))).outcome, 'barred')
    await pass(700)
    t.equal((await limits.getLimit('alice')).bar, undefined)
    t.match(await admit(sessions, 'alice', 'a'), { count: 1 })
    t.equal(await limits.removeBar('alice'), false)
  }
}
