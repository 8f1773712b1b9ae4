/** What decides whether Redis is asked, on a clock that the tests move. */
import { Redis } from 'ioredis'
import t from 'tap'
import { storeUnavailable } from '../../services/errors.ts'
import { Breaker, type BreakerOptions, type Seen } from '../../services/outage/breaker.ts'
import { GuardedExecutor } from '../../services/outage/guarded-executor.ts'
import { Prober } from '../../services/outage/prober.ts'
import { RetryOnce } from '../../services/outage/retry-once.ts'
import { RedisExecutor } from '../../services/redis/executor.ts'
import { ManualClock, settled } from '../helpers/manual-clock.ts'
import { oneShard } from './one-shard.ts'

const seen: Seen = { generations: { key: 'g1' }, servers: ['s1'] }
const away = storeUnavailable(new Error('gone'))

/** A breaker on a clock of its own, and all that it told. */
function breakerOn (options: Partial<BreakerOptions> = {}) {
  const clock = new ManualClock()
  const told: string[] = []
  const breaker = new Breaker({
    recover: async (lostItsData) => {
      told.push(lostItsData ? 'recover what was lost' : 'recover')
    },
    settle: async () => {
      told.push('settle')
    },
    onKnown: ({ generations }) => told.push(`generation ${generations['key']}`),
    onChange: (open, cause) => told.push(open ? `open: ${(cause as Error).message}` : 'closed'),
    now: clock.now,
    random: () => 0,
    ...options
  })
  /** Has Redis serve probes for so long. */
  const serve = async (ms: number, what = seen) => {
    await breaker.served(what)
    for (let left = ms; left > 0; left -= 100) {
      await clock.pass(Math.min(100, left))
      await breaker.served(what)
    }
  }
  return { breaker, clock, told, serve }
}

