/** Replicas that have a way to Redis each, so that one can be cut off and the other not. */
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { ADMIN, as, PATIENT, type Send } from '../helpers/app.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { startProxy, waitFor } from '../helpers/servers.ts'
import type { TcpProxy } from '../helpers/tcp-proxy.ts'
import { startOn, untilDegraded } from './service.ts'

/** A replica, and the way to Redis that is its own. */
export interface Replica {
  app: FastifyInstance
  way: TcpProxy
  /** Asks as an administrator. */
  send: Send
}

/** Two replicas on one Redis. */
export async function startTwo (
  t: Test,
  redis: RedisServer,
  env: NodeJS.ProcessEnv = {}
): Promise<[Replica, Replica]> {
  const start = async (): Promise<Replica> => {
    const way = await startProxy(t, redis)
    const url = `redis://${way.host}:${way.port}`
    const app = await startOn(t, { REDIS_URL: url, ...PATIENT, ...env })
    await untilDegraded(app, false)
    return { app, way, send: as(app, ADMIN) }
  }
  return [await start(), await start()]
}

export async function cutOff (...replicas: Replica[]): Promise<void> {
  for (const { app, way } of replicas) {
    way.reset()
    await untilDegraded(app, true)
  }
}

/** Lets replicas find Redis again, one after the other. */
export async function heal (...replicas: Replica[]): Promise<void> {
  for (const { app, way } of replicas) {
    way.pass()
    await untilDegraded(app, false)
  }
}

/**
 * Waits until what follows is later by every replica's clock: they differ by what the quickest
 * probe of each was under way, which on a busy machine may be a tenth of a second.
 */
export async function untilLater (): Promise<void> {
  const now = Date.now()
  await waitFor(() => Date.now() > now + 1_000, { what: 'a later time', everyMs: 10 })
}
