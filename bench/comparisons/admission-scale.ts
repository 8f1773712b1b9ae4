/** What an admission takes when there is much in Redis already, against an empty one. */
import type { Bench, Comparison } from '../bench.ts'
import { load, nextNumbers } from '../harness/load.ts'
import { median } from '../harness/median.ts'
import { redisLoad } from '../harness/redis-load.ts'
import { ADMIT_AND_RELEASE, captureAcquire } from '../harness/sessions.ts'

const [USERS, USERS_QUICK] = [1_000_000, 100_000]
const SESSIONS_OF_ONE = 1000
const AT_ONCE = 100_000
const ONE = 'user-00000007'

export default {
  name: 'admission-scale',
  title: 'Median time of an admission: much in Redis : empty Redis',
  async run (bench) {
    const users = bench.quick ? USERS_QUICK : USERS
    const empty = await prepare(bench, { sessions: 0, users })
    const many = await prepare(bench, { sessions: users, users })
    const heavy = await prepare(bench, { sessions: SESSIONS_OF_ONE, users, one: ONE })
    const sides = [empty, many, heavy]
    const times: number[][] = sides.map(() => [])
    for (let round = 0; round < bench.pace.rounds; round++) {
      for (const [i, { port, templates }] of sides.entries()) {
        const { latencies } = await load({ ...bench.pace, port, templates, users, connections: 1, expect: [200, 201] })
        times[i]?.push(latencies[0]?.p50 ?? NaN)
      }
    }
    const timesOf = (side: number) => times[side] ?? []
    const against = (side: number) => median(timesOf(side).map((us, round) => us / (times[0]?.[round] ?? NaN)))
    const behind = (side: number) => `${median(timesOf(side)).toFixed(0)} µs : ${median(timesOf(0)).toFixed(0)} µs, one connection`
    return [
      { what: `${users.toLocaleString('en')} users with a session each`, value: against(1), goal: { atMost: 1.2 }, note: behind(1) },
      { what: `a user with ${SESSIONS_OF_ONE.toLocaleString('en')} sessions`, value: against(2), goal: { atMost: 1.2 }, note: behind(2) }
    ]
  }
} satisfies Comparison

/** A service on a Redis that holds so many sessions, spread over users or all of one. */
async function prepare (bench: Bench, { sessions, users, one }: { sessions: number, users: number, one?: string }) {
  const redis = await bench.redis()
  const service = await bench.service(redis)
  const forOne = (text: string) => one === undefined ? text : text.replaceAll('user-{u}', one)
  if (one !== undefined) await redis.cli(`SET voice-ferry-c4:user-limit:${one} 1000000`)
  if (sessions > 0) {
    const acquire = (await captureAcquire(bench, redis, service)).map(forOne)
    const firstNumber = nextNumbers()
    for (let done = 0; done < sessions; done += AT_ONCE) {
      await redisLoad(redis, acquire, { commands: Math.min(AT_ONCE, sessions - done), users, firstNumber: firstNumber + done })
    }
  }
  // The name is as long as a placeholder's value, so that content-length stays right.
  return { port: service.port, templates: ADMIT_AND_RELEASE.map(forOne) }
}
