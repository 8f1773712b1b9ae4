/** Sessions as comparisons ask for them. */
import type { Bench } from '../bench.ts'
import type { Target } from './against-twin.ts'
import { captureScriptCall, SAMPLE } from './captured-script.ts'
import type { HttpServer } from './http-server.ts'
import type { BenchRedis } from './redis.ts'
import { load, nextNumbers, type Load } from './load.ts'
import { request } from './token.ts'

/** Longer than any comparison takes. */
export const TTL_SECONDS = 3600

/** How long a server may take to warm up. */
const WARM_UP_DEADLINE_MS = 60_000

/** The first releases are not counted, but most must be: they take less time than admissions. */
const [RELEASE_WARMUP_SHARE, RELEASE_DEADLINE_MS] = [0.25, 30_000]

/** A session of the numbered user, with a numbered id. */
export const SESSION = {
  username: 'user-{u}',
  session_id: 'call-{n}',
  node: 'pbx-1',
  ttl: TTL_SECONDS
}

/** So many users that each session of each load has another one. */
export const EVER_NEW_USERS = 99_999_999

/** An admission, and the release of what it took. */
const ADMIT = request('POST', '/api/sessions', SESSION)
const RELEASE = request('DELETE', '/api/sessions/call-{n}?username=user-{u}')
const ADMIT_AND_RELEASE = [ADMIT, RELEASE]

/** What answers contain where a slot was taken, and released, in Redis. */
const [ADMITTED, RELEASED] = [
  '"terminated":[],"degraded":false',
  '"released":true,"degraded":false'
]

/** Admissions only, each for another user. */
export const ADMISSIONS = {
  templates: [ADMIT],
  users: EVER_NEW_USERS,
  expect: [201],
  answers: [ADMITTED]
}

/** Has a server's code compiled before it is measured. */
export async function warmUp ({ port }: Pick<HttpServer, 'port'>, admissions: number) {
  const untilAllAreAnswered = { numbers: admissions, warmupMs: 0, durationMs: WARM_UP_DEADLINE_MS }
  await load({ ...ADMISSIONS, ...untilAllAreAnswered, port })
}

/** Admissions and releases in turn, each of a session of one of some users. */
export const TAKE_AND_RELEASE = {
  templates: ADMIT_AND_RELEASE,
  users: 10_000,
  expect: [200, 201],
  answers: [ADMITTED, RELEASED]
}

/** Admissions only, as fast as they are answered, then the releases of exactly those sessions. */
export async function admitThenRelease (
  bench: Bench,
  target: Target
): Promise<{ admission: Load; release: Load }> {
  const common = { ...target, users: EVER_NEW_USERS, firstNumber: nextNumbers() }
  const admission = await load({ ...ADMISSIONS, ...bench.pace, ...common })
  const release = await load({
    ...common,
    templates: [RELEASE],
    numbers: admission.numbers,
    warmupMs: bench.pace.warmupMs * RELEASE_WARMUP_SHARE,
    durationMs: RELEASE_DEADLINE_MS,
    expect: [200],
    answers: [RELEASED]
  })
  return { admission, release }
}

/** The script calls with which the service admits, renews and releases. */
export async function captureScripts (redis: BenchRedis, service: HttpServer) {
  const session = { ...SESSION, username: `user-${SAMPLE.u}`, session_id: `call-${SAMPLE.n}` }
  const verbs = [admit, renew, release]
  // The first call may send the script's text; all later ones are alike. It has an id of its own,
  // so that the captured call takes a slot.
  for (const verb of verbs) {
    await verb(service, { ...session, session_id: 'call-to-make-the-script-known' })
  }
  const captured: string[][] = []
  for (const verb of verbs) {
    captured.push(await captureScriptCall(redis, async () => await verb(service, session)))
  }
  const [acquire = [], renewal = [], ending = []] = captured
  return { acquire, renew: renewal, release: ending }
}

type Session = typeof SESSION

/** Admits a session. */
export async function admit (service: HttpServer, session: Session): Promise<void> {
  await service.fetch('/api/sessions', json(session))
}

async function renew (
  service: HttpServer,
  { session_id: id, username, ttl }: Session
): Promise<void> {
  await service.fetch(`/api/sessions/${id}/renew`, json({ username, ttl }))
}

async function release (service: HttpServer, { session_id: id, username }: Session): Promise<void> {
  await service.fetch(`/api/sessions/${id}?username=${username}`, { method: 'DELETE' })
}

function json (body: object): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body)
  }
}
