/**
 * One user's limit, read from Redis, against the bare twin. There is no goal: the twin asks nobody,
 * and a question to Redis alone costs more than a goal near 1 would leave for it.
 */
import type { Comparison } from '../bench.ts'
import { againstTwin } from '../harness/against-twin.ts'
import { resp } from '../harness/redis.ts'
import { request } from '../harness/token.ts'

const USERS = 10_000

export default {
  name: 'limits-read',
  title: 'GET /api/sessions/limits/:username, on Redis : bare twin',
  async run (bench) {
    const redis = await bench.redis()
    const key = (user: number) => `voice-ferry-c4:user-limit:user-${String(user).padStart(8, '0')}`
    await redis.load(Array.from({ length: USERS }, (_, user) => resp('SET', key(user), '25')))
    const templates = [request('GET', '/api/sessions/limits/user-{u}')]
    const service = await bench.service(redis)
    const asked = { templates, users: USERS, expect: [200], answers: ['"source":"user"'] }
    return await againstTwin(bench, service, redis, asked)
  }
} satisfies Comparison
