/** What is remembered while Redis is away, and how it is told afterwards, on a manual clock. */
import t from 'tap'
import { storeUnavailable } from '../../services/errors.ts'
import type { LimitEntry, LimitLists } from '../../services/limits/limits-store.ts'
import { MemoryLimitsStore } from '../../services/limits/memory-limits-store.ts'
import { LeaseMirror } from '../../services/outage/lease-mirror.ts'
import { LimitCache } from '../../services/outage/limit-cache.ts'
import { Outbox } from '../../services/outage/outbox.ts'
import { Replay } from '../../services/outage/replay.ts'
import { memoryPolicySource } from '../../services/policy/memory-policy-source.ts'
import { PolicyCache } from '../../services/policy/policy.ts'
import type { RedisExecutor } from '../../services/redis/executor.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import { type ScriptOutcome, outcomeOf } from '../../services/redis/script-outcomes.ts'
import { LeaseTable } from '../../services/sessions/memory/lease-table.ts'
import { type Outcome, Outcomes } from '../../services/sessions/outcomes.ts'
import type { RedisSessionStore } from '../../services/sessions/redis/redis-session-store.ts'
import type { ReleaseRequest } from '../../services/sessions/session-store.ts'
import { ManualClock, settled } from '../helpers/manual-clock.ts'

const MINUTE = 60_000

t.test('the outbox', async (t) => {
  const ended = (reason: string) => ({ kind: 'ended' as const, username: 'alice', reason })

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
    outbox.up('a')
    t.equal(outbox.size, 0)
  })

  t.test('remembers which sessions are up only while that is tracked', async (t) => {
    const outbox = new Outbox()
    outbox.up('before')
    outbox.trackUp()
    for (const id of ['a', 'b', 'c', 'a']) outbox.up(id)
    outbox.put('b', ended('r'))
    t.same(outbox.takeUp(), ['a', 'c'])
    t.same(outbox.takeUp(), [])
    outbox.forgetUp()
    outbox.up('after')
    t.same(outbox.takeUp(), [])
  })

  t.test('gives up the oldest of more than 200,000 messages', async (t) => {
    const outbox = new Outbox()
    for (let i = 0; i <= 200_000; i++) outbox.put(`s${i}`, ended('r'))
    t.equal(outbox.size, 200_000)
    t.equal(outbox.take(1)[0]?.[0], 's1')
  })
})

t.test('the cache of limits', async (t) => {
  const start = () => {
    const clock = new ManualClock()
    const cache = new LimitCache(new MemoryLimitsStore(() => 5, clock.now), clock.now)
    const limitOf = (username: string) => {
      const { limit, source } = cache.mirror.limitNow(username)
      return `${source} ${limit}`
    }
    return { clock, cache, limitOf }
  }
  /** Lists of own limits, or none while the store is away. */
  const listing = (batches: () => LimitEntry[][]): LimitLists => ({
    listLimits: async () => ({ entries: [], next_cursor: null }),
    async * allLimits () {
      yield * batches()
    }
  })

  t.test('knows what was seen, and how long ago', async (t) => {
    const { clock, cache, limitOf } = start()
    t.equal(cache.ageMs('alice'), undefined)
    cache.see({ username: 'alice', limit: 3, source: 'user', unlimited: false })
    await clock.pass(1500)
    t.equal(cache.ageMs('alice'), 1500)
    t.equal(limitOf('alice'), 'user 3')
    cache.seeOwn('alice', 4)
    t.equal(cache.ageMs('alice'), 0)
    t.equal(limitOf('alice'), 'user 4')
    cache.see({ username: 'alice', limit: 5, source: 'default', unlimited: false })
    t.equal(limitOf('alice'), 'default 5', 'the own limit is gone')
  })

  t.test('lets a temporary limit end by itself', async (t) => {
    const { clock, cache, limitOf } = start()
    cache.seeOwn('alice', 3)
    const expiresAtMs = clock.now() + MINUTE
    cache.see({ username: 'alice', limit: 9, source: 'temporary', unlimited: false, expiresAtMs })
    await clock.pass(MINUTE - 1)
    t.equal(limitOf('alice'), 'temporary 9')
    await clock.pass(1)
    t.equal(limitOf('alice'), 'user 3')
  })

  t.test('notes what an admission was decided by, at most every five seconds', async (t) => {
    const { clock, cache, limitOf } = start()
    cache.seeInForce('alice', 7)
    t.equal(limitOf('alice'), 'user 7')
    await clock.pass(4999)
    cache.seeInForce('alice', 7)
    t.equal(cache.ageMs('alice'), 4999)
    await clock.pass(1)
    cache.seeInForce('alice', 7)
    t.equal(cache.ageMs('alice'), 0)
    cache.seeInForce('alice', 8)
    t.equal(limitOf('alice'), 'user 8', 'another limit is noted at once')
  })

  t.test('reads all own limits ahead, and forgets those that are no more', async (t) => {
    const { clock, cache, limitOf } = start()
    t.teardown(() => cache.stop())
    cache.seeOwn('removed', 1)
    await clock.pass(1000)
    const errors: unknown[] = []
    const lists = listing(() => {
      // Whatever is seen while the lists are read is newer than they are.
      cache.seeOwn('changed', 2)
      return [[['alice', 3], ['changed', 1]], [['bob', 0]]]
    })
    await clock.pass(1)
    cache.start(lists, (error) => errors.push(error))
    while (cache.ageMs('nobody') === undefined) await settled()
    t.same(['alice', 'bob', 'changed', 'removed'].map(limitOf), [
      'user 3',
      'user 0',
      'user 2',
      'default 5'
    ])
    t.same(errors, [])
  })

  t.test('keeps what it knows when a reading fails, and tells that', async (t) => {
    const { cache, limitOf } = start()
    t.teardown(() => cache.stop())
    cache.seeOwn('alice', 3)
    const away = storeUnavailable(new Error('gone'))
    const failed = new Promise((resolve) => {
      cache.start(listing(() => {
        throw away
      }), resolve)
    })
    t.equal(await failed, away)
    t.equal(limitOf('alice'), 'user 3')
    t.equal(cache.ageMs('nobody'), undefined)
  })
})

