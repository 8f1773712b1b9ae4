/** Sessions as comparisons ask for them. */
import type { Bench } from '../bench.ts'
import { captureScriptCall, SAMPLE } from './captured-script.ts'
import type { HttpServer } from './http-server.ts'
import type { BenchRedis } from './redis.ts'
import { request } from './token.ts'

/** Long enough for every comparison. */
export const TTL_SECONDS = 3600

/** A session of the numbered user, with a numbered id. */
export const SESSION = { username: 'user-{u}', session_id: 'call-{n}', node: 'pbx-1', ttl: TTL_SECONDS }

/** An admission, and the release of what it took. */
export const ADMIT_AND_RELEASE = [request('POST', '/api/sessions', SESSION), request('DELETE', '/api/sessions/call-{n}?username=user-{u}')]

/** The script call by which the service admits. */
export async function captureAcquire (bench: Bench, redis: BenchRedis, service: HttpServer): Promise<string[]> {
  const session = { ...SESSION, username: `user-${SAMPLE.u}`, session_id: `call-${SAMPLE.n}` }
  // The first call may send the script's text; the second is as all others are. It is for another id, so as to take a slot.
  await admit(service, { ...session, session_id: 'call-to-make-the-script-known' })
  return await captureScriptCall(redis, bench.programs.redisCli, async () => await admit(service, session))
}

/** Admits a session. */
export async function admit (service: HttpServer, session: object): Promise<void> {
  await service.fetch('/api/sessions', {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(session)
  })
}
