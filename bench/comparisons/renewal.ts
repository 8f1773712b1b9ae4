/** Renewals through HTTP, one by one, against the bare twin. */
import type { Comparison } from '../bench.ts'
import { againstTwin } from '../harness/against-twin.ts'
import { load } from '../harness/load.ts'
import { SESSION, TTL_SECONDS } from '../harness/sessions.ts'
import { request } from '../harness/token.ts'

/** Each with one session. */
const USERS = 10_000
const ID = 'call-00{u}'

export default {
  name: 'renewal',
  title: 'POST /api/sessions/:session_id/renew, on Redis : bare twin',
  async run (bench) {
    const redis = await bench.redis()
    const service = await bench.service(redis)
    const admit = request('POST', '/api/sessions', { ...SESSION, session_id: ID })
    await load({
      port: service.port,
      templates: [admit],
      users: USERS,
      numbers: USERS,
      expect: [201],
      warmupMs: 0,
      durationMs: 30_000
    })
    const templates = [
      request('POST', `/api/sessions/${ID}/renew`, { username: SESSION.username, ttl: TTL_SECONDS })
    ]
    const asked = { templates, users: USERS, expect: [200], answers: ['"reregistered":false'] }
    return await againstTwin(bench, service, redis, asked)
  }
} satisfies Comparison
