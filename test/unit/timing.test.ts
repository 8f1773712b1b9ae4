/** Deadlines, health checks, the policy, throttles and bounded maps. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import type { Policy } from '../../schemas/policy.ts'
import { parseInstant, toTimestamp } from '../../services/clock.ts'
import { storeUnavailable } from '../../services/errors.ts'
import { type Dependency, HealthMonitor } from '../../services/health/health-monitor.ts'
import { forEachLimit } from '../../services/util/for-each-limit.ts'
import { BoundedMap } from '../../services/util/bounded-map.ts'
import { MalformedValues } from '../../services/util/malformed-values.ts'
import { throttled } from '../../services/util/throttled.ts'
import { memoryPolicySource } from '../../services/policy/memory-policy-source.ts'
import { PolicyCache, type PolicySource } from '../../services/policy/policy.ts'
import { Deadlines } from '../../services/redis/deadlines.ts'
import { ManualClock } from '../helpers/manual-clock.ts'
import { waitFor } from '../helpers/wait.ts'

const policy: Policy = { enabled: true, max_sessions_per_user: 5, session_limit_action: 'reject' }

/** A promise and what settles it. */
function deferred<T> (): {
  promise: Promise<T>
  resolve(value: T): void
  reject(error: Error): void
} {
  let [resolve, reject]: [(value: T) => void, (error: Error) => void] = [() => {}, () => {}]
  const promise = new Promise<T>((_resolve, _reject) => {
    ;[resolve, reject] = [_resolve, _reject]
  })
  return { promise, resolve, reject }
}

t.test('deadlines', async (t) => {
  t.test(
    'whoever waits too long is told once, in the order in which they began, and nobody else',
    async (t) => {
      const deadlines = new Deadlines(30)
      const late: string[] = []
      const begin = (name: string) => deadlines.begin(() => late.push(name))
      const [, answered] = [begin('first'), begin('answered')]
      deadlines.end(answered)
      await new Promise((resolve) => setTimeout(resolve, 15))
      const beganMs = performance.now()
      begin('second')
      await waitFor(() => late.length > 0, { what: 'the first to be late', everyMs: 1 })
      await waitFor(() => late.length > 1, { what: 'the second to be late', everyMs: 1 })
      t.ok(performance.now() - beganMs >= 29, 'each from its own beginning')
      t.strictSame(late, ['first', 'second'])
      begin('third')
      await waitFor(() => late.length > 2, {
        what: 'one that began after all the others were over'
      })
    }
  )

  t.test('an answer that came while the process was held up is in time', async (t) => {
    const deadlines = new Deadlines(20)
    const { port1, port2 } = new MessageChannel()
    let late = false
    // From here the event loop comes to its timers before it reads what has arrived.
    await new Promise((resolve) => setImmediate(resolve))
    const answered = new Promise<void>((resolve) => {
      const question = deadlines.begin(() => {
        late = true
      })
      port1.once('message', () => {
        deadlines.end(question)
        resolve()
      })
    })
    port2.postMessage('answer')
    const untilMs = performance.now() + 60
    while (performance.now() < untilMs);
    await answered
    port1.close()
    t.notOk(late)
  })
})

