/** What is remembered while Redis is away, and how it is told afterwards, on a manual clock. */
import t from 'tap'
import { storeUnavailable } from '../../services/errors.ts'
import { MemoryLimitsStore } from '../../services/limits/memory-limits-store.ts'
import { LeaseMirror } from '../../services/outage/lease-mirror.ts'
import { Outbox } from '../../services/outage/outbox.ts'
import { Replay } from '../../services/outage/replay.ts'
import type { Part } from '../../services/outage/shard.ts'
import type { UserEnded } from '../../services/sessions/redis/end-user.ts'
import { memoryPolicySource } from '../../services/policy/memory-policy-source.ts'
import { PolicyCache } from '../../services/policy/policy.ts'
import type { RedisExecutor } from '../../services/redis/executor.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import { EVERYWHERE } from '../../services/redis/reach.ts'
import { type ScriptOutcome, outcomeOf } from '../../services/redis/script-outcomes.ts'
import { LeaseTable } from '../../services/sessions/memory/lease-table.ts'
import { type Outcome, Outcomes } from '../../services/sessions/outcomes.ts'
import type { RedisSessionStore } from '../../services/sessions/redis/redis-session-store.ts'
import type { ReleaseRequest } from '../../services/sessions/session-store.ts'
import { hangUp } from '../conformance/words.ts'
import { ManualClock } from '../helpers/manual-clock.ts'

const [MINUTE, HOUR] = [60_000, 3_600_000]

/** Redis as one part, which is back. */
const ALL: Part = { holds: () => true, isOut: () => false, failed: () => {}, serves: true }

const request = (sessionId: string): ReleaseRequest => hangUp(sessionId)

t.test('the outbox', async (t) => {
  const ended = (reason: string) =>
    ({ kind: 'ended' as const, username: 'alice', reason, endedMs: 0 })

  t.test('holds the last message about a session until it is settled', async (t) => {
    const outbox = new Outbox()
    const [first, last] = [ended('first'), ended('last')]
    outbox.put('a', first)
    outbox.put('b', first)
    outbox.put('a', last)
    t.equal(outbox.size, 2)
    t.same(outbox.take(1), [['b', first]], 'the one that was put longest ago')
    t.same(outbox.take(9), [['b', first], ['a', last]], 'taking takes nothing away')
    outbox.settle('a', first)
    t.equal(outbox.size, 2, 'an older message settles nothing')
    outbox.settle('a', last)
    outbox.settle('b', first)
    t.equal(outbox.size, 0)
  })

  t.test('does not tell the end of a session that is up', async (t) => {
    const outbox = new Outbox()
    outbox.put('a', ended('r'))
    outbox.up('a', 0, '')
    t.equal(outbox.size, 0)
  })

  t.test('tells that earlier attempts have ended when a later one is up', async (t) => {
    const outbox = new Outbox()
    outbox.put('a', ended('r'))
    outbox.put('b', { ...ended('r'), attempt: 1 })
    outbox.up('a', 7, '')
    outbox.up('b', 7, '')
    t.match(outbox.take(9), [['a', { attempt: 6 }], ['b', { attempt: 1 }]])
  })

  t.test('keeps what each node has ended, whatever the others say of the id', async (t) => {
    const outbox = new Outbox()
    const [a, b] = ['a', 'b'].map((boundTo) => ({ ...ended('r'), boundTo }))
    if (a === undefined || b === undefined) throw new Error('two nodes')
    outbox.put('id', a)
    outbox.put('id', b)
    outbox.put('id', ended('anybody'))
    t.same(outbox.take(9), [['id', a], ['id', b], ['id', ended('anybody')]])
    outbox.up('id', 0, 'b')
    t.same(outbox.take(9), [['id', a]])
    outbox.settle('id', a)
    t.equal(outbox.size, 0)
  })

  t.test('remembers which sessions are up only while that is tracked', async (t) => {
    const outbox = new Outbox()
    outbox.up('before', 0, '')
    outbox.trackUp()
    for (const id of ['a', 'b', 'c', 'a']) outbox.up(id, 0, '')
    outbox.put('b', ended('r'))
    t.same(outbox.takeUp(), ['a', 'c'])
    t.same(outbox.takeUp(), [])
    outbox.forgetUp()
    outbox.up('after', 0, '')
    t.same(outbox.takeUp(), [])
  })

  t.test('gives up the oldest of more than 200,000 messages', async (t) => {
    const outbox = new Outbox()
    for (let i = 0; i <= 200_000; i++) outbox.put(`s${i}`, ended('r'))
    t.equal(outbox.size, 200_000)
    t.equal(outbox.take(1)[0]?.[0], 's1')
  })
})

