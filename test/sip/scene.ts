/** A stage with Redis and the service in processes of their own, to be killed and stopped. */
import { freePort } from '../helpers/ports.ts'
import { type Teardown } from '../helpers/process.ts'
import { type RedisServer } from '../helpers/redis-server.ts'
import { startRedis } from '../helpers/servers.ts'
import { httpClient } from '../faults/http-client.ts'
import { serveApart, type ServiceProcess } from '../faults/service.ts'
import { NODE } from './kamailio.ts'
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
  const proxy = { url: service.url, token: await makeKey(service) }
  const stage = await setStage(t, service, { service: proxy, ...options })
  return { redis, service, stage, restart }
}

/** An API key with which the proxy may change sessions of its own node only. */
async function makeKey ({ url, token }: ServiceProcess): Promise<string> {
  const http = httpClient(url, token)
  const wanted = { name: NODE, role: 'switch', node: NODE }
  const { status, body } = await http.ask('POST', '/api/auth/api-keys', wanted)
  http.close()
  if (status !== 201) throw new Error(`no key was made: ${status} ${JSON.stringify(body)}`)
  return body.key
}
