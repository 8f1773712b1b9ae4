/**
 * A rival: `rate-limiter-flexible` behind the same Fastify. Each session consumes a point when it
 * starts and gives it back when it ends. This only counts: it does not know which sessions are up,
 * and a session that is released twice frees two slots.
 */
import { Redis } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { loadConfig } from '../../config.ts'
import { TTL_SECONDS } from '../harness/sessions.ts'
import { ANSWERS } from './answers.ts'
import { startTwin } from './build-twin.ts'

const { REDIS_URL: url = '', MAX_SESSIONS_PER_USER: points } = loadConfig()
const client = new Redis(url)
const limiter = new RateLimiterRedis({ storeClient: client, points, duration: TTL_SECONDS })

await startTwin(
  {
    'POST /api/sessions': async (request, reply) => {
      const { username } = request.body as { username: string }
      await limiter.consume(username)
      reply.code(201)
      return ANSWERS['POST /api/sessions']?.body
    },
    'DELETE /api/sessions/:session_id': async (request) => {
      const { username } = request.query as { username: string }
      await limiter.reward(username)
      return ANSWERS['DELETE /api/sessions/:session_id']?.body
    }
  },
  async () => {
    client.disconnect()
  }
)
