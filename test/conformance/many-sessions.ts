/** What a store promises where very many sessions of a user have to end. */
import type { Contract } from './contract.ts'
import { admit, ask, everything, fill, hangUp, names } from './words.ts'

export const manySessions: Contract = {
  'a limit that is lowered by hundreds is kept by the next admission': async (t, start) => {
    const twin = await start({ session_limit_action: 'terminate_oldest' })
    const { sessions, limits } = twin
    await limits.setLimit('alice', 0)
    const ids = names('s', 560)
    await fill(twin, 'alice', ids.slice(0, 300))
    await admit(sessions, 'alice', 'urgent', { details: { emergency: true } })
    await fill(twin, 'alice', ids.slice(300))
    await limits.setLimit('alice', 3)
    const dry = await sessions.acquire(ask('alice', 'new', { dryRun: true }))
    t.match(dry, { outcome: 'admitted', limit: 3 })
    t.equal((await sessions.getCount('alice')).count, 561, 'a dry run ends none')
    const result = await admit(sessions, 'alice', 'new')
    t.match({ count: result.count, limit: result.limit }, { count: 3, limit: 3 })
    t.strictSame(result.terminated, ids.slice(0, 559), 'the oldest first')
    t.strictSame(await everything(twin, { username: 'alice' }), ['new', 's559', 'urgent'])
    const again = await sessions.acquire(ask('alice', 'new', { again: true }))
    t.match(again, { outcome: 'refreshed', count: 3 })
    t.strictSame('terminated' in again && again.terminated, ids.slice(0, 559), 'and told again')
    t.match(await sessions.acquire(ask('alice', 's000')), { outcome: 'ended' })
    t.match(await sessions.release(hangUp('new', 'alice')), { outcome: 'released' })
  },

  'where hundreds of emergency calls fill the limit, none ends': async (t, start) => {
    const twin = await start({ session_limit_action: 'terminate_oldest' })
    const { sessions, limits } = twin
    await fill(twin, 'alice', names('e', 260), { details: { emergency: true } })
    await limits.setLimit('alice', 2)
    t.match(await admit(sessions, 'alice', 'new'), { count: 261, limit: 2, terminated: [] })
  }
}
