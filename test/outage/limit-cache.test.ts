/** Which limits are known while Redis is away, on a manual clock. */
import t from 'tap'
import { storeUnavailable } from '../../services/errors.ts'
import type { Bar } from '../../services/limits/bar.ts'
import type { LimitInForce, TemporaryLimit } from '../../services/limits/limit-value.ts'
import type { StoredLimit } from '../../services/limits/limits-store.ts'
import { CompactLimits } from '../../services/outage/compact-limits.ts'
import { LimitCache } from '../../services/outage/limit-cache.ts'
import { ManualClock, settled } from '../helpers/manual-clock.ts'

const MINUTE = 60_000

function start (mostOwn?: number) {
  const clock = new ManualClock()
  const cache = new LimitCache(() => 5, clock.now, mostOwn)
  const limitOf = (username: string) => {
    const { limit, source } = cache.limitNow(username)
    return `${source} ${limit}`
  }
  /** What is stored, and how it is read in advance. */
  const state = {
    own: {} as Record<string, number>,
    temporary: {} as Record<string, TemporaryLimit>,
    bars: {} as Record<string, Bar>,
    isFull: [] as boolean[],
    errors: [] as unknown[],
    onRead: () => {}
  }
  const lists = {
    async * allStored (): AsyncGenerator<StoredLimit[]> {
      state.onRead()
      yield Object.entries(state.own).map(([username, limit]) => ({ username, limit }))
      const temporary = Object.entries(state.temporary)
      yield temporary.map(([username, temporary]) => ({ username, temporary }))
      yield Object.entries(state.bars).map(([username, bar]) => ({ username, bar }))
    },
    temporaryLimits: async (names: string[]) => names.map((name) => state.temporary[name]),
    bars: async (names: string[]) => names.map((name) => state.bars[name])
  }
  const read = () => {
    cache.start({
      lists,
      onError: (error) => state.errors.push(error),
      onFull: (isFull) => state.isFull.push(isFull),
      timer: clock.timer
    })
  }
  const untilRead = async () => {
    while (state.isFull.length === 0) await settled()
  }
  return { clock, cache, limitOf, state, read, untilRead }
}

/** A limit that is in force. */
function inForce (
  username: string,
  limit: number,
  source: LimitInForce['source'] = 'user',
  expiresAtMs?: number
): LimitInForce {
  const about = { username, limit, source, unlimited: limit <= 0 }
  return expiresAtMs === undefined ? about : { ...about, expiresAtMs }
}

t.test('knows what was seen, and how long ago', async (t) => {
  const { clock, cache, limitOf } = start()
  t.equal(cache.ageMs('alice'), undefined)
  cache.see(inForce('alice', 3))
  await clock.pass(1500)
  t.equal(cache.ageMs('alice'), 1500)
  t.equal(limitOf('alice'), 'user 3')
  cache.seeOwn('alice', 4)
  t.equal(cache.ageMs('alice'), 0)
  t.equal(limitOf('alice'), 'user 4')
  cache.see(inForce('alice', 5, 'default'))
  t.equal(limitOf('alice'), 'default 5', 'the own limit is gone')
})

t.test('knows every bar, and forgets what another replica has ended', async (t) => {
  const { clock, cache, state, read, untilRead } = start()
  const barOf = (username: string) => cache.limitNow(username).bar
  const fraud = { reason: 'fraud', expiresMs: undefined }
  state.bars = { alice: fraud, bob: { reason: '', expiresMs: clock.now() + 10 } }
  read()
  t.teardown(() => cache.stop())
  await untilRead()
  t.strictSame(barOf('alice'), fraud)
  t.ok(barOf('bob'))
  t.equal(barOf('carol'), undefined)
  cache.seeInForce('alice', inForce('alice', 3))
  t.strictSame(barOf('alice'), fraud, 'an admission says nothing of a bar')
  await clock.pass(10)
  t.equal(barOf('bob'), undefined, 'a bar ends at its instant')
  cache.seeBar('carol', fraud)
  t.ok(barOf('carol'))
  state.bars = { carol: fraud }
  await clock.pass(2_000)
  t.equal(barOf('alice'), undefined, 'another replica has ended it')
  t.ok(barOf('carol'))
  cache.see(inForce('carol', 3))
  t.equal(barOf('carol'), undefined, 'a reading says that there is none')
})

t.test('lets a temporary limit end by itself', async (t) => {
  const { clock, cache, limitOf } = start()
  cache.seeOwn('alice', 3)
  cache.see(inForce('alice', 9, 'temporary', clock.now() + MINUTE))
  await clock.pass(MINUTE - 1)
  t.equal(limitOf('alice'), 'temporary 9')
  await clock.pass(1)
  t.equal(limitOf('alice'), 'user 3')
})

t.test('notes what an admission was decided by, at most every five seconds', async (t) => {
  const { clock, cache, limitOf } = start()
  cache.seeInForce('alice', inForce('alice', 7))
  t.equal(limitOf('alice'), 'user 7')
  await clock.pass(4999)
  cache.seeInForce('alice', inForce('alice', 7))
  t.equal(cache.ageMs('alice'), 4999)
  await clock.pass(1)
  cache.seeInForce('alice', inForce('alice', 7))
  t.equal(cache.ageMs('alice'), 0)
  cache.seeInForce('alice', inForce('alice', 8))
  t.equal(limitOf('alice'), 'user 8', 'another limit is noted at once')
})