t.test('health', async (t) => {
  /** A dependency that is well, unwell or hangs, as told. */
  const dependency = (required = true) => {
    const state = { well: true, hangs: false, looks: 0 }
    const check: Dependency['check'] = async () => {
      state.looks++
      if (state.hangs) await new Promise(() => {})
      if (!state.well) throw new Error('unwell')
    }
    return { state, dependency: { check, required } }
  }
  /** A monitor on a clock of its own, and what it told. */
  const monitorOf = (redis: Dependency | null, etcd: Dependency | null) => {
    const [clock, changes]: [ManualClock, string[]] = [new ManualClock(), []]
    const monitor = new HealthMonitor(
      { redis, etcd },
      (name, status) => changes.push(`${name} ${status}`),
      { now: clock.now, timer: clock.timer }
    )
    t.teardown(() => monitor.stop())
    return { monitor, clock, changes }
  }

  t.test('is known from the first look on', async (t) => {
    const [redis, etcd] = [dependency(), dependency(false)]
    etcd.state.well = false
    const { monitor, changes } = monitorOf(redis.dependency, etcd.dependency)
    await monitor.start()
    t.match(monitor.health, {
      status: 'degraded',
      components: {
        redis: { status: 'up', latency_ms: Number },
        etcd: { status: 'down', latency_ms: null }
      }
    })
    t.same(changes, ['etcd down'])
  })

  t.test('a required dependency is lost after 800 ms, and back after a second', async (t) => {
    const { state, dependency: redis } = dependency()
    const { monitor, clock, changes } = monitorOf(redis, null)
    await monitor.start()
    const seen = () => [monitor.health.status, monitor.health.components.redis.status]
    t.same(seen(), ['ok', 'up'])
    state.well = false
    await clock.pass(250)
    t.same(seen(), ['ok', 'down'], 'a blink is not an outage')
    await clock.pass(750)
    t.same(seen(), ['ok', 'down'])
    await clock.pass(250)
    t.same(seen(), ['down', 'down'])
    state.well = true
    await clock.pass(250)
    t.same(seen(), ['down', 'up'], 'nor is a moment the end of one')
    await clock.pass(750)
    t.same(seen(), ['down', 'up'])
    await clock.pass(250)
    t.same(seen(), ['ok', 'up'])
    t.same(changes, ['redis down', 'redis up'], 'each change is told once')
  })

  t.test('a look that hangs for 500 ms has failed', async (t) => {
    const { state, dependency: redis } = dependency()
    const { monitor, clock } = monitorOf(redis, null)
    await monitor.start()
    state.hangs = true
    await clock.pass(250 + 499)
    t.equal(monitor.health.components.redis.status, 'up')
    await clock.pass(1)
    t.equal(monitor.health.components.redis.status, 'down')
    await clock.pass(250 + 500)
    t.equal(monitor.health.status, 'down', 'lost since the first look that hung began')
    t.equal(state.looks, 3, 'one look at a time')
  })

  t.test('a monitor that was stopped looks no more', async (t) => {
    const { state, dependency: redis } = dependency()
    const { monitor, clock } = monitorOf(redis, null)
    await monitor.start()
    await clock.pass(250)
    t.equal(state.looks, 2)
    monitor.stop()
    await clock.pass(10_000)
    t.equal(state.looks, 2)
    t.equal(clock.timers, 0)
  })

  t.test('a check that throws at once is no different from one that rejects', async (t) => {
    const { monitor } = monitorOf(
      {
        check: () => {
          throw new Error('unwell')
        },
        required: true
      },
      null
    )
    await monitor.start()
    t.equal(monitor.health.status, 'down')
  })
})

