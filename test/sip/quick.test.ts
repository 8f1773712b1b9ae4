/** Calls through Kamailio, one situation at a time: what an answer means, and what ends a lease. */
import t, { type Test } from 'tap'
import { waitFor } from '../helpers/wait.ts'
import { serveHere } from '../faults/service.ts'
import { NODE } from './kamailio.ts'
import { type CallEvent, type Callers } from './sipp.ts'
import { setStage } from './stage.ts'

const CALLEE = 'sip:bob@example.net'
const service = await serveHere(t, { MOCK_SESSION_LIMITS: 'true' })
// The service may take its time: this file is to pass on a busy machine. Two calls to a request:
// the report of three goes in parts.
const options = { away: 'refuse', timeoutMs: 5000, reportItems: 2 } as const
const stage = await setStage(t, service, options)

t.test('the fourth of three calls is refused with 486, and a BYE frees its place', async (t) => {
  await stage.setLimit('alice', 3)
  const three = stage.call({ calls: Array(3).fill(['alice', CALLEE]), holdMs: 4000 })
  await stage.waitForCount('alice', 3)
  const [fourth] = await stage.call({ calls: [['alice', CALLEE]] }).done
  t.match(fourth, { what: 'refused', status: 486 })
  t.equal(await stage.count('alice'), 3)

  const events = await three.done
  t.strictSame(outcomes(events).sort(), ['down', 'down', 'down', 'up', 'up', 'up'])
  await stage.waitForCount('alice', 0)
  const [again] = await stage.call({ calls: [['alice', CALLEE]], holdMs: 100 }).done
  t.match(again, { what: 'up' })
  await stage.waitForCount('alice', 0)
})

t.test('a call that never came about leaves nothing', async (t) => {
  const situations = [
    { uri: 'sip:missing@example.net', status: 404 },
    { uri: 'sip:silent@example.net', status: 408 }
  ]
  for (const { uri, status } of situations) {
    const [event] = await stage.call({ calls: [['carol', uri]] }).done
    t.match(event, { what: 'refused', status })
    await stage.waitForCount('carol', 0)
  }
  const calls: Array<[string, string]> = [['carol', 'sip:ringing@example.net']]
  const [given] = await stage.call({ scenario: 'canceller', calls }).done
  t.match(given, { what: 'cancelled' })
  await stage.waitForCount('carol', 0)
})

t.test('a challenged INVITE comes again with the same Call-ID, and succeeds', async (t) => {
  await stage.setLimit('dave', 1)
  const challenged = stage.call({ calls: [['dave', 'sip:challenge@example.net']], holdMs: 3000 })
  await waitFor(() => challenged.events().length, { what: 'the call to be up' })
  t.match(challenged.events()[0], { what: 'up' })
  t.equal(await stage.count('dave'), 1)
  t.match((await challenged.done)[1], { what: 'down' })
  await stage.waitForCount('dave', 0)
})

t.test('an emergency call passes at the limit, counts, and stays', async (t) => {
  await stage.setLimit('erin', 1)
  const calls: Array<[string, string]> = [
    ['erin', CALLEE],
    ['erin', 'urn:service:sos'],
    ['erin', 'sip:112@example.net'],
    ['erin', 'sip:1120@example.net']
  ]
  const callers = stage.call({ calls, holdMs: 3000 })
  await stage.waitForCount('erin', 3)
  const events = await callers.done
  const expected = ['down', 'down', 'down', 'refused', 'up', 'up', 'up']
  t.strictSame(outcomes(events).sort(), expected)
  await stage.waitForCount('erin', 0)
})

t.test('what an operator ends is hung up', async (t) => {
  const callers = stage.call({ calls: Array(3).fill(['frank', CALLEE]), holdMs: 60_000 })
  await stage.waitForCount('frank', 3)
  await waitFor(() => callers.events().length === 3, { what: 'the calls to be up' })
  const [first] = callers.events()
  const path = `/api/sessions/${encodeURIComponent(first?.callId ?? '')}`
  await endAs(t, 'DELETE', path)
  await waitFor(() => callers.events().length === 4, { what: 'one call to be hung up' })
  t.match(callers.events()[3], { what: 'hung-up', callId: first?.callId })
  await endAs(t, 'DELETE', '/api/sessions/users/frank/sessions')
  const events = await callers.done
  t.strictSame(outcomes(events), ['up', 'up', 'up', 'hung-up', 'hung-up', 'hung-up'])
  await stage.waitForCount('frank', 0)
})

t.test('the node reports what is up, and nothing else', async (t) => {
  const calls: Array<[string, string]> = [['grace', CALLEE], ['grace', 'sip:missing@example.net']]
  const callers = stage.call({ calls, holdMs: 2500 })
  const node = async (): Promise<{ sessions: number } | undefined> => {
    const { body } = await stage.http.ask('GET', '/api/sessions/nodes')
    return body.nodes.find((one: { node: string }) => one.node === NODE)
  }
  await waitFor(async () => (await node())?.sessions === 1, { what: 'the node to have one call' })
  await callers.done
  await waitFor(async () => (await node())?.sessions === 0, { what: 'the node to have none' })
  t.equal(await stage.count('grace'), 0)
})

t.test('each refusal has its answer to the caller', async (t) => {
  const take = { username: 'ivan', session_id: 'taken', ttl: 60 }
  t.equal((await stage.http.ask('POST', '/api/sessions', take)).status, 201)
  const over = { sessions: [{ session_id: 'over', attempt: 1 }] }
  t.equal((await stage.http.ask('POST', '/api/sessions/release', over)).status, 200)
  const situations = [
    { user: 'x'.repeat(300), callId: 'long', status: 400 },
    { user: 'judy', callId: 'taken', status: 403 },
    { user: 'judy', callId: 'over', status: 487 }
  ]
  for (const { user, callId, status } of situations) {
    const [event] = await stage.call({ calls: [[user, CALLEE]], callId }).done
    t.match(event, { what: 'refused', status }, callId)
  }
})

t.test('room is made by hanging up the oldest call, but never an emergency call', async (t) => {
  await policy(t, 'terminate_oldest')
  await stage.setLimit('heidi', 1)
  const up = async (uri: string, holdMs: number): Promise<Callers> => {
    const callers = stage.call({ calls: [['heidi', uri]], holdMs })
    await waitFor(() => callers.events().length, { what: 'the call to be up' })
    return callers
  }
  const emergency = await up('urn:service:sos', 6000)
  const first = await up(CALLEE, 60_000)
  const second = await up(CALLEE, 500)
  t.strictSame(outcomes(await first.done), ['up', 'hung-up'])
  t.strictSame(outcomes(await second.done), ['up', 'down'])
  t.strictSame(outcomes(await emergency.done), ['up', 'down'], 'the emergency call stays')
  await policy(t, 'reject')
  await stage.waitForCount('heidi', 0)
})

function outcomes (events: CallEvent[]): string[] {
  return events.map(({ what }) => what)
}

async function policy (t: Test, action: string): Promise<void> {
  const body = { session_limit_action: action }
  t.equal((await stage.http.ask('PUT', '/api/sessions/limits', body)).status, 200)
}

async function endAs (t: Test, method: string, path: string): Promise<void> {
  t.equal((await stage.http.ask(method, path)).status, 200)
}