t.test('the breaker', async (t) => {
  t.test('opens at the first failure, and tells that once', async (t) => {
    const { breaker, clock, told } = breakerOn()
    t.notOk(breaker.open)
    t.equal(breaker.openForMs, 0)
    breaker.trip(new Error('refused'))
    await clock.pass(1500)
    breaker.trip(new Error('refused again'))
    t.ok(breaker.open)
    t.equal(breaker.openForMs, 1500, 'since the first failure')
    t.same(told, ['open: refused'])
  })

  t.test('learns the generation of the data while it is closed', async (t) => {
    const { breaker, told } = breakerOn()
    await breaker.served(seen)
    await breaker.served(seen)
    t.notOk(breaker.open)
    t.same(told, ['generation g1'])
  })

  t.test('closes after Redis has served for 400 ms: told first, then asked', async (t) => {
    const { breaker, told, serve } = breakerOn()
    breaker.trip(new Error('refused'))
    await serve(399)
    t.ok(breaker.open)
    t.same(told, ['open: refused'])
    await serve(1)
    t.notOk(breaker.open)
    t.equal(breaker.openForMs, 0)
    const recovered = 'recover what was lost'
    t.same(told, ['open: refused', recovered, 'settle', 'generation g1', 'closed'])
  })

  t.test('spreads the return over 200 ms', async (t) => {
    const { breaker, serve } = breakerOn({ random: () => 0.5 })
    breaker.trip(new Error('refused'))
    await serve(499)
    t.ok(breaker.open)
    await serve(1)
    t.notOk(breaker.open)
  })

  t.test('begins to wait anew with every failure', async (t) => {
    const { breaker, serve } = breakerOn()
    breaker.trip(new Error('refused'))
    await serve(300)
    breaker.trip(new Error('refused again'))
    await serve(399)
    t.ok(breaker.open)
    await serve(1)
    t.notOk(breaker.open)
  })

  t.test('opens for a Redis that has lost its data, and has it told everything', async (t) => {
    const { breaker, told, serve } = breakerOn()
    await breaker.served(seen)
    await serve(400, { ...seen, generations: { key: 'g2' } })
    t.notOk(breaker.open)
    t.same(told, [
      'generation g1',
      'open: Redis has lost its data',
      'recover what was lost',
      'settle',
      'generation g2',
      'closed'
    ])
  })

  t.test('opens for a Redis that is another process than before', async (t) => {
    const { breaker, told, serve } = breakerOn()
    await breaker.served(seen)
    await serve(400, { ...seen, servers: ['s2'] })
    t.same(told.slice(1, 3), ['open: Redis was restarted, or another one took over', 'recover'])
    told.length = 0
    await serve(400, { ...seen, servers: ['s2'] })
    t.same(told, [], 'which it knows from then on')
  })

  t.test('stays open when Redis cannot be told, and tries again', async (t) => {
    let failures = 1
    const { breaker, told, serve } = breakerOn({
      recover: async () => {
        if (failures-- > 0) throw new Error('lost on the way')
        told.push('recovered')
      }
    })
    breaker.trip(new Error('refused'))
    await serve(400)
    t.ok(breaker.open)
    await serve(400)
    t.notOk(breaker.open)
    t.same(told, ['open: refused', 'recovered', 'settle', 'generation g1', 'closed'])
  })

  t.test('stays open when Redis is lost again while it is told', async (t) => {
    const { breaker, told, serve } = breakerOn({
      recover: async () => breaker.trip(new Error('lost again'))
    })
    breaker.trip(new Error('refused'))
    await serve(400)
    t.ok(breaker.open)
    t.same(told, ['open: refused'], 'nothing was settled')
  })

  t.test('takes no notice of probes while Redis is told', async (t) => {
    let recoveries = 0
    let done = () => {}
    const { breaker, serve } = breakerOn({
      recover: async () => {
        recoveries++
        await new Promise<void>((resolve) => {
          done = resolve
        })
      }
    })
    breaker.trip(new Error('refused'))
    await serve(399)
    const returning = serve(1)
    await settled()
    await serve(1000, { generations: { key: 'other' }, servers: ['other'] })
    t.ok(breaker.open)
    done()
    await returning
    t.equal(recoveries, 1)
    t.notOk(breaker.open)
  })

  t.test('makes those wait who ask in the last moments of a return', async (t) => {
    let fail = (_error: Error) => {}
    const { breaker, serve } = breakerOn({
      settle: async () =>
        await new Promise<void>((_resolve, reject) => {
          fail = reject
        })
    })
    t.equal(breaker.decided(), undefined)
    breaker.trip(new Error('refused'))
    t.equal(breaker.decided(), undefined, 'nobody waits while it is open')
    await serve(399)
    const returning = serve(1)
    await settled()
    const decided = breaker.decided()
    t.ok(decided instanceof Promise)
    fail(new Error('lost at the last moment'))
    await decided
    await returning
    t.ok(breaker.open, 'and a return that fails at last concerns nobody else')
    t.equal(breaker.decided(), undefined)
  })
})

t.test('the prober', async (t) => {
  /** A prober of a Redis that answers, fails or hangs as told. */
  const proberOf = (t: { teardown: (done: () => void) => void }) => {
    const clock = new ManualClock()
    const state = { takesMs: 0, fails: false, probes: 0, served: 0, failed: 0 }
    const prober = new Prober({
      probe: async () => {
        state.probes++
        const { takesMs, fails } = state
        if (takesMs > 0) await new Promise<void>((resolve) => clock.timer(resolve, takesMs))
        if (fails) throw away
        return 'seen'
      },
      onServed: () => state.served++,
      onFailed: () => state.failed++,
      now: clock.now,
      timer: clock.timer
    })
    t.teardown(() => prober.stop())
    return { clock, state, prober }
  }

  t.test('probes at the start and 200 ms after each answer', async (t) => {
    const { clock, state, prober } = proberOf(t)
    t.throws(() => prober.latencyMs(), { message: 'not probed yet' })
    await prober.start()
    t.equal(state.probes, 1)
    await clock.pass(199)
    t.equal(state.probes, 1)
    await clock.pass(1)
    t.equal(state.probes, 2)
    state.takesMs = 150
    await clock.pass(200)
    await clock.pass(349)
    t.equal(state.probes, 3, 'never two at once')
    await clock.pass(1)
    t.equal(state.probes, 4)
    t.equal(prober.latencyMs(), 150)
    t.same([state.served, state.failed], [3, 0])
  })

  t.test('fails for health after 500 ms without an answer', async (t) => {
    const { clock, state, prober } = proberOf(t)
    await prober.start()
    state.takesMs = 2000
    await clock.pass(200)
    await clock.pass(500)
    t.equal(prober.latencyMs(), 0, 'as last seen')
    await clock.pass(1)
    t.throws(() => prober.latencyMs(), { message: 'Redis does not answer' })
    await clock.pass(1499)
    t.equal(prober.latencyMs(), 2000, 'it has answered')
  })

  t.test('tells failures, goes on, and ends when it is stopped', async (t) => {
    const { clock, state, prober } = proberOf(t)
    state.fails = true
    await prober.start()
    t.throws(() => prober.latencyMs(), away)
    await clock.pass(400)
    t.equal(state.failed, 3)
    state.fails = false
    await clock.pass(200)
    t.equal(state.served, 1)
    prober.stop()
    t.equal(clock.timers, 0)
    await clock.pass(1000)
    t.equal(state.probes, 4)
  })
})