const CODES = new Map(Array.from({ length: 18 }, (_, code) => [outcomeOf(code), code]))

/** A replay into a Redis that answers as told, and all that it was told. */
function startReplay ({
  cluster = false,
  claims = [] as Array<'ended'>,
  answer = (_id: string): ScriptOutcome => 'restored'
} = {}) {
  const clock = new ManualClock()
  const startMs = clock.now()
  const told: string[] = []
  const batches: string[][] = []
  const observed: string[] = []
  const state = { away: false, onRestore: async (_ids: string[]) => {} }
  const policy = new PolicyCache(
    memoryPolicySource({
      enabled: true,
      max_sessions_per_user: 0,
      session_limit_action: 'reject'
    }),
    { enabled: true, max_sessions_per_user: 0, session_limit_action: 'reject' }
  )
  const limits = new MemoryLimitsStore(() => 0, clock.now)
  const table = new LeaseTable(clock.now, 2 * MINUTE, () => {}, 1000, true)
  const mirror = new LeaseMirror(limits, policy, table)
  const outbox = new Outbox()
  const outcomes = new Outcomes({ warn: () => {}, info: () => {} })
  outcomes.observe((outcome: Outcome) => {
    observed.push(`${outcome.what} ${outcome.sessionId}`)
  })
  const check = () => {
    if (state.away) throw storeUnavailable(new Error('gone'))
  }
  const store = {
    async release ({ sessionId, username }: ReleaseRequest) {
      check()
      told.push(`end ${sessionId}`)
      return { outcome: 'released', username }
    },
    async releaseFrom (_username: string, sessionId: string) {
      check()
      told.push(`undo ${sessionId}`)
      return { outcome: 'unknown' }
    },
    async endUser (username: string, _why: string, all: boolean, ended?: UserEnded) {
      check()
      const { atMs = 0, agoMs = 0 } = ended ?? {}
      told.push(`end ${all ? 'all' : 'ordinary'} of ${username} until ${atMs - startMs}`)
      t.equal(atMs + agoMs, clock.now(), 'as long ago as it was')
      return { atMs, leases: [], spared: [] }
    },
    claimForRestore: async () => claims,
    holderOf: async () => '',
    noteRestored: async () => {}
  } as unknown as RedisSessionStore
  const executor = {
    deadline: () => '' as const,
    run: async <T>(reply: Promise<T>) => await reply,
    scripts: {
      async restore (_keys: string[], args: Array<string | number>) {
        check()
        const ids: string[] = []
        for (let at = 5; at < args.length; at += 8) ids.push(String(args[at]))
        batches.push(ids)
        told.push(...ids.map((id) => `restore ${id}`))
        await state.onRestore(ids)
        return ids.map((id) => CODES.get(answer(id)))
      }
    }
  } as unknown as RedisExecutor
  const keys = new RedisKeys('test:', cluster)
  const replay = new Replay({ executor, keys, reach: EVERYWHERE, store, mirror, outbox, outcomes })
  /** Notes that a session is up, as an admission in the outage does. */
  const up = (sessionId: string, username = 'alice', ttlMs = MINUTE) => {
    const startedMs = clock.now()
    const about = { sessionId, username, attempt: 0, node: '', details: {} }
    const lease = { ...about, startedMs, expiresMs: 0 }
    mirror.take(lease, ttlMs)
    mirror.markUntold(sessionId)
    outbox.up(sessionId, 0, '')
  }
  return { clock, told, batches, observed, state, mirror, outbox, replay, up }
}

