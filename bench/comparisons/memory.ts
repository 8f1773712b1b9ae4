/** What a session costs Redis: all keys that a user with one session has. */
import type { Bench, Comparison } from '../bench.ts'
import { counted } from '../harness/estimate.ts'
import type { BenchRedis } from '../harness/redis.ts'
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
  const before = await allKeys(redis)
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
  const after = await allKeys(redis)
  const added = after.keys - before.keys
  if (added < USERS) throw new Error(`${USERS} sessions have added ${added} keys`)
  return (after.bytes - before.bytes) / USERS
}

/** How many keys there are, and the memory of all of them. */
async function allKeys (redis: BenchRedis): Promise<{ keys: number; bytes: number }> {
  const script = `
    local keys, bytes = redis.call('KEYS', '*'), 0
    for _, key in ipairs(keys) do
      bytes = bytes + redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0)
    end
    return { #keys, bytes }`
  const [keys, bytes] = (await redis.cli('EVAL', script, '0')).split('\n').map(Number)
  return { keys: keys ?? NaN, bytes: bytes ?? NaN }
}
