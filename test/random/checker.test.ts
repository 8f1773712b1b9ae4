/** The checker itself: it finds what is wrong in histories and views, and excuses no more. */
import t from 'tap'
import {
  calmWorld,
  checkCall,
  checkLimit,
  excuseBack,
  excuseMissing,
  Findings,
  lingersMs,
  standing,
  type World
} from './checker.ts'
import type { Call, Operation } from './history.ts'
import { type Expected, type View, wrongIn } from './views.ts'

const TTL_MS = 90_000
const calm = calmWorld()

/** A call of one user. Its operations take 10 ms each, at r0 unless they say otherwise. */
function callOf (id: string, ...operations: Array<Partial<Operation> & { atMs: number }>): Call {
  return {
    id,
    username: 'alice',
    node: undefined,
    ttlMs: TTL_MS,
    operations: operations.map(({ atMs, ...one }) => ({
      kind: 'acquire',
      id,
      process: 'r0.0',
      invokedMs: atMs,
      completedMs: atMs + 10,
      outcome: 'ok',
      degraded: false,
      ttlMs: TTL_MS,
      isNamed: true,
      note: '',
      ...one
    }))
  }
}

const release = (atMs: number, more: Partial<Operation> = {}) =>
  ({ kind: 'release' as const, atMs, ...more })
const renew = (atMs: number, more: Partial<Operation> = {}) =>
  ({ kind: 'renew' as const, atMs, ...more })

/** What a check of one call finds, and excuses. */
function check (call: Call, world = calm) {
  const found = new Findings()
  checkCall(call, world, 0, found)
  return { broken: found.broken.map(({ what }) => what), excused: [...found.excused.keys()] }
}

t.test('where a session stands', async (t) => {
  const up = callOf('a', { atMs: 0 })
  t.equal(standing(up, 1000), 'up')
  t.equal(standing(up, TTL_MS), 'either', 'it is about to lapse')
  t.equal(standing(up, TTL_MS + 2000), 'gone')
  const steps = [5_000, -3_600_000].map((byMs) => ({ fromMs: 0, untilMs: 100, byMs }))
  const lingers = lingersMs(up, { ...calmWorld(), steps })
  t.equal(lingers, 5_000, 'leases are shortened where the clock was set back by much')
  t.equal(standing(up, TTL_MS + 2000, TTL_MS + 2000, lingers), 'either', 'it was set back')
  t.equal(lingersMs(callOf('b', { atMs: 200 }), { ...calmWorld(), steps }), 0, 'before it began')
  t.equal(standing(callOf('a', { atMs: 0 }, renew(TTL_MS / 2)), TTL_MS + 2000), 'up')
  t.equal(standing(callOf('a', { atMs: 0 }, release(100)), 1000), 'gone')
  const unanswered = release(100, { outcome: 'unknown', completedMs: Infinity })
  t.equal(standing(callOf('a', { atMs: 0 }, unanswered), 1000), 'either')
  t.equal(standing(callOf('a', { atMs: 0 }, release(100, { outcome: 'failed' })), 1000), 'up')
  t.equal(standing(callOf('a', { atMs: 0, outcome: 'unknown' }), 1000), 'either')
  t.equal(standing(callOf('a', { atMs: 0, outcome: 'refused' }), 1000), 'gone')
})

t.test('an ended session that comes back is found', async (t) => {
  const back = (more: Partial<Operation>) =>
    callOf('a', { atMs: 0 }, release(100), renew(200, more))
  t.match(check(back({})).broken, [/came back/])
  t.match(check(back({ process: 'r1.0' })).broken, [/came back/], 'at another replica, too')
  t.match(check(back({ degraded: true })).broken, [/came back/], 'by the replica that ended it')
  const cutOff = check(back({ process: 'r1.0', degraded: true }))
  t.same(cutOff.broken, [])
  t.match(cutOff.excused, [/^promise 13/], 'not by one that cannot know')
  t.same(check(back({ outcome: 'ended' })).broken, [])
  const alone = callOf('a', { atMs: 0 }, release(100, { degraded: true }), renew(200, {
    process: 'r1.0'
  }))
  t.match(check(alone).excused, [/^promise 13/], 'nor after an end that was not told yet')
  t.match(check(alone, { ...calm, quietMs: [150] }).broken, [/came back/], 'it was told by then')
  const losses = [{ backToMs: 0, untilMs: 150 }]
  const lost = { ...calm, losses }
  t.match(check(back({ process: 'r1.0' }), lost).excused, [/^promise 16/], 'nor after a loss')
  t.match(check(back({}), lost).broken, [/came back/], 'but by the replica that ended it')
  const later = { ...lost, quietMs: [180] }
  t.match(check(back({ process: 'r1.0' }), later).broken, [/came back/], 'or when it was told')
  const beside = callOf('a', { atMs: 0 }, release(100), renew(105))
  t.same(check(beside).broken, [], 'asked before the end was acknowledged')
})

t.test('a live session that is said to have ended is found', async (t) => {
  for (const outcome of ['ended', 'conflict'] as const) {
    t.match(check(callOf('a', { atMs: 0 }, renew(100, { outcome }))).broken, [/was lost/])
    const unanswered = release(50, { outcome: 'unknown' })
    const late = callOf('a', { atMs: 0 }, unanswered, renew(100, { outcome }))
    t.same(check(late).broken, [], 'unless it may have been')
  }
})

