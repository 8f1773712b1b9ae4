/** What becomes of calls, 50 a second, while the service or its Redis is killed or stopped. */
import t, { type Test } from 'tap'
import { waitFor } from '../helpers/wait.ts'
import { LIMIT, type Scene, setScene } from './scene.ts'
import { type Callers } from './sipp.ts'
import { callsOf, tally, type Tally } from './tally.ts'

const PER_SECOND = 50
/** Calls before the fault, during it, while it is mended, and when all is well again. */
const [BEFORE, DURING, MENDING, AFTER] = [100, 200, 50, 50]
/** Calls all the while; `fault` begins after the first calls, `mend` ends it before the last. */
async function callThrough (
  t: Test,
  { stage }: Scene,
  fault: () => Promise<void> | void,
  mend: () => Promise<unknown> | void
): Promise<Tally> {
  const count = BEFORE + DURING + MENDING
  const calls = callsOf(60, 'outage')
  const callers = stage.call({ calls, count, perSecond: PER_SECOND, holdMs: 1000 })
  await answered(callers, BEFORE)
  await fault()
  await answered(callers, BEFORE + DURING)
  await mend()
  const result = tally(await callers.done)
  const waited = callers.waitedMs()
  const p99 = waited[Math.floor(waited.length * 0.99)] ?? NaN
  t.comment(`${JSON.stringify(result)}, p99 of the answers to INVITE ${p99} ms`)
  t.ok(p99 < 3000, 'nobody waited for what did not come')
  t.equal(result.up + refusals(result), count, 'every call had an answer')
  t.equal(result.hungUp, 0, 'no call was hung up')
  await waitFor(async () => (await stage.total()) === 0, {
    what: 'no session to be left',
    deadlineMs: 20_000
  })
  const { body } = await stage.http.ask('GET', '/api/sessions/active')
  t.strictSame(body.sessions, [], 'no session is left')

  const after = { calls, count: AFTER, perSecond: PER_SECOND, holdMs: 500 }
  const { up, hungUp } = tally(await stage.call(after).done)
  t.strictSame([up, hungUp], [AFTER, 0], 'all calls pass afterwards')
  await waitFor(async () => (await stage.total()) === 0, { what: 'their sessions to end' })
  return result
}

function refusals ({ refused }: Tally): number {
  return Object.values(refused).reduce((sum, one) => sum + one, 0)
}

async function answered (callers: Callers, count: number): Promise<void> {
  const finals = (): number =>
    callers.events().filter(({ what }) => what === 'up' || what === 'refused').length
  await waitFor(() => finals() >= count, {
    what: `${count} calls to be answered`,
    deadlineMs: 30_000
  })
}

t.test('the service is killed: calls pass, as configured', async (t) => {
  const scene = await setScene(t, { away: 'pass' })
  const { refused } = await callThrough(
    t,
    scene,
    async () => await scene.service.kill(),
    scene.restart
  )
  t.equal(refused[503], undefined, 'no call was refused for want of the service')
})

t.test('the service is killed: calls are refused, as configured', async (t) => {
  const scene = await setScene(t, { away: 'refuse', timeoutMs: 2000 })
  let emergency: Callers | undefined
  const { refused, most } = await callThrough(
    t,
    scene,
    async () => {
      await scene.service.kill()
      const calls: Array<[string, string]> = [['outage-1', 'urn:service:sos']]
      emergency = scene.stage.call({ calls, holdMs: 500 })
      await emergency.done
    },
    scene.restart
  )
  t.match(emergency?.events(), [{ what: 'up' }, { what: 'down' }], 'the emergency call passed')
  t.ok((refused[503] ?? 0) > DURING / 2, 'calls were refused with 503')
  t.ok(most <= LIMIT, 'no user was over its limit')
})

t.test('the service is stopped: calls pass, as configured', async (t) => {
  const scene = await setScene(t, { away: 'pass' })
  const { refused } = await callThrough(
    t,
    scene,
    () => scene.service.pause(),
    () => scene.service.resume()
  )
  t.equal(refused[503], undefined, 'no call was refused for want of the service')
})

t.test('Redis is killed: the service goes on, and so do calls', async (t) => {
  const scene = await setScene(t, { away: 'refuse', timeoutMs: 2000 })
  const { refused, most } = await callThrough(
    t,
    scene,
    async () => await scene.redis.kill(),
    async () => await scene.redis.restart({ keepData: true })
  )
  t.equal(refused[503], undefined, 'no call was refused for want of Redis')
  t.ok(most <= LIMIT, 'no user was over its limit')
})

t.test('Redis is stopped: the service goes on, and so do calls', async (t) => {
  const scene = await setScene(t, { away: 'refuse', timeoutMs: 2000 })
  const { refused, most } = await callThrough(
    t,
    scene,
    () => scene.redis.pause(),
    () => scene.redis.resume()
  )
  t.equal(refused[503], undefined, 'no call was refused for want of Redis')
  t.ok(most <= LIMIT, 'no user was over its limit')
})