t.test('a question', async (t) => {
  const asked = (connected = true) => {
    const { breaker, told } = breakerOn()
    const tries: boolean[] = []
    const retry = new RetryOnce(oneShard(breaker), async () => connected)
    /** Asks; each try fails with what is given for it, or is answered. */
    const ask = async (...failures: Error[]) =>
      await retry.ask('alice', async (again) => {
        tries.push(again)
        const failure = failures.shift()
        if (failure !== undefined) throw failure
        return 'answer'
      })
    return { breaker, told, tries, ask }
  }

  t.test('is asked once when it is answered', async (t) => {
    const { breaker, tries, ask } = asked()
    t.equal(await ask(), 'answer')
    t.same(tries, [false])
    t.notOk(breaker.open)
  })

  t.test('is asked once more when the first try was lost', async (t) => {
    const { breaker, tries, ask } = asked()
    t.equal(await ask(away), 'answer')
    t.same(tries, [false, true])
    t.notOk(breaker.open, 'one cut connection is no outage')
  })

  t.test('opens the breaker when both tries are lost', async (t) => {
    const { breaker, told, tries, ask } = asked()
    await t.rejects(ask(away, storeUnavailable(new Error('again'))), away)
    t.same(tries, [false, true])
    t.ok(breaker.open)
    t.equal(told.length, 1)
    await t.rejects(ask(), { code: 'store_unavailable' })
    t.equal(tries.length, 2, 'and from then on Redis is not asked')
  })

  t.test('opens the breaker when the connection does not come back', async (t) => {
    const { breaker, tries, ask } = asked(false)
    await t.rejects(ask(away), away)
    t.same(tries, [false])
    t.ok(breaker.open)
  })

  t.test('that is at fault itself is not repeated, and is no outage', async (t) => {
    const { breaker, tries, ask } = asked()
    const mistake = new Error('WRONGTYPE')
    await t.rejects(ask(mistake), mistake)
    await t.rejects(ask(away, mistake), mistake)
    t.same(tries, [false, false, true])
    t.notOk(breaker.open)
  })

  t.test('waits until it is decided whether Redis is asked', async (t) => {
    let settle = () => {}
    const { breaker, serve } = breakerOn({
      settle: async () =>
        await new Promise<void>((resolve) => {
          settle = resolve
        })
    })
    breaker.trip(away)
    await serve(399)
    const returning = serve(1)
    await settled()
    let answered = false
    const retry = new RetryOnce(oneShard(breaker), async () => true)
    const asking = retry.ask('alice', async () => {
      answered = true
    })
    await settled()
    t.notOk(answered)
    settle()
    await Promise.all([returning, asking])
    t.ok(answered, 'and then asks it')
  })
})

t.test('the guard of lists and sweeps sends nothing while the breaker is open', async (t) => {
  const { breaker } = breakerOn()
  const client = new Redis({ lazyConnect: true })
  t.teardown(() => client.disconnect())
  const guarded = new GuardedExecutor(new RedisExecutor(client, 100), oneShard(breaker))
  t.equal(guarded.client, client)
  t.ok(guarded.scripts)
  await t.rejects(guarded.run(Promise.reject(away)), { code: 'store_unavailable' })
  t.notOk(breaker.open, 'a failure of its own concerns nobody else')
  breaker.trip(away)
  t.throws(() => guarded.client, { code: 'store_unavailable' })
  t.throws(() => guarded.scripts, { code: 'store_unavailable' })
})
