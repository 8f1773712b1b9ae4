/**
 * A rival: `redis-semaphore` behind the same Fastify. Each user is a semaphore, each session a slot
 * under its own id. It is tried once and not refreshed: the caller renews, as with the service.
 */
import { Redis } from 'ioredis'
import { Semaphore } from 'redis-semaphore'
import { loadConfig } from '../../config.ts'
import { ANSWERS } from './answers.ts'
import { startTwin } from './build-twin.ts'

interface Admission {
  username: string
  session_id: string
  ttl: number
}

const { REDIS_URL: url = '', MAX_SESSIONS_PER_USER: limit } = loadConfig()
const client = new Redis(url)
const once = { acquireAttemptsLimit: 1, refreshInterval: 0 }

await startTwin(
  {
    'POST /api/sessions': async (request, reply) => {
      const { username, session_id: identifier, ttl } = request.body as Admission
      const semaphore = new Semaphore(client, username, limit, {
        ...once,
        identifier,
        lockTimeout: ttl * 1000
      })
      if (!(await semaphore.tryAcquire())) throw new Error('the limit is reached')
      reply.code(201)
      return ANSWERS['POST /api/sessions']?.body
    },
    'DELETE /api/sessions/:session_id': async (request) => {
      const { session_id: identifier } = request.params as { session_id: string }
      const { username } = request.query as { username: string }
      await new Semaphore(client, username, limit, {
        ...once,
        identifier,
        acquiredExternally: true
      }).release()
      return ANSWERS['DELETE /api/sessions/:session_id']?.body
    }
  },
  async () => {
    client.disconnect()
  }
)
