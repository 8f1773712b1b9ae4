/** The Node client of integrations/drachtio, against the service. */
import t, { type Test } from 'tap'
import { waitFor } from '../helpers/wait.ts'
import { httpClient } from '../faults/http-client.ts'
import { serveHere } from '../faults/service.ts'

interface Call {
  session_id: string
  attempt: number
  username: string
  emergency?: boolean
}
type Verdict = { go: true } | { go: false; status: number; reason: string }
interface Client {
  admit(call: Call): Promise<Verdict>
  end(call: Call): void
  report(): Promise<void>
  close(): Promise<void>
}

const file = new URL('../../integrations/drachtio/session-limits.mjs', import.meta.url)
const { SessionLimits } = (await import(file.href)) as {
  SessionLimits: new (settings: object) => Client
}

const service = await serveHere(t, { MOCK_SESSION_LIMITS: 'true', MAX_SESSIONS_PER_USER: '1' })
const http = httpClient(service.url, service.token)
t.teardown(() => http.close())

function client (t: Test, settings: object = {}): { limits: Client; hungUp: string[] } {
  const hungUp: string[] = []
  const limits = new SessionLimits({
    url: service.url,
    key: service.token,
    node: 'drachtio-1',
    timeoutMs: 5000,
    hangUp: (id: string) => hungUp.push(id),
    ...settings
  })
  t.teardown(async () => await limits.close())
  return { limits, hungUp }
}

async function count (username: string): Promise<number> {
  return (await http.ask('GET', `/api/sessions/counts/${username}`)).body.count
}

t.test('one call is admitted, the next refused, and the end of the first makes room', async (t) => {
  const { limits } = client(t)
  const first = { session_id: 'a1', attempt: 1, username: 'alice' }
  t.strictSame(await limits.admit(first), { go: true })
  const second = { session_id: 'a2', attempt: 1, username: 'alice' }
  t.strictSame(await limits.admit(second), { go: false, status: 486, reason: 'Busy Here' })
  const emergency = { ...second, session_id: 'a3', emergency: true }
  t.strictSame(await limits.admit(emergency), { go: true })
  limits.end(first)
  limits.end(emergency)
  await waitFor(async () => (await count('alice')) === 0, { what: 'both calls to be released' })
  t.strictSame(await limits.admit({ ...first, attempt: 2 }), { go: true })
  t.match(await limits.admit(first), { go: false, status: 487 })
})

t.test('what an operator ends is hung up with the next report', async (t) => {
  const { limits, hungUp } = client(t)
  await limits.admit({ session_id: 'b1', attempt: 1, username: 'bob' })
  await limits.report()
  t.strictSame(hungUp, [])
  await http.ask('DELETE', '/api/sessions/users/bob/sessions')
  await limits.report()
  t.strictSame(hungUp, ['b1'])
})

t.test('without the service calls pass or are refused, as chosen', async (t) => {
  const call = { session_id: 'c1', attempt: 1, username: 'carol' }
  const away = { url: 'http://127.0.0.1:9' }
  t.strictSame(await client(t, away).limits.admit(call), { go: true })
  const { limits } = client(t, { ...away, away: 'refuse' })
  t.match(await limits.admit(call), { go: false, status: 503 })
  t.strictSame(await limits.admit({ ...call, emergency: true }), { go: true })
})
