/** What a session costs Redis: all keys that a user with one session has. */
import type { Bench, Comparison } from '../bench.ts'
import { counted } from '../harness/estimate.ts'
import { admit, TTL_SECONDS } from '../harness/sessions.ts'

const USERS = 1000

const details = {
  call_id: '3848276298220188511@pbx1.example.net',
  from: 'sip:alice@example.net',
  to: 'sip:+14155550100@carrier.example.net',
  direction: 'outbound'
}

export default {
  name: 'memory',
  title: 'Memory of a session in Redis',
  async run (bench) {
    return [
      {
        what: 'a user with one session',
        measured: counted(await bytesPerSession(bench, {})),
        unit: 'bytes',
        goal: { atMost: 320 },
        note: `MEMORY USAGE of all keys that ${USERS} such users have added, divided by ${USERS}`
      },
      {
        what: 'the same with call_id, from, to and direction',
        measured: counted(await bytesPerSession(bench, details)),
        unit: 'bytes'
      }
    ]
  }
} satisfies Comparison

async function bytesPerSession (bench: Bench, given: object): Promise<number> {
  const redis = await bench.redis()
  const service = await bench.service(redis)
  const keys = async () => (await redis.cli('KEYS *')).split('\n').filter(Boolean)
  const before = new Set(await keys())
  for (let i = 0; i < USERS; i++) {
    const number = String(i).padStart(8, '0')
    await admit(service, {
      username: `user-${number}`,
      session_id: `call-00${number}`,
      node: 'pbx-1',
      ttl: TTL_SECONDS,
      ...given
    })
  }
  const added = (await keys()).filter((key) => !before.has(key))
  if (added.length < USERS) throw new Error(`${USERS} sessions have added ${added.length} keys`)
  const sizes = (await redis.cli(...added.map((key) => `MEMORY USAGE "${key}" SAMPLES 0`))).split(
    '\n'
  )
  return sizes.reduce((sum, size) => sum + Number(size), 0) / USERS
}