t.test('learns from an admission where a limit comes from', async (t) => {
  const { clock, cache, limitOf } = start()
  cache.seeOwn('alice', 3)
  cache.seeInForce('alice', inForce('alice', 9, 'temporary', clock.now() + MINUTE))
  t.equal(limitOf('alice'), 'temporary 9')
  cache.seeInForce('alice', inForce('alice', 3))
  t.equal(limitOf('alice'), 'user 3', 'the temporary one was removed elsewhere')
  cache.seeInForce('alice', inForce('alice', 9, 'temporary', clock.now() + MINUTE))
  await clock.pass(MINUTE)
  t.equal(limitOf('alice'), 'user 3', 'it is no own limit, and ends')
  cache.seeInForce('alice', inForce('alice', 5, 'default'))
  t.equal(limitOf('alice'), 'default 5')
})

t.test('reads all limits ahead, and forgets those that are no more', async (t) => {
  const { clock, cache, limitOf, state, read, untilRead } = start()
  t.teardown(() => cache.stop())
  const temporary = { limit: 8, expiresAtMs: clock.now() + MINUTE, reason: '' }
  cache.seeOwn('removed', 1)
  cache.see(inForce('ended', 9, 'temporary', clock.now() + MINUTE))
  await clock.pass(1000)
  state.own = { alice: 3, bob: 0, many: -1 }
  state.temporary = { carol: temporary }
  await clock.pass(1)
  const readMs = clock.now()
  read()
  await untilRead()
  await settled()
  t.same(['alice', 'bob', 'many', 'removed', 'ended', 'carol'].map(limitOf), [
    'user 3',
    'user 0',
    'user 0',
    'default 5',
    'default 5',
    'temporary 8'
  ])
  t.equal(cache.ageMs('nobody'), clock.now() - readMs, 'who has no limit is known, too')
  t.same(state.errors, [])
})

t.test('what is seen while all limits are read is newer than they are', async (t) => {
  const { clock, cache, limitOf, state, read, untilRead } = start()
  t.teardown(() => cache.stop())
  const temporary = { limit: 8, expiresAtMs: clock.now() + MINUTE, reason: '' }
  state.own = { changed: 1 }
  state.temporary = { changed: temporary }
  let passed = Promise.resolve()
  state.onRead = () => {
    passed = clock.pass(1).then(() => cache.see(inForce('changed', 2)))
  }
  read()
  await passed
  await untilRead()
  t.equal(limitOf('changed'), 'user 2')
})

t.test('reads known temporary limits again every two seconds', async (t) => {
  const { clock, cache, limitOf, state, read, untilRead } = start()
  t.teardown(() => cache.stop())
  const until = (limit: number) => ({ limit, expiresAtMs: clock.now() + MINUTE, reason: '' })
  state.temporary = { removed: until(8), raised: until(8) }
  read()
  await untilRead()
  state.temporary = { raised: until(9) }
  await clock.pass(2000)
  await settled()
  t.same(['removed', 'raised'].map(limitOf), ['default 5', 'temporary 9'])
})

t.test('more own limits than fit: some are known, and it is said', async (t) => {
  const { clock, cache, limitOf, state, read, untilRead } = start(1000)
  t.teardown(() => cache.stop())
  state.own = Object.fromEntries(Array.from({ length: 1500 }, (_, i) => [`u${i}`, 7]))
  read()
  await untilRead()
  t.same(state.isFull, [true])
  const known = Object.keys(state.own).filter((name) => limitOf(name) === 'user 7')
  t.equal(known.length, 1000)
  t.equal(cache.ageMs('u0'), 0)
  t.equal(cache.ageMs('u1400'), undefined, 'no default is made up for who may have a limit')
  cache.seeInForce('u1400', inForce('u1400', 7))
  t.equal(limitOf('u1400'), 'user 7', 'who calls is known')
  state.own = { u3: 7 }
  await clock.pass(300_000)
  while (state.isFull.length < 2) await settled()
  t.same(state.isFull, [true, false])
})

t.test('keeps what it knows when a reading fails, and tells that', async (t) => {
  const { cache, limitOf, state, read } = start()
  t.teardown(() => cache.stop())
  cache.seeOwn('alice', 3)
  const away = storeUnavailable(new Error('gone'))
  state.onRead = () => {
    throw away
  }
  read()
  while (state.errors.length === 0) await settled()
  t.same(state.errors, [away])
  t.equal(limitOf('alice'), 'user 3')
  t.equal(cache.ageMs('nobody'), undefined)
})

t.test('a million limits are held, and each is found', async (t) => {
  const limits = new CompactLimits()
  for (let i = 0; i < 1_000_000; i++) limits.set(`user-${i}@example.net`, i % 1000)
  t.equal(limits.size, 1_000_000)
  let wrong = 0
  for (let i = 0; i < 1_000_000; i++) {
    if (limits.get(`user-${i}@example.net`) !== i % 1000) wrong++
  }
  for (let i = 0; i < 100_000; i++) if (limits.get(`other-${i}`) !== undefined) wrong++
  t.equal(wrong, 0)
  limits.set('user-1@example.net', -1)
  limits.set('user-2@example.net', 9_999_999_999)
  t.equal(limits.get('user-1@example.net'), 0, 'a negative limit is unlimited')
  t.equal(limits.get('user-2@example.net'), 2_147_483_647)
  t.equal(limits.size, 1_000_000)
})