t.test('an end that nobody knows any more is excused, and no other', async (t) => {
  const killed = new Set(['r0.0'])
  const losses = [{ backToMs: 0, untilMs: 5000 }]
  const told = callOf('a', { atMs: 0 }, release(100))
  t.equal(excuseBack(told, { ...calm, killed }), undefined, 'Redis knows it')
  t.equal(excuseBack(told, { ...calm, losses }), undefined, 'the replica knows it')
  t.match(excuseBack(told, { ...calm, killed, losses }), /^promises 4 and 16/)
  const before = [{ backToMs: 200, untilMs: 5000 }]
  t.equal(excuseBack(told, { ...calm, killed, losses: before }), undefined, 'it was not lost')
  const twice = callOf('a', { atMs: 0 }, release(100), renew(200, {
    process: 'r1.0',
    outcome: 'ended'
  }))
  t.equal(excuseBack(twice, { ...calm, killed, losses }), undefined, 'another knows it')
})

t.test('an end of all that a replica decided while the clock was set is excused', async (t) => {
  const steps = [{ fromMs: 50, untilMs: 2000, byMs: 3_600_000 }]
  const end = { kind: 'terminate' as const, atMs: 100, isNamed: false, degraded: true }
  const excused = excuseBack(callOf('a', { atMs: 0 }, end), { ...calm, steps })
  t.match(excused, /^promise 6/)
  t.equal(excuseBack(callOf('a', { atMs: 0 }, end), calm), undefined, 'no clock was set')
  for (const other of [{ isNamed: true }, { degraded: false }, { atMs: 3000 }]) {
    const call = callOf('a', { atMs: 0 }, { ...end, ...other })
    t.equal(excuseBack(call, { ...calm, steps }), undefined, Object.keys(other).join())
  }
})

t.test('a session that nobody knows any more is excused until it is renewed', async (t) => {
  const killed = new Set(['r0.0'])
  const losses = [{ backToMs: -Infinity, untilMs: 5000 }]
  const up = callOf('a', { atMs: 0 })
  t.equal(excuseMissing(up, calm, 6000), undefined)
  t.equal(excuseMissing(up, { ...calm, losses }, 6000), undefined, 'the replica knows it')
  t.match(excuseMissing(up, { ...calm, killed, losses }, 6000), /^promise 16/)
  const renewed = callOf('a', { atMs: 0 }, renew(5500, { process: 'r1.0' }))
  t.equal(excuseMissing(renewed, { ...calm, killed, losses }, 6000), undefined)
  const evicted = new Map([['a', 1000]])
  t.match(excuseMissing(up, { ...calm, evicted }, 6000), /^promise 2/)
  t.equal(excuseMissing(renewed, { ...calm, evicted }, 6000), undefined)
})

t.test('an admission over the limit, and a refusal with room, are found', async (t) => {
  const span = { fromMs: 0, toMs: 10_000 }
  const found = (...calls: Call[]) => foundIn(calm, ...calls)
  const foundIn = (world: World, ...calls: Call[]) => {
    const findings = new Findings()
    checkLimit(calls, 1, span, findings, world)
    return findings.broken.map(({ what }) => what)
  }
  const first = callOf('a', { atMs: 0 })
  t.match(found(first, callOf('b', { atMs: 100 })), [/admitted beside 1/])
  const losses = [{ backToMs: -Infinity, untilMs: 50 }]
  const lost = { ...calm, killed: new Set(['r0.0']), losses }
  t.same(foundIn(lost, first, callOf('b', { atMs: 100 })), [], 'nobody knows the first any more')
  t.same(found(first, callOf('b', { atMs: 100, degraded: true })), [], 'by the mirror it may be')
  t.same(found(callOf('a', { atMs: 0 }, release(50)), callOf('b', { atMs: 100 })), [])
  t.same(found(first, callOf('b', { atMs: 100, outcome: 'refused' })), [])
  const over = callOf('a', { atMs: 0 }, release(50))
  t.match(found(over, callOf('b', { atMs: 100, outcome: 'refused' })), [/refused beside 0/])
})

t.test('a view that is wrong is found', async (t) => {
  const session = (id: string, standing: Expected['standing']): Expected =>
    ({ id, username: 'alice', node: undefined, standing })
  const sessions = [session('up', 'up'), session('gone', 'gone'), session('may', 'either')]
  const wrong = (view: Partial<View>) =>
    wrongIn([{ name: 'view', isAbout: () => true, ...view }], sessions).map(({ what }) => what)
  t.same(wrong({ ids: ['up'] }), [])
  t.same(wrong({ ids: ['up', 'may'] }), [])
  t.same(wrong({ ids: ['may'] }), ['lacks it'])
  t.same(wrong({ ids: ['up', 'gone'] }), ['shows it'])
  t.same(wrong({ ids: ['up', 'stranger'] }), ['shows it'])
  t.same(wrong({ ids: ['up', 'up'] }), ['shows a session twice'])
  t.same(wrong({ ids: ['up'], isAbout: () => false }), ['shows it'], 'it is about others')
  t.same(wrong({ count: 1 }), [])
  t.same(wrong({ count: 2 }), [])
  t.same(wrong({ count: 0 }), ['is 0, not 1 to 2'])
  t.same(wrong({ count: 3 }), ['is 3, not 1 to 2'])
  t.same(wrong({ ids: ['up'], trouble: 'is stale' }), ['is stale'])
})
