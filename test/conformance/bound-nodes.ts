/** What a store promises of callers that are bound to a switch node. */
import type { Contract } from './contract.ts'
import { admit, ask, everything, hangUp, outcomes, reported, TTL } from './words.ts'

const forbidden = { outcome: 'forbidden' }

export const boundNodes: Contract = {
  'a caller that is bound to a node touches no session of another': async (t, start) => {
    const twin = await start()
    const { sessions } = twin
    await admit(sessions, 'alice', 'theirs', { node: 'n1', boundTo: 'n1' })
    await admit(sessions, 'bob', 'free')
    await admit(sessions, 'alice', 'mine', { node: 'n2', boundTo: 'n2' })
    const bound = { node: 'n2', boundTo: 'n2' }
    const only = { boundTo: 'n2' }
    const before = [await sessions.getSession('theirs'), await sessions.getSession('free')]
    for (const [username, sessionId] of [
      ['alice', 'theirs'],
      ['bob', 'free']
    ] as const) {
      t.match(await sessions.acquire(ask(username, sessionId, bound)), forbidden, sessionId)
      const later = { ...bound, attempt: 7 }
      t.match(await sessions.acquire(ask(username, sessionId, later)), forbidden)
      const dry = { ...bound, dryRun: true }
      t.match(await sessions.acquire(ask(username, sessionId, dry)), forbidden)
      const items = [{ username, sessionId, ...bound }]
      t.strictSame(outcomes(await sessions.renew(items, TTL)), ['forbidden'])
      t.match(await sessions.release(hangUp(sessionId, username, only)), forbidden)
      t.match(await sessions.release(hangUp(sessionId, undefined, only)), forbidden)
      const report = { node: 'n2', epoch: 1, sessions: items }
      t.match(await sessions.reconcileNode(reported(report)), forbidden)
    }
    t.strictSame([await sessions.getSession('theirs'), await sessions.getSession('free')], before)
    t.strictSame(await everything(twin), ['free', 'mine', 'theirs'])
    const mine = [{ username: 'alice', sessionId: 'mine', ...bound }]
    t.strictSame(outcomes(await sessions.renew(mine, TTL)), ['renewed'])
    t.match(await sessions.acquire(ask('alice', 'mine', bound)), { outcome: 'refreshed' })
    t.match(await sessions.release(hangUp('mine', undefined, only)), { outcome: 'released' })
    t.match(await sessions.acquire(ask('alice', 'mine', bound)), { outcome: 'ended' })
  },

  'a batch that names a session of another node renews nothing of that user': async (t, start) => {
    const { sessions, pass } = await start()
    await admit(sessions, 'alice', 'theirs', { node: 'n1' })
    await admit(sessions, 'alice', 'mine', { node: 'n2' })
    const before = await sessions.getSession('mine')
    await pass(10)
    const items = ['mine', 'theirs', 'new'].map((sessionId) =>
      ({ username: 'alice', sessionId, node: 'n2', boundTo: 'n2' }))
    t.ok(outcomes(await sessions.renew(items, TTL)).includes('forbidden'))
    t.strictSame(await sessions.getSession('mine'), before)
    t.equal(await sessions.getSession('new'), null)
  },

  'an unknown id that a bound caller ends has ended for its node only': async (t, start) => {
    const { sessions } = await start()
    for (const username of ['alice', undefined]) {
      const id = `call-${username}`
      t.match(await sessions.release(hangUp(id, username, { boundTo: 'n2' })), {
        outcome: 'unknown'
      })
      t.match(await sessions.acquire(ask('alice', id, { node: 'n2' })), { outcome: 'ended' })
      const item = { username: 'alice', sessionId: id }
      t.strictSame(outcomes(await sessions.renew([{ ...item, node: 'n2' }], TTL)), ['ended'])
      await admit(sessions, 'alice', id, { node: 'n1' })
      t.strictSame(outcomes(await sessions.renew([{ ...item, node: 'n1' }], TTL)), ['renewed'])
      t.match(await sessions.getSession(id), { node: 'n1' })
    }
    await sessions.release(hangUp('wide', 'alice', { boundTo: 'n2', attempt: 1 }))
    await sessions.release(hangUp('wide', 'alice', { attempt: 1 }))
    const first = { node: 'n1', attempt: 1 }
    t.match(await sessions.acquire(ask('alice', 'wide', first)), { outcome: 'ended' })
  },

  'the end of a session is not widened by a caller of another node': async (t, start) => {
    const { sessions } = await start()
    await admit(sessions, 'alice', 'call', { node: 'n1', attempt: 1 })
    await sessions.release(hangUp('call', 'alice', { boundTo: 'n1', attempt: 1 }))
    await sessions.release(hangUp('call', 'alice', { boundTo: 'n2', attempt: 9 }))
    const first = { node: 'n1', attempt: 1 }
    t.match(await sessions.acquire(ask('alice', 'call', first)), { outcome: 'ended' })
    await admit(sessions, 'alice', 'call', { node: 'n1', attempt: 2 })
  },

  'a call that lapsed is left to its own node': async (t, start) => {
    const { sessions, pass } = await start()
    const from = { from: 'sip:alice@example.net' }
    await admit(sessions, 'alice', 'late', { node: 'n1', details: from, ttlMs: 20 })
    await pass(21)
    t.match(await sessions.release(hangUp('late', 'alice', { boundTo: 'n2' })), {
      outcome: 'unknown'
    })
    const item = { username: 'alice', sessionId: 'late', node: 'n1', boundTo: 'n1' }
    t.strictSame(outcomes(await sessions.renew([item], TTL)), ['reregistered'])
    t.match(await sessions.getSession('late'), { details: from, node: 'n1' })
  }
}
