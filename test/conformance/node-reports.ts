import type { Lease } from '../../services/sessions/lease.ts'
import type { NodeReconciliation, ReconcileResult } from '../../services/sessions/session-store.ts'
import type { Contract } from './contract.ts'
import {
  admit,
  ask,
  endOf,
  everything,
  FOREVER,
  names,
  pages,
  shown,
  strip,
  TTL,
  hangUp, reported
} from './words.ts'

/** What a node's report renews, registers and frees. */
export const nodeReports: Contract = {
  'a report renews what is known, registers what is new and frees what it lacks': async (
    t,
    start
  ) => {
    const twin = await start()
    const { sessions, now } = twin
    const listed = (...ids: string[]) => ids.map((id) => ({ sessionId: id, username: 'alice' }))
    const report = async (epoch: number, ids: string[]) =>
      strip(
        await sessions.reconcileNode(reported({
          node: 'n1',
          epoch,
          sessions: listed(...ids),
          ttlMs: TTL,
          asOfMs: FOREVER
        }))
      )
    const done = (tally: Partial<ReconcileResult>) => ({
      outcome: 'reconciled',
      renewed: 0,
      registered: 0,
      released: 0,
      ended: [],
      conflicts: [],
      ...tally
    })

    await admit(sessions, 'alice', 'known', { node: 'n1', ttlMs: 10_000 })
    await admit(sessions, 'alice', 'dropped', { node: 'n1' })
    await admit(sessions, 'alice', 'elsewhere', { node: 'n2' })
    await admit(sessions, 'alice', 'nowhere')
    await admit(sessions, 'bob', 'bobs', { node: 'n2' })
    await admit(sessions, 'alice', 'over')
    await sessions.release(hangUp('over'))
    const before = await now()
    t.strictSame(
      await report(1, ['known', 'missing', 'over', 'bobs', 'nowhere']),
      done({
        renewed: 2,
        registered: 1,
        released: 1,
        ended: ['over'],
        conflicts: ['bobs']
      })
    )
    t.strictSame(await everything(twin, { username: 'alice' }), [
      'elsewhere',
      'known',
      'missing',
      'nowhere'
    ])
    t.strictSame(
      await everything(twin, { node: 'n1' }),
      ['known', 'missing', 'nowhere'],
      'what it reports is on it now'
    )
    t.ok(endOf(await sessions.getSession('known')) >= before + TTL)
    t.equal(await sessions.getSession('dropped'), null)

    t.strictSame(
      await report(1, ['known', 'missing', 'nowhere', 'elsewhere']),
      done({ renewed: 4 })
    )
    t.strictSame(
      await everything(twin, { node: 'n2' }),
      ['bobs'],
      'a session that moved is on one node only'
    )
    t.match(
      await sessions.reconcileNode(reported({
        node: 'n2',
        epoch: 7,
        sessions: [],
        ttlMs: TTL,
        asOfMs: FOREVER
      })),
      { released: 1 }
    )
    t.equal(
      shown(await sessions.getSession('elsewhere'))?.node,
      'n1',
      'and its old node cannot end it'
    )

    t.strictSame(
      await report(5, ['known', 'fresh']),
      done({ renewed: 1, registered: 1, released: 3 }),
      'a restart ends what the old one held'
    )
    t.strictSame(await report(4, []), { outcome: 'stale_epoch', epoch: 5 })
    t.strictSame(
      await everything(twin, { node: 'n1' }),
      ['fresh', 'known'],
      'a report from before the restart ends nothing'
    )
    t.strictSame(await report(5, []), done({ released: 2 }))
    t.strictSame(await report(5, []), done({}))
    t.strictSame(await report(Number.MAX_SAFE_INTEGER, []), done({}))
    t.strictSame(await report(Number.MAX_SAFE_INTEGER - 1, []), {
      outcome: 'stale_epoch',
      epoch: Number.MAX_SAFE_INTEGER
    })
  },

  'a report brings details, goes over the limit, and may list a session twice': async (
    t,
    start
  ) => {
    const { sessions } = await start({ max_sessions_per_user: 1 })
    const details = {
      callId: 'c',
      from: 'sip:ä@b',
      direction: 'inbound' as const,
      metadata: { n: 1 },
      emergency: true
    }
    const list = [
      ...names('s', 4).map((sessionId) => ({ sessionId, username: 'alice', details })),
      { sessionId: 's000', username: 'alice' }
    ]
    t.match(
      await sessions.reconcileNode(reported({
        node: 'n1',
        epoch: 0,
        sessions: list,
        ttlMs: TTL,
        asOfMs: FOREVER
      })),
      {
        registered: 4,
        renewed: 1
      }
    )
    t.match(await sessions.getSession('s000'), { details, node: 'n1' })
    t.equal((await sessions.getCount('alice')).count, 4)
  },

  'a report of 620 sessions is as exact as a short one': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 0 })
    const { sessions } = twin
    const many = names('m', 620).map((sessionId, i) => ({ sessionId, username: `user${i % 7}` }))
    const report = async (list: typeof many) =>
      await sessions.reconcileNode(reported({
        node: 'n1',
        epoch: 1,
        sessions: list,
        ttlMs: TTL,
        asOfMs: FOREVER
      }))
    t.match(await report(many), {
      registered: 620,
      renewed: 0,
      released: 0,
      conflicts: [],
      ended: []
    })
    t.match(await report(many), { registered: 0, renewed: 620, released: 0 })
    // The same id again, in another call than the first time.
    t.match(await report([...many.slice(1), ...many.slice(1, 3)]), {
      registered: 0,
      renewed: 621,
      released: 1
    })
    await sessions.release(hangUp('m300'))
    t.match(await report(many.slice(0, 500)), {
      registered: 1,
      renewed: 498,
      released: 120,
      ended: ['m300']
    })
    t.equal((await everything(twin, { node: 'n1' })).length, 499)
  },

  'a report that gives an id to another user than its holder is a conflict': async (t, start) => {
    const { sessions, partitioned } = await start()
    await admit(sessions, 'alice', 'x', { node: 'n1' })
    const result = await sessions.reconcileNode(reported({
      node: 'n1',
      epoch: 1,
      sessions: [{ sessionId: 'x', username: 'bob' }],
      ttlMs: TTL,
      asOfMs: FOREVER
    }))
    if (result.outcome !== 'reconciled') return t.fail(result.outcome)
    t.match(result, { registered: 0, released: 1 })
    // In a cluster whose it was and whether it has ended are looked up side by side.
    t.strictSame([...result.conflicts, ...(partitioned ? result.ended : [])], ['x'])
    t.equal((await sessions.getCount('bob')).count, 0)
  },

  'a report spares what started after the list was taken': async (t, start) => {
    const twin = await start()
    const { sessions, now, pass } = twin
    await admit(sessions, 'alice', 'old', { node: 'n1' })
    await pass(5)
    const asOfMs = await now()
    await pass(5)
    await admit(sessions, 'alice', 'young', { node: 'n1' })
    const report = { node: 'n1', epoch: 1, sessions: [], ttlMs: TTL }
    t.match(await sessions.reconcileNode(reported({ ...report, asOfMs })), {
      outcome: 'reconciled',
      released: 1
    })
    t.strictSame(await everything(twin, { node: 'n1' }), ['young'])
    const again = reported({ ...report, asOfMs: await now() })
    t.match(await sessions.reconcileNode(again), { released: 1 })
  },

  'a report does not count expired leases as released': async (t, start) => {
    const { sessions, pass } = await start()
    await admit(sessions, 'alice', 'a', { node: 'n1', ttlMs: 50 })
    await pass(51)
    t.match(
      await sessions.reconcileNode(reported({
        node: 'n1',
        epoch: 1,
        sessions: [],
        ttlMs: TTL,
        asOfMs: FOREVER
      })),
      { released: 0 }
    )
    t.match(await sessions.renew([{ sessionId: 'a', username: 'alice' }], TTL), [
      { outcome: 'reregistered' }
    ])
  },

  'what a report lacks has lost its slot, and has not ended': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 3 })
    const { sessions, pass } = twin
    const details = { callId: 'c' }
    for (const id of ['a', 'b', 'c']) {
      await admit(sessions, 'alice', id, { node: 'n1', attempt: 4, details })
    }
    const before = await sessions.getSession('a')
    const list = ['a', 'b', 'c'].map((sessionId) => ({ sessionId, username: 'alice' }))
    const about = { node: 'n1', epoch: 1 }
    await pass(5)
    t.match(await sessions.reconcileNode(reported({ ...about, sessions: [] })), {
      released: 3,
      ended: []
    })
    t.strictSame(await everything(twin), [])
    t.strictSame(await everything(twin, { node: 'n1' }), [])
    t.equal((await sessions.getCount('alice')).count, 0)
    t.equal(await sessions.getSession('a'), null)
    t.match(await sessions.reconcileNode(reported({ ...about, sessions: list })), {
      renewed: 0,
      registered: 3,
      released: 0,
      ended: [],
      conflicts: []
    })
    const { expiresMs: _ends, ...again } = (await sessions.getSession('a')) as Lease
    t.match(before, again, 'it is the call that it was')
    t.strictSame(await everything(twin), ['a', 'b', 'c'])
    await sessions.reconcileNode(reported({ ...about, sessions: [] }))
    t.match(await sessions.renew([{ sessionId: 'a', username: 'alice' }], TTL), [
      { outcome: 'reregistered' }
    ])
    t.match(await sessions.acquire(ask('bob', 'b')), { outcome: 'admitted' })
    t.match(await sessions.release(hangUp('c')), { outcome: 'unknown' })
    t.strictSame(await sessions.acquire(ask('alice', 'c', { attempt: 4 })), { outcome: 'ended' })
  },

  'a report spares what is younger than it says, by any of its ways to say so': async (
    t,
    start
  ) => {
    const twin = await start()
    const { sessions, now, pass } = twin
    await admit(sessions, 'alice', 'call', { node: 'n1' })
    await pass(20)
    const about = { node: 'n1', epoch: 1, sessions: [] }
    const released = async (more: Partial<NodeReconciliation>) => {
      const result = await sessions.reconcileNode(reported({ ...about, ...more }))
      return 'released' in result ? result.released : result.outcome
    }
    t.equal(await released({ youngMs: 60_000 }), 0)
    t.equal(await released({ ageMs: 60_000 }), 0)
    t.equal(await released({ asOfMs: (await now()) - 60_000 }), 0)
    t.equal(await released({ asOfMs: FOREVER, youngMs: 60_000 }), 0, 'the future counts as now')
    t.equal(await released({ youngMs: 5 }), 1)
  },

  'a list that comes in parts frees what no part has, with the last': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 0 })
    const { sessions, pass } = twin
    const list = (...ids: string[]) => ids.map((sessionId) => ({ sessionId, username: 'alice' }))
    const send = async (number: number, of: number, ids: string[], more = {}) =>
      await sessions.reconcileNode(
        reported({ node: 'n1', epoch: 1, sessions: list(...ids), part: { number, of }, ...more })
      )
    await sessions.reconcileNode(
      reported({ node: 'n1', epoch: 1, sessions: list('a', 'b', 'c', 'd') })
    )
    await pass(5)
    t.strictSame(await send(2, 2, ['a']), { outcome: 'incomplete' }, 'part 2 without part 1')
    t.match(await send(1, 3, ['a']), { renewed: 1, released: 0 })
    t.strictSame(await send(3, 3, []), { outcome: 'incomplete' }, 'part 3 without part 2')
    t.strictSame(await send(2, 2, []), { outcome: 'incomplete' }, 'another number of parts')
    t.strictSame(await send(2, 3, [], { epoch: 2 }), { outcome: 'incomplete' })
    t.strictSame(await everything(twin), ['a', 'b', 'c', 'd'], 'nothing was freed')

    const inTwo = { epoch: 2, total: 3 }
    t.match(await send(1, 2, ['a', 'b'], inTwo), { renewed: 2, released: 0 })
    t.match(await send(1, 2, ['a', 'b'], inTwo), { renewed: 2, released: 0 }, 'asked again')
    t.match(await send(2, 2, ['c'], inTwo), { renewed: 1, released: 1, ended: [] })
    t.strictSame(await everything(twin), ['a', 'b', 'c'])
    await send(1, 2, ['a'], { ...inTwo, total: 9 })
    t.strictSame(await send(2, 2, ['b'], { ...inTwo, total: 9 }), { outcome: 'incomplete' })
    t.strictSame(await everything(twin), ['a', 'b', 'c'], 'a wrong total frees nothing')
    await send(1, 2, ['a'], { ...inTwo, total: 9 })
    t.strictSame(await send(2, 2, ['b'], { epoch: 2 }), { outcome: 'incomplete' })
    t.strictSame(await everything(twin), ['a', 'b', 'c'], 'nor does one that came with part 1')
  },

  'a list with an earlier attempt than the live one has nobody hang up': async (t, start) => {
    const twin = await start()
    const { sessions, pass } = twin
    await admit(sessions, 'alice', 'call', { attempt: 2, node: 'n1', ttlMs: 200 })
    await pass(5)
    const late = [{ sessionId: 'call', username: 'alice', attempt: 1 }]
    const told = async () => {
      const about = reported({ node: 'n1', epoch: 1, sessions: late })
      return strip(await sessions.reconcileNode(about))
    }
    const nothing = { renewed: 0, registered: 0, released: 0, ended: [] as string[], conflicts: [] }
    const done = { outcome: 'reconciled', ...nothing }
    t.strictSame(await told(), done, 'it is live')
    t.match(await sessions.getSession('call'), { attempt: 2, node: 'n1' })
    await pass(200)
    t.strictSame(await told(), done, 'it may be renewed yet')
    await sessions.release(hangUp('call', 'alice', { attempt: 2 }))
    t.strictSame(await told(), { ...done, ended: ['call'] })
    t.strictSame(await everything(twin), [])
  },

  'a part that follows a whole list is missing its first': async (t, start) => {
    const twin = await start()
    const list = (...ids: string[]) => ids.map((sessionId) => ({ sessionId, username: 'alice' }))
    const send = async (ids: string[], part?: NodeReconciliation['part']) =>
      await twin.sessions.reconcileNode(
        reported({ node: 'n1', epoch: 1, sessions: list(...ids), part })
      )
    await send(['a', 'b'])
    await twin.pass(5)
    await send(['a'], { number: 1, of: 2 })
    t.match(await send(['a', 'b']), { renewed: 2, released: 0 })
    t.strictSame(await send([], { number: 2, of: 2 }), { outcome: 'incomplete' })
    t.strictSame(await everything(twin), ['a', 'b'])
  },

  'the last part of a list may come again, as its answer may be lost': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 0 })
    const { sessions, pass } = twin
    const send = async (number: number, ids: string[]) => {
      const list = ids.map((sessionId) => ({ sessionId, username: 'alice' }))
      const part = { number, of: 2 }
      return await sessions.reconcileNode(reported({ node: 'n1', epoch: 1, sessions: list, part }))
    }
    const list = names('call-', 5).map((sessionId) => ({ sessionId, username: 'alice' }))
    await sessions.reconcileNode(reported({ node: 'n1', epoch: 1, sessions: list }))
    await pass(5)
    await send(1, ['call-000', 'call-001'])
    t.match(await send(2, ['call-002', 'call-003']), { renewed: 2, released: 1 })
    t.match(await send(2, ['call-002', 'call-003']), { renewed: 2, released: 0 }, 'asked again')
    t.strictSame(await everything(twin), ['call-000', 'call-001', 'call-002', 'call-003'])
  },

  'a part that is refused as a whole frees nothing with the next': async (t, start) => {
    const twin = await start({ max_sessions_per_user: 0 })
    const { sessions, pass } = twin
    const send = async (number: number, ids: string[]) => {
      const boundTo = 'n1'
      const list = ids.map((sessionId) => ({ sessionId, username: 'alice', boundTo }))
      const part = { number, of: 2 }
      return await sessions.reconcileNode(reported({ node: 'n1', epoch: 1, sessions: list, part }))
    }
    for (const id of ['a', 'b', 'c']) await admit(sessions, 'alice', id, { node: 'n1' })
    await admit(sessions, 'alice', 'foreign', { node: 'n2' })
    await pass(5)
    t.strictSame(await send(1, ['a', 'b', 'foreign']), { outcome: 'forbidden' })
    await send(2, ['c'])
    t.strictSame(await everything(twin), ['a', 'b', 'c', 'foreign'])
    await send(1, ['a', 'b'])
    await send(2, ['c'])
    await pass(5)
    t.strictSame(await send(1, ['a', 'b', 'foreign']), { outcome: 'forbidden' })
    await send(2, ['c'])
    t.strictSame(await everything(twin), ['a', 'b', 'c', 'foreign'], 'nor after a whole one')
  },

  'a lower epoch is refused while its node is heard of, and taken after that': async (t, start) => {
    const { sessions, pass } = await start()
    const about = { node: 'n1', sessions: [], ttlMs: 300 }
    await sessions.reconcileNode(reported({ ...about, epoch: 1_795_300_000_000 }))
    t.match(await sessions.reconcileNode(reported({ ...about, epoch: 1_795_300_000 })), {
      outcome: 'stale_epoch',
      epoch: 1_795_300_000_000
    })
    await pass(301)
    t.match(await sessions.reconcileNode(reported({ ...about, epoch: 1_795_300_000 })), {
      outcome: 'reconciled'
    })
  },

  'a node that is forgotten has no epoch and holds no slots': async (t, start) => {
    const twin = await start()
    const { sessions } = twin
    const report = (epoch: number) =>
      reported({ node: 'n1', epoch, sessions: [{ sessionId: 'a', username: 'alice' }] })
    await sessions.reconcileNode(report(9))
    t.strictSame(await sessions.forgetNode('n1'), {
      missing: [{ sessionId: 'a', username: 'alice' }]
    })
    t.strictSame(await everything(twin), [])
    t.strictSame((await sessions.listNodes({ cursor: '', count: 9 })).entries, [])
    t.match(await sessions.reconcileNode(report(1)), { registered: 1, ended: [] })
  },

  'nodes are listed with epoch, time of the last report, and number of sessions': async (
    t,
    start
  ) => {
    const { sessions, now, pass } = await start()
    t.strictSame(await sessions.listNodes({ cursor: '', count: 10 }), {
      entries: [],
      next_cursor: null
    })
    const before = await now()
    for (const [i, node] of names('node-', 5).entries()) {
      const list = names(`${node}-s`, i).map((sessionId) => ({ sessionId, username: 'alice' }))
      await sessions.reconcileNode(reported({
        node,
        epoch: i,
        sessions: list,
        ttlMs: i === 4 ? 50 : TTL,
        asOfMs: FOREVER
      }))
    }
    await pass(51)
    for (const count of [1, 2, 1000]) {
      const nodes = (await pages(async (page) => await sessions.listNodes(page), count)).flat()
      t.match(
        nodes.sort((a, b) => a.epoch - b.epoch),
        [0, 1, 2, 3, 0].map((up, i) => ({ node: `node-00${i}`, epoch: i, sessions: up }))
      )
      t.ok(
        nodes.every(
          ({ lastSeenMs: at }) => at >= before && at <= before + 5000
        )
      )
      t.equal(nodes.length, 5)
    }
  }
}
