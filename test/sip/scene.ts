/** A stage with Redis and the service in processes of their own, to be killed and stopped. */
import { freePort } from '../helpers/ports.ts'
import { type Teardown } from '../helpers/process.ts'
import { type RedisServer } from '../helpers/redis-server.ts'
import { startRedis } from '../helpers/servers.ts'
import { serveApart, type ServiceProcess } from '../faults/service.ts'
import { setStage, type Stage, type StageOptions } from './stage.ts'

/** The limit that every user has. */
export const LIMIT = 3

export interface Scene {
  redis: RedisServer
  service: ServiceProcess
  stage: Stage
  /** Starts the service again, at the same address. */
  restart(): Promise<ServiceProcess>
}

/** Starts Redis, the service, the proxy and the callee. */
export async function setScene (t: Teardown, options: StageOptions): Promise<Scene> {
  const redis = await startRedis(t, { args: ['--appendonly', 'yes'] })
  const port = await freePort()
  const env = { REDIS_URL: redis.url, MAX_SESSIONS_PER_USER: String(LIMIT) }
  const restart = async (): Promise<ServiceProcess> => await serveApart(t, env, port)
  const service = await restart()
  return { redis, service, stage: await setStage(t, service, options), restart }
}
