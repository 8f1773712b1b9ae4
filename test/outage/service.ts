/** A service whose Redis is taken away, and what is asked of it meanwhile. */
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { ADMIN, type Answer, as, startApp } from '../helpers/app.ts'
import type { KnownSession } from '../helpers/audit.ts'
import { waitFor } from '../helpers/wait.ts'

/** Starts a service on a Redis, with the time for answers that a busy machine may need. */
export async function startOn (t: Test, env: NodeJS.ProcessEnv): Promise<FastifyInstance> {
  return await startApp(t, {
    REDIS_TIMEOUT_MS: '2000',
    GHOST_SWEEP_INTERVAL_SECONDS: '0',
    ...env
  })
}

/** Takes a slot. */
export async function acquire (
  app: FastifyInstance,
  { username, id, node }: KnownSession
): Promise<Answer> {
  const body = { username, session_id: id, ...(node !== undefined && { node }) }
  return await as(app, ADMIN)('POST', '/api/sessions', body)
}

/** Gives a slot back. */
export async function release (
  app: FastifyInstance,
  { username, id }: KnownSession
): Promise<Answer> {
  return await as(app, ADMIN)('DELETE', `/api/sessions/${id}?username=${username}`)
}

/** Waits until all admissions are decided by Redis (`false`), or this one without it (`true`). */
export async function untilDegraded (app: FastifyInstance, wanted: boolean): Promise<void> {
  const what = wanted ? 'the outage to be noticed' : 'admissions to be decided by Redis'
  await waitFor(
    async () => {
      const { status, body } = await as(app, ADMIN)('POST', '/api/sessions', {
        username: 'probe',
        session_id: 'probe',
        dry_run: true
      })
      if (status === 503 || wanted) return status === 503 ? wanted : body.degraded
      // In a Cluster others may be out yet.
      const { components } = (await as(app, null)('GET', '/healthz/ready')).body
      return body.degraded === false && components.redis.status === 'up'
    },
    { what, deadlineMs: 60_000 }
  )
}

/** Waits until readiness says so. */
export async function untilStatus (app: FastifyInstance, status: string): Promise<void> {
  await waitFor(
    async () => (await as(app, null)('GET', '/healthz/ready')).body.status === status,
    { what: `readiness to say ${status}` }
  )
}

/** Keeps a replica from asking its Redis; a Cluster has too many ways to cut. */
export async function muzzle (app: FastifyInstance): Promise<() => Promise<void>> {
  const { redis } = app
  const send = redis.sendCommand.bind(redis)
  redis.sendCommand = (command) => {
    command.reject(new Error('cut off'))
    return command.promise
  }
  await untilDegraded(app, true)
  return async () => {
    redis.sendCommand = send
    await untilDegraded(app, false)
  }
}
