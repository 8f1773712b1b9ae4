/** Replicas that have a way to Redis each, so that one can be cut off and the other not. */
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { ADMIN, as, connected, PATIENT, type Send } from '../helpers/app.ts'
import type { RedisServer } from '../helpers/redis-server.ts'
import { startCluster, startProxy, startRedis, waitFor } from '../helpers/servers.ts'
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

/** Two replicas on a Cluster. */
export async function startTwoInCluster (t: Test) {
  const { masters } = await startCluster(t, 3, 0)
  const nodes = masters.map(({ host, port }) => `${host}:${port}`).join()
  const start = async () => await startOn(t, { REDIS_CLUSTER_NODES: nodes, ...PATIENT })
  const [one, other] = [await start(), await start()]
  for (const app of [one, other]) await untilDegraded(app, false)
  return { masters, one, other }
}

/** Two replicas whose callers are bound to their nodes; the way of the far one can be cut. */
export async function startNearAndFar (t: Test) {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis)
  const env = { BIND_NODES: 'true', MAX_SESSIONS_PER_USER: '0' }
  const near = await startOn(t, { REDIS_URL: redis.url, ...env })
  const far = await startOn(t, { REDIS_URL: `redis://${proxy.host}:${proxy.port}`, ...env })
  await connected(near, far)
  return { redis, proxy, near, far }
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