t.test('the policy', async (t) => {
  t.test('in memory is changed member by member', async (t) => {
    const changes: Policy[] = []
    const cache = new PolicyCache(memoryPolicySource(policy), policy, (changed) =>
      changes.push(changed)
    )
    t.same(await cache.update({ max_sessions_per_user: 7 }), {
      ...policy,
      max_sessions_per_user: 7
    })
    await cache.update({ enabled: false })
    await cache.update({ enabled: false })
    t.same(cache.current, {
      enabled: false,
      max_sessions_per_user: 7,
      session_limit_action: 'reject'
    })
    t.equal(changes.length, 2, 'what changes nothing is not told')
  })

  t.test('that was read before a change was made here does not undo it', async (t) => {
    const reading = deferred<Policy>()
    const source: PolicySource = {
      read: async () => await reading.promise,
      update: async (change) => ({ ...policy, ...change })
    }
    const cache = new PolicyCache(source, policy)
    const refreshed = cache.refresh()
    await cache.update({ max_sessions_per_user: 9 })
    reading.resolve(policy)
    await refreshed
    t.equal(cache.current.max_sessions_per_user, 9)
  })

  t.test('that was read while a change was under way does not undo it either', async (t) => {
    const [reading, writing] = [deferred<Policy>(), deferred<Policy>()]
    const cache = new PolicyCache(
      { read: async () => await reading.promise, update: async () => await writing.promise },
      policy
    )
    const updated = cache.update({ max_sessions_per_user: 9 })
    const refreshed = cache.refresh()
    writing.resolve({ ...policy, max_sessions_per_user: 9 })
    await updated
    reading.resolve(policy)
    await refreshed
    t.equal(cache.current.max_sessions_per_user, 9)
  })

  t.test('holds while it cannot be read, and after a change that failed', async (t) => {
    const source: PolicySource = {
      read: async () => {
        throw storeUnavailable(new Error('away'))
      },
      update: async () => {
        throw storeUnavailable(new Error('away'))
      }
    }
    const cache = new PolicyCache(source, policy)
    const errors: unknown[] = []
    await cache.start((error) => errors.push(error))
    t.teardown(() => cache.stop())
    await t.rejects(cache.update({ enabled: false }), {
      code: 'store_unavailable',
      retryAfterSeconds: 1
    })
    await waitFor(() => errors.length >= 2, { what: 'a second reading' })
    t.same(cache.current, policy)
  })

  t.test('is read at the start and then again and again until it is stopped', async (t) => {
    let stored = { ...policy, max_sessions_per_user: 8 }
    let reads = 0
    const cache = new PolicyCache(
      {
        read: async () => {
          reads++
          return stored
        },
        update: async () => stored
      },
      policy
    )
    await cache.start(() => {})
    t.equal(cache.current.max_sessions_per_user, 8)
    stored = { ...policy, max_sessions_per_user: 3 }
    await waitFor(() => cache.current.max_sessions_per_user === 3, {
      what: 'the change of another replica'
    })
    cache.stop()
    const before = reads
    await t.rejects(waitFor(() => reads > before, { what: 'a further reading', deadlineMs: 800 }))
  })
})

t.test('malformed values are all counted, and logged once per kind and ten seconds', async (t) => {
  const told: Array<[string, string, number]> = []
  const malformed = new MalformedValues((...line) => told.push(line))
  for (let i = 0; i < 100; i++) malformed.note('limit_without_meaning', `key${i}`)
  malformed.note('sessions_wrong_type', 'key')
  t.same(
    [...malformed.counts],
    [
      ['limit_without_meaning', 100],
      ['sessions_wrong_type', 1]
    ]
  )
  t.same(told, [
    ['limit_without_meaning', 'key0', 1],
    ['sessions_wrong_type', 'key', 1]
  ])
  t.doesNotThrow(() => new MalformedValues().note('x', 'y'))
})

t.test('forEachLimit begins in order, with at most so many under way', async (t) => {
  const begun: number[] = []
  let [underWay, most] = [0, 0]
  await forEachLimit(
    Array.from({ length: 20 }, (_, i) => i),
    3,
    async (i) => {
      begun.push(i)
      most = Math.max(most, ++underWay)
      await nextTurn()
      underWay--
    }
  )
  t.strictSame(
    begun,
    Array.from({ length: 20 }, (_, i) => i)
  )
  t.equal(most, 3)
  await t.rejects(
    forEachLimit([1, 2, 3], 2, async (i) => {
      if (i === 2) throw new Error('no')
    }),
    { message: 'no' }
  )
})

t.test('throttled work takes its share of the time', async (t) => {
  async function * steps () {
    for (let i = 0; i < 5; i++) {
      const untilMs = performance.now() + 10
      while (performance.now() < untilMs);
      yield i
    }
  }
  const startedMs = performance.now()
  const got: number[] = []
  for await (const step of throttled(steps(), 0.25)) got.push(step)
  t.strictSame(got, [0, 1, 2, 3, 4])
  t.ok(performance.now() - startedMs > 5 * 4 * 10 - 10, 'work for 50 ms takes 200 ms')
})