t.test('the replay', async (t) => {
  const ended = { kind: 'ended' as const, username: 'alice', reason: 'hangup', endedMs: 0 }

  t.test('tells ends first, then every lease that is live', async (t) => {
    const { clock, told, observed, outbox, replay, up } = startReplay()
    up('expired', 'alice', 1000)
    await clock.pass(1000)
    up('a')
    outbox.put('gone', ended)
    outbox.put('refused', { kind: 'undo', username: 'bob', ttlMs: MINUTE })
    t.same(await replay.run(ALL, 0), { ended: 2, restored: 1 })
    t.same(told, ['end gone', 'undo refused', 'restore a'])
    t.same(observed, ['released gone', 'restored a'])
    t.equal(outbox.size, 0)
  })

  t.test('tells again what was touched or has ended since Redis knew all', async (t) => {
    const { clock, told, mirror, replay, up } = startReplay()
    const take = (id: string, ttlMs = HOUR) => {
      const about = { sessionId: id, username: 'bob', attempt: 0, node: '', details: {} }
      mirror.take({ ...about, startedMs: clock.now(), expiresMs: 0 }, ttlMs)
    }
    for (const id of ['long ago', 'lately', 'known', 'renewed']) take(id)
    up('untold', 'alice', HOUR)
    mirror.forget('long ago')
    mirror.userEnds.note('carol', clock.now(), false, clock.now())
    await clock.pass(125_000)
    const sinceMs = clock.now()
    mirror.forget('lately')
    mirror.prolong({ sessionId: 'renewed', username: 'bob' }, HOUR)
    mirror.userEnds.note('carol', clock.now(), true, clock.now())
    await replay.run(ALL, sinceMs)
    t.same(told, [
      'end ordinary of carol until 125000',
      'end all of carol until 125000',
      'end lately',
      'restore renewed',
      'restore untold'
    ])
    told.length = 0
    await replay.run(ALL, sinceMs + 1)
    t.same(told, [], 'what was told, and not touched since, is not told again')
    await replay.run(ALL, -Infinity)
    t.same(told, [
      'restore known',
      'restore renewed',
      'restore untold',
      'end ordinary of carol until 125000',
      'end all of carol until 125000',
      'end long ago',
      'end lately'
    ])
  })

  t.test('remembers an end for as long as a lease of it can be live', async (t) => {
    const { clock, told, mirror, replay } = startReplay()
    mirror.forget('hour', { leaseMs: HOUR })
    mirror.forget('brief')
    await mirror.noteReleased(request('unknown'), { outcome: 'unknown' })
    await mirror.noteReleased(request('ended'), { outcome: 'unknown', wasEnded: true })
    await mirror.noteReleased(request('elsewhere'), { outcome: 'unknown', unmet: true })
    await mirror.releaseLocally(request('alone'))
    const endsNow = async () => {
      told.length = 0
      await replay.run(ALL, -Infinity)
      return told.map((text) => text.slice('end '.length)).sort()
    }
    t.same(await endsNow(), ['alone', 'brief', 'ended', 'hour', 'unknown'])
    await clock.pass(HOUR - 1)
    t.same(await endsNow(), ['alone', 'hour', 'unknown'])
    await clock.pass(23 * HOUR)
    t.same(await endsNow(), ['alone', 'unknown'])
    await clock.pass(1)
    t.same(await endsNow(), [])
    for (let i = 0; i < 1001; i++) mirror.forget(`many ${i}`)
    t.equal(mirror.forgotten, 1, 'the one that ended longest ago is given up')
    t.equal((await endsNow()).length, 1000)
  })

  t.test('ends a session whose id was ended while nobody could tell whose it was', async (t) => {
    const { told, mirror, replay, up } = startReplay({ cluster: true, claims: ['ended'] })
    up('a')
    await replay.run(ALL, 0)
    t.same(told, ['end a'], 'where its user lies, too')
    t.equal(mirror.holderOf('a'), undefined)
  })

  t.test('takes no session to have begun in the future', async (t) => {
    const { clock, mirror } = startReplay()
    const about = { sessionId: 'a', username: 'alice', attempt: 0, node: '', details: {} }
    for (const [aheadMs, wantedMs] of [[1000, 1000], [MINUTE, 0]] as const) {
      mirror.take({ ...about, startedMs: clock.now() + aheadMs, expiresMs: 0 }, MINUTE)
      t.equal(mirror.mirroredOf('a')?.lease.startedMs, clock.now() + wantedMs)
    }
  })

  t.test('tells the end of an id that is nobody\'s where the id lies', async (t) => {
    const { told, outbox, replay } = startReplay({ cluster: true })
    outbox.put('nobody\'s', { ...ended, username: undefined })
    const part = { ...ALL, holds: (key: string) => key.includes('holder'), isOut: () => true }
    t.same(await replay.run(part, 0), { ended: 1, restored: 0 })
    t.same(told, ['end nobody\'s'], 'though the parts of all users are out')
    t.equal(outbox.size, 0)
  })

  t.test('tells 200 leases at a time, in a Cluster those of one user', async (t) => {
    const single = startReplay()
    for (let i = 0; i < 450; i++) single.up(`s${i}`, `user${i % 3}`)
    await single.replay.run(ALL, 0)
    t.same(single.batches.map(({ length }) => length), [200, 200, 50])
    t.equal(new Set(single.batches.flat()).size, 450)
    const cluster = startReplay({ cluster: true })
    for (let i = 0; i < 450; i++) cluster.up(`user${i % 3} ${i}`, `user${i % 3}`)
    await cluster.replay.run(ALL, 0)
    t.same(cluster.batches.map(({ length }) => length), [150, 150, 150])
    for (const batch of cluster.batches) {
      t.equal(new Set(batch.map((id) => id.split(' ')[0])).size, 1)
    }
  })

  t.test('forgets what Redis knows to have ended, or to be of another user', async (t) => {
    const answers: Record<string, ScriptOutcome> = { a: 'ended', b: 'conflict', c: 'restored' }
    const { observed, mirror, replay, up } = startReplay({ answer: (id) => answers[id] ?? 'ended' })
    for (const id of Object.keys(answers)) up(id)
    await replay.run(ALL, 0)
    t.same(observed, ['ended a', 'conflict b', 'restored c'])
    t.same([...mirror.untoldSince(-Infinity)].map(({ lease }) => lease.sessionId), ['c'])
  })

  t.test('catches up with what is decided while it runs, and settles the rest', async (t) => {
    const { told, state, outbox, replay, up } = startReplay()
    up('a')
    state.onRestore = async (ids) => {
      if (!ids.includes('a')) return
      up('meanwhile')
      outbox.put('ended meanwhile', ended)
    }
    t.same(await replay.run(ALL, 0), { ended: 1, restored: 2 })
    t.same(told, ['restore a', 'end ended meanwhile', 'restore meanwhile'])
    told.length = 0
    up('at last')
    const settling = replay.settle(ALL)
    // An answer that is on its way when the last part begins.
    for (let i = 0; i < 20; i++) await null
    up('on its way')
    await settling
    t.same(told, ['restore at last', 'restore on its way'])
    up('afterwards')
    t.same(outbox.takeUp(), [], 'from then on nobody notes who is up')
  })

  t.test('keeps what it could not tell, and tells it the next time', async (t) => {
    const { told, state, outbox, replay, up } = startReplay()
    up('a')
    outbox.put('gone', ended)
    state.away = true
    await t.rejects(replay.run(ALL, 0), { code: 'store_unavailable' })
    t.equal(outbox.size, 1)
    state.away = false
    t.same(await replay.run(ALL, 0), { ended: 1, restored: 1 })
    t.same(told, ['end gone', 'restore a'])
  })
})
