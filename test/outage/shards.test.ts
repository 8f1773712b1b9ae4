/** Which part of Redis is out, without a Redis: slots, masters and what callers and probes find. */
import t from 'tap'
import { storeUnavailable } from '../../services/errors.ts'
import type { ProbeKey } from '../../services/outage/shard.ts'
import { Shards } from '../../services/outage/shards.ts'
import { RedisKeys } from '../../services/redis/keys.ts'
import { SLOTS, slotOf, tagIn } from '../../services/redis/slots.ts'
import { waitFor } from '../helpers/wait.ts'

t.test('a key lies in the slot of its hash tag', async (t) => {
  // As CLUSTER KEYSLOT answers.
  for (const [key, slot] of [
    ['123456789', 12_739],
    ['a', 15_495],
    ['foo{bar}x', 5061],
    ['{}x', 10_595],
    ['user-leases:{alice}', 749],
    ['{ä}', 13_929]
  ] as const) {
    t.equal(slotOf(key), slot, key)
  }
  for (const slot of [0, 5061, SLOTS - 1]) t.equal(slotOf(`x:{${tagIn(slot)}}`), slot)
})

const NOT_SERVED = storeUnavailable(new Error('CLUSTERDOWN Hash slot not served'))
const LATE = storeUnavailable(new Error('Redis did not answer within 200 ms'))
const CUT = storeUnavailable(new Error('Connection is closed.'))

/** Three masters, and users by the master they lie on. */
function start (t: { teardown: (done: () => void) => void }) {
  const keys = new RedisKeys('p:', true)
  const state = {
    owners: (slot: number) => ['a', 'b', 'c'][Math.floor((slot * 3) / SLOTS)] ?? '',
    /** What a probe of a slot fails with. */
    failure: (_slot: number): Error | undefined => undefined,
    server: (node: string) => `process of ${node}`,
    generation: (_node: string) => 'g',
    told: [] as string[],
    onRead: () => {}
  }
  const shards = new Shards({
    keys,
    owners: {
      ownerOf: (slot) => state.owners(slot),
      onRead: (callback) => {
        state.onRead = callback
      }
    },
    probe: async ({ slot }: ProbeKey) => {
      const failure = state.failure(slot)
      if (failure !== undefined) throw failure
      const node = state.owners(slot)
      return { generation: state.generation(node), server: state.server(node) }
    },
    recover: async () => {},
    settle: async () => {},
    onChange: ({ breaker, size }) => state.told.push(`${size} ${breaker.open ? 'out' : 'back'}`)
  })
  t.teardown(() => shards.stop())
  const userOn = (node: string, except = '') => {
    for (let i = 0; ; i++) {
      const slot = slotOf(keys.user('user-leases', `u${i}`))
      if (state.owners(slot) === node && `u${i}` !== except) return `u${i}`
    }
  }
  const isOut = (username: string) => shards.of(username).breaker.open
  const slotOfUser = (username: string) => slotOf(keys.user('user-leases', username))
  return { keys, state, shards, userOn, isOut, slotOfUser }
}

t.test('a slot that is not served is out alone, and comes back', async (t) => {
  const { state, shards, userOn, isOut, slotOfUser } = start(t)
  await shards.start()
  const victim = userOn('a')
  const other = userOn('a', victim)
  state.failure = (slot) => (slot === slotOfUser(victim) ? NOT_SERVED : undefined)
  for (const error of [NOT_SERVED, LATE]) {
    shards.failed(victim, error)
    t.ok(isOut(victim))
    t.notOk(isOut(other))
    t.ok(shards.someOpen)
    t.notOk(shards.allOpen)
  }
  state.failure = () => undefined
  await waitFor(() => !shards.someOpen, { what: 'the slot to be back' })
  t.equal(shards.of(victim), shards.of(other), 'at its master')
  t.same(state.told, ['1 out', '1 back'])
})

t.test('a server that is lost is out with all of its slots, and no other', async (t) => {
  const { state, shards, userOn, isOut } = start(t)
  await shards.start()
  shards.failed(userOn('a'), CUT)
  t.same(['a', 'b', 'c'].map((node) => isOut(userOn(node))), [true, false, false])
  state.failure = (slot) => (state.owners(slot) === 'b' ? LATE : undefined)
  await waitFor(() => isOut(userOn('b')), { what: 'the probe to find b out' })
  t.notOk(isOut(userOn('c')))
  state.failure = () => undefined
  await waitFor(() => !shards.someOpen, { what: 'both to be back' })
})

