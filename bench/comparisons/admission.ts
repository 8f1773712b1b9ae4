/** Admissions and releases through HTTP, against the bare twin. */
import type { Comparison } from '../bench.ts'
import { againstTwin } from '../harness/against-twin.ts'
import { ADMIT_AND_RELEASE } from '../harness/sessions.ts'

export default {
  name: 'admission',
  title: 'POST /api/sessions, each with its DELETE, on Redis : bare twin',
  async run (bench) {
    const redis = await bench.redis()
    return await againstTwin(bench, redis, { templates: ADMIT_AND_RELEASE, users: 10_000, expect: [200, 201] }, { rate: 0.85, cpu: 1.15 })
  }
} satisfies Comparison
