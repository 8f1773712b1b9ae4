/** What becomes of leases when the proxy is killed, and of an INVITE that is given up early. */
import t from 'tap'
import { waitFor } from '../helpers/wait.ts'
import { setScene } from './scene.ts'
import { setStage } from './stage.ts'

const three = Array(3).fill(['alice', 'sip:bob@example.net'])

t.test('the places of a killed proxy are free after the TTL', async (t) => {
  const { stage } = await setScene(t, { away: 'refuse', timeoutMs: 2000, ttlSeconds: 10 })
  const callers = stage.call({ calls: three, holdMs: 60_000 })
  await stage.waitForCount('alice', 3)
  await stage.proxy.kill()
  callers.kill()
  t.equal(await stage.count('alice'), 3)
  await stage.waitForCount('alice', 0, 12_000)
})

t.test('the places of a killed proxy are free after its first report', async (t) => {
  const { stage } = await setScene(t, { away: 'refuse', timeoutMs: 2000, ttlSeconds: 3600 })
  const callers = stage.call({ calls: three, holdMs: 60_000 })
  await stage.waitForCount('alice', 3)
  // Calls younger than 10 s are spared: they may have begun while the list was on its way.
  const begun = Date.now()
  await waitFor(() => Date.now() > begun + 11_000, {
    what: 'the calls to be older than 10 s',
    deadlineMs: 15_000
  })
  await stage.proxy.kill()
  callers.kill()
  t.equal(await stage.count('alice'), 3)
  await stage.restartProxy()
  await stage.waitForCount('alice', 0)
})

t.test('a caller gives up while the service is thinking', async (t) => {
  const { service, stage } = await setScene(t, { away: 'refuse', timeoutMs: 10_000 })
  service.pause()
  const calls: Array<[string, string]> = [['heidi', 'sip:bob@example.net']]
  const canceller = stage.call({ scenario: 'canceller', calls, rings: false })
  await waitFor(() => canceller.events().length, { what: 'the caller to give up' })
  service.resume()
  const [given] = await canceller.done
  await stage.waitForCount('heidi', 0)
  const path = `/api/sessions/${encodeURIComponent(given?.callId ?? '')}/renew`
  const { status } = await stage.http.ask('POST', path, { username: 'heidi', attempt: 1 })
  t.equal(status, 410, 'the attempt has ended')
})

t.test('with a wrong key the proxy does what it was told to do without the service', async (t) => {
  const { service } = await setScene(t, { away: 'pass' })
  for (const [away, outcome] of [['pass', 'up'], ['refuse', 'refused']] as const) {
    const stage = await setStage(t, { ...service, token: 'wrong' }, { away, timeoutMs: 2000 })
    const calls: Array<[string, string]> = [['karl', 'sip:bob@example.net']]
    const [event] = await stage.call({ calls, holdMs: 100 }).done
    t.match(event, { what: outcome })
  }
})