const CODES = new Map(Array.from({ length: 12 }, (_, code) => [outcomeOf(code), code]))

/** A replay into a Redis that answers as told, and all that it was told. */
function startReplay ({
  cluster = false,
  answer = (_id: string): ScriptOutcome => 'restored'
} = {}) {
  const clock = new ManualClock()
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
  const mirror = new LeaseMirror(limits, policy, new LeaseTable(clock.now, 2 * MINUTE))
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
    noteRestored: async () => {}
  } as unknown as RedisSessionStore
  const executor = {
    run: async <T>(reply: Promise<T>) => await reply,
    scripts: {
      async restore (_keys: string[], args: Array<string | number>) {
        check()
        const ids: string[] = []
        for (let at = 3; at < args.length; at += 6) ids.push(String(args[at]))
        batches.push(ids)
        told.push(...ids.map((id) => `restore ${id}`))
        await state.onRestore(ids)
        return ids.map((id) => CODES.get(answer(id)))
      }
    }
  } as unknown as RedisExecutor
  const keys = new RedisKeys('test:', cluster)
  const replay = new Replay({ executor, keys, store, mirror, outbox, outcomes })
  /** Notes that a session is up, as an admission in the outage does. */
  const up = (sessionId: string, username = 'alice', ttlMs = MINUTE) => {
    const startedMs = clock.now()
    const about = { sessionId, username, attempt: 0, node: '', details: {} }
    const lease = { ...about, startedMs, expiresMs: 0 }
    mirror.take(lease, ttlMs)
    outbox.up(sessionId)
  }
  return { clock, told, batches, observed, state, mirror, outbox, replay, up }
}

t.test('the replay', async (t) => {
  const ended = { kind: 'ended' as const, username: 'alice', reason: 'hangup' }

  t.test('tells ends first, then every lease that is live', async (t) => {
    const { clock, told, observed, outbox, replay, up } = startReplay()
    up('expired', 'alice', 1000)
    await clock.pass(1000)
    up('a')
    outbox.put('gone', ended)
    outbox.put('refused', { kind: 'undo', username: 'bob', ttlMs: MINUTE })
    t.same(await replay.run(0), { ended: 2, restored: 1 })
    t.same(told, ['end gone', 'undo refused', 'restore a'])
    t.same(observed, ['released gone', 'restored a'])
    t.equal(outbox.size, 0)
  })

  t.test('tells again what ended within the time that Redis may have lost', async (t) => {
    const { clock, told, mirror, replay, up } = startReplay()
    for (const id of ['long ago', 'lately', 'up']) up(id)
    mirror.forget('long ago')
    await clock.pass(10_000)
    mirror.forget('lately')
    await clock.pass(5000)
    t.same(await replay.run(5000), { ended: 1, restored: 1 })
    t.same(told, ['restore up', 'end lately'])
    told.length = 0
    await replay.run(Infinity)
    t.same(told.sort(), ['end lately', 'end long ago', 'restore up'])
  })

  t.test('tells 200 leases at a time, in a Cluster those of one user', async (t) => {
    const single = startReplay()
    for (let i = 0; i < 450; i++) single.up(`s${i}`, `user${i % 3}`)
    await single.replay.run(0)
    t.same(single.batches.map(({ length }) => length), [200, 200, 50])
    t.equal(new Set(single.batches.flat()).size, 450)
    const cluster = startReplay({ cluster: true })
    for (let i = 0; i < 450; i++) cluster.up(`user${i % 3} ${i}`, `user${i % 3}`)
    await cluster.replay.run(0)
    t.same(cluster.batches.map(({ length }) => length), [150, 150, 150])
    for (const batch of cluster.batches) {
      t.equal(new Set(batch.map((id) => id.split(' ')[0])).size, 1)
    }
  })

  t.test('forgets what Redis knows to have ended, or to be of another user', async (t) => {
    const answers: Record<string, ScriptOutcome> = { a: 'ended', b: 'conflict', c: 'restored' }
    const { observed, mirror, replay, up } = startReplay({ answer: (id) => answers[id] ?? 'ended' })
    for (const id of Object.keys(answers)) up(id)
    await replay.run(0)
    t.same(observed, ['ended a', 'conflict b', 'restored c'])
    t.same([...mirror.mirrored()].map(({ lease }) => lease.sessionId), ['c'])
  })

  t.test('catches up with what is decided while it runs, and settles the rest', async (t) => {
    const { told, state, outbox, replay, up } = startReplay()
    up('a')
    state.onRestore = async (ids) => {
      if (!ids.includes('a')) return
      up('meanwhile')
      outbox.put('ended meanwhile', ended)
    }
    t.same(await replay.run(0), { ended: 1, restored: 2 })
    t.same(told, ['restore a', 'end ended meanwhile', 'restore meanwhile'])
    told.length = 0
    up('at last')
    const settling = replay.settle()
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
    await t.rejects(replay.run(0), { code: 'store_unavailable' })
    t.equal(outbox.size, 1)
    state.away = false
    t.same(await replay.run(0), { ended: 1, restored: 1 })
    t.same(told, ['end gone', 'restore a'])
  })
})
