/** The median time of an admission as Redis holds more and more, with one request at a time. */
import type { Bench } from '../bench.ts'
import type { Figure } from '../figure.ts'
import { ratio } from './estimate.ts'
import type { HttpServer } from './http-server.ts'
import { load, nextNumbers } from './load.ts'
import { redisLoad } from './redis-load.ts'
import type { BenchRedis } from './redis.ts'
import { both, inTurn, type Sides } from './rounds.ts'
import { captureScripts, TAKE_AND_RELEASE } from './sessions.ts'

/** One size: a service on a Redis of its own, filled as it says. */
export interface Size {
  what: string
  fill: (redis: BenchRedis, service: HttpServer) => Promise<void>
  /** How many users the admissions are spread over. */
  users: number
  /** The only user of all admissions, if there is one; its name is as long as the others'. */
  one?: string
}

/** Rounds are many and short: background work, such as a sweep, falls into some of them only. */
const [ROUNDS_PER_ROUND, WARMUP_MS, SHARE] = [2, 300, 0.4]

/**
 * Measures all sizes in turn, each against the first. The service keeps its settings, the
 * background sweep included.
 */
export async function growth (bench: Bench, sizes: Size[]): Promise<Figure[]> {
  const sides: Sides<string, number> = {}
  for (const size of sizes) {
    const redis = await bench.redis()
    const service = await bench.service(redis)
    await size.fill(redis, service)
    sides[size.what] = async () => await medianUs(bench, service, size)
  }
  const rounds = bench.pace.rounds * (bench.quick ? 1 : ROUNDS_PER_ROUND)
  const [first, ...others] = Object.entries(await inTurn(rounds, sides))
  const [smallest, base] = first ?? ['', []]
  return others.map(([what, times]) => ({
    what: `${what} : ${smallest}`,
    measured: ratio(times, base),
    goal: { atMost: 1.1 },
    note: `p50 ${both(times, base, (us) => us)} µs`
  }))
}

/** The median time of an admission, in microseconds. */
async function medianUs (
  bench: Bench,
  { port }: HttpServer,
  { users, one }: Size
): Promise<number> {
  const { latencies } = await load({
    ...TAKE_AND_RELEASE,
    port,
    templates: TAKE_AND_RELEASE.templates.map((text) => forUser(text, one)),
    users,
    connections: 1,
    warmupMs: WARMUP_MS,
    durationMs: Math.round(bench.pace.durationMs * SHARE)
  })
  return latencies[0]?.p50 ?? NaN
}

/**
 * Commands per load process. Two of them take turns, so that one makes commands while Redis runs
 * the other's.
 */
const [AT_ONCE, LANES] = [50_000, 2]

/** Sessions spread evenly over users, or all of one. */
export interface Slots {
  sessions: number
  users: number
  one?: string
}

/** Takes slots with the service's own script. @throws Error when some are missing afterwards */
export async function takeSlots (
  redis: BenchRedis,
  service: HttpServer,
  { sessions, users, one }: Slots
): Promise<void> {
  const acquire = (await captureScripts(redis, service)).acquire.map((word) =>
    forUser(word, one)
  )
  const firstNumber = nextNumbers()
  const starts = Array.from({ length: Math.ceil(sessions / AT_ONCE) }, (_, i) => i * AT_ONCE)
  await Promise.all(
    Array.from({ length: LANES }, async () => {
      for (let start = starts.shift(); start !== undefined; start = starts.shift()) {
        await redisLoad(redis, acquire, {
          commands: Math.min(AT_ONCE, sessions - start),
          users,
          firstNumber: firstNumber + start
        })
      }
    })
  )
  const name = one ?? `user-${String(users - 1).padStart(8, '0')}`
  const { count } = (await (await service.fetch(`/api/sessions/counts/${name}`)).json()) as {
    count: number
  }
  if (count !== sessions / (one === undefined ? users : 1)) {
    throw new Error(`${name} has ${count} sessions`)
  }
  if (Number(await redis.cli('DBSIZE')) < users) throw new Error('fewer users than there should be')
}

function forUser (text: string, one: string | undefined): string {
  return one === undefined ? text : text.replaceAll('user-{u}', one)
}