t.test('a probe key in a slot that is not served puts nobody else out', async (t) => {
  const { keys, state, shards, isOut, slotOfUser } = start(t)
  const unserved = keys.generations.map(slotOf)
  state.failure = (slot) => (unserved.includes(slot) ? NOT_SERVED : undefined)
  await shards.start()
  t.ok(shards.someOpen)
  const users = Array.from({ length: 200 }, (_, i) => `u${i}`)
  const served = users.filter((user) => !unserved.includes(slotOfUser(user)))
  t.same(served.filter(isOut), [])
})

t.test('slots that move between masters that work put nobody out', async (t) => {
  const { state, shards, userOn, isOut } = start(t)
  await shards.start()
  const user = userOn('a')
  const before = state.owners
  state.owners = (slot) => (before(slot) === 'a' && slot % 2 === 0 ? 'b' : before(slot))
  state.onRead()
  state.owners = (slot) => (before(slot) === 'a' ? 'b' : before(slot))
  state.onRead()
  t.notOk(shards.someOpen)
  t.equal(shards.of(user), shards.of(userOn('b')))
  shards.failed(user, CUT)
  t.ok(isOut(user))
  t.notOk(isOut(userOn('c')))
})

t.test('a master that takes over stands for the one that was lost', async (t) => {
  const { state, shards, userOn, isOut } = start(t)
  await shards.start()
  const user = userOn('a')
  shards.failed(user, CUT)
  const shard = shards.of(user)
  const before = state.owners
  state.failure = (slot) => (before(slot) === 'a' ? CUT : undefined)
  state.owners = (slot) => (before(slot) === 'a' ? 'd' : before(slot))
  state.onRead()
  t.equal(shards.of(user), shard)
  t.ok(isOut(user))
  state.failure = () => undefined
  await waitFor(() => !isOut(user), { what: 'it to be back' })
  t.same(state.told.map((text) => text.split(' ')[1]), ['out', 'back'])
})

t.test('what a master lost that takes over is noticed, slot by slot, too', async (t) => {
  const { state, shards, userOn, isOut, slotOfUser } = start(t)
  await shards.start()
  const user = userOn('a')
  const before = state.owners
  state.generation = (node) => (node === 'd' ? 'lost' : 'g')
  state.owners = (slot) => (slot === slotOfUser(user) ? 'd' : before(slot))
  state.onRead()
  state.owners = (slot) => (before(slot) === 'a' ? 'd' : before(slot))
  state.onRead()
  t.equal(shards.of(user), shards.of(userOn('d')))
  await waitFor(() => isOut(user), { what: 'the loss to be noticed' })
  await waitFor(() => !isOut(user), { what: 'it to be back' })
})

t.test('parts of what was lost that others serve come back by themselves', async (t) => {
  const { state, shards, userOn, isOut, slotOfUser } = start(t)
  await shards.start()
  const [rescued, user] = [userOn('a'), userOn('a', userOn('a'))]
  shards.failed(user, CUT)
  const before = state.owners
  state.failure = (slot) => (before(slot) === 'a' && slot !== slotOfUser(rescued) ? CUT : undefined)
  state.owners = (slot) => (slot === slotOfUser(rescued) ? 'b' : before(slot))
  state.onRead()
  await waitFor(() => !isOut(rescued), { what: 'one slot to be back' })
  t.ok(isOut(user))
  t.equal(shards.of(rescued), shards.of(userOn('b')))
})

t.test('what helps a decision is not asked where it is out', async (t) => {
  const { keys, state, shards, userOn, isOut } = start(t)
  await shards.start()
  const key = keys.user('user-leases', userOn('a'))
  t.equal(await shards.ask(key, async () => 'answer'), 'answer')
  let tries = 0
  const cutOnce = async () => {
    if (++tries === 1) throw CUT
    return 'answer'
  }
  t.equal(await shards.ask(key, cutOnce), 'answer', 'a connection that was cut once is no outage')
  t.notOk(isOut(userOn('a')))
  state.failure = () => NOT_SERVED
  t.equal(await shards.ask(key, async () => await Promise.reject(NOT_SERVED)), undefined)
  t.ok(isOut(userOn('a')), 'and what was to be written is told when it is back')
  t.equal(await shards.ask(key, async () => t.fail('is asked')), undefined)
  await t.rejects(shards.ask(keys.policy, async () => await Promise.reject(new Error('bug'))), {
    message: 'bug'
  })
})