t.test(
  'an instant is written as the platform writes it, from one day to another and back',
  async (t) => {
    const instants = [
      0, 1, 999, 59_999, 3_599_999, 86_399_999, 86_400_000, -1, -86_400_001, 1_790_000_000_123,
      1_790_000_000_123.9, 951_782_399_999, 951_868_800_000, 253_402_300_799_999,
      253_402_300_800_000, 8.64e15
    ]
    for (const ms of [...instants, ...instants.toReversed()]) {
      t.equal(toTimestamp(ms), new Date(ms).toISOString(), String(ms))
    }
    for (const ms of [NaN, Infinity, 8.64e15 + 86_400_000]) {
      t.throws(() => toTimestamp(ms), RangeError)
    }
    t.equal(toTimestamp(1), '1970-01-01T00:00:00.001Z', 'what is no time leaves nothing behind')
  }
)

t.test('an instant is read however RFC 3339 lets it be written', async (t) => {
  for (const [text, iso] of [
    ['2026-11-22T10:00:00Z', '2026-11-22T10:00:00.000Z'],
    ['2026-11-22t10:00:00z', '2026-11-22T10:00:00.000Z'],
    ['2026-11-22 10:00:00.5+05:30', '2026-11-22T04:30:00.500Z'],
    ['2026-11-22T10:00:00.1234567890Z', '2026-11-22T10:00:00.123Z'],
    ['2026-11-22T10:00:00.000000000000000001-00:00', '2026-11-22T10:00:00.000Z'],
    ['2024-02-29T23:59:59.999999999999Z', '2024-02-29T23:59:59.999Z']
  ] as const) {
    t.equal(parseInstant(text), Date.parse(iso), text)
  }
  for (const text of [
    '', 'now', '1764150000', '2026-11-22', '2026-11-22T10:00Z', '2026-11-22T10:00:00',
    '2026-11-22T10:00:00.Z', '2026-11-22T10:00:00,5Z', '2026-11-22T10:00:00+05',
    '2026-11-22T10:00:00+0530', '2026-11-22T10:00:00+24:00', '2026-11-22T10:00:00+05:60',
    '2026-02-29T00:00:00Z', '2026-11-22T24:00:00Z', '2026-12-31T23:59:60Z',
    ' 2026-11-22T10:00:00Z', '2026-11-22T10:00:00Z\n', '+002026-11-22T10:00:00Z'
  ]) {
    t.equal(parseInstant(text), undefined, JSON.stringify(text))
  }
})

t.test('a bounded map', async (t) => {
  t.test(
    'holds as many as told; the one that was put longest ago goes, even if others went before it',
    async (t) => {
      const map = new BoundedMap<string, number>(3)
      t.strictSame(
        ['a', 'b', 'c'].map((key, i) => map.put(key, i)),
        [undefined, undefined, undefined]
      )
      t.equal(
        map.put('a', 9),
        undefined,
        'one that is there already takes no place, and is the latest now'
      )
      t.equal(map.put('d', 1), 'b')
      map.delete('c')
      t.equal(map.put('e', 1), undefined)
      t.equal(map.put('f', 1), 'a')
      t.strictSame([...map.keys()], ['d', 'e', 'f'])
      map.clear()
      t.strictSame(
        ['g', 'h', 'i', 'j'].map((key) => map.put(key, 0)),
        [undefined, undefined, undefined, 'g']
      )
      t.equal(map.get('j'), 0)
    }
  )

  t.test('adds an entry at the same cost, however many went before', async (t) => {
    const [most, puts] = [100_000, 50_000]
    const map = new BoundedMap<number, number>(most)
    let next = 0
    const takes = () => {
      const startedMs = performance.now()
      for (let i = 0; i < puts; i++) map.put(next++, 0)
      return performance.now() - startedMs
    }
    const [, filling] = [takes(), takes()]
    const beyond = Array.from({ length: 5 }, takes)
    t.ok(
      Math.min(...beyond) < 10 * filling,
      `${filling.toFixed(1)} ms while it fills, ` +
        `then ${beyond.map((ms) => ms.toFixed(1)).join(', ')} ms`
    )
  })
})
