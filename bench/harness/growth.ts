/**
 * What an admission takes while there is more and more in Redis: the median, one request under way
 * at a time.
 */
import type { Bench, Figure } from '../bench.ts'
import type { HttpServer } from './http-server.ts'
import { load, nextNumbers } from './load.ts'
import { median, spread } from './median.ts'
import { redisLoad } from './redis-load.ts'
import type { BenchRedis } from './redis.ts'
import { captureScripts, TAKE_AND_RELEASE } from './sessions.ts'

/** One size: a service on a Redis of its own, with what is in there. */
export interface Size {
  what: string
  fill: (redis: BenchRedis, service: HttpServer) => Promise<void>
  /** Users among whom admissions go round. */
  users: number
  /** Where all admissions are of one user, its name, as long as that of others. */
  one?: string
}

/** Rounds are many and short: background work, such as a sweep, hits some and not others. */
const [ROUNDS_PER_ROUND, WARMUP_MS, SHARE] = [2, 300, 0.4]

/**
 * Measures all sizes in turn, each against the first. The service keeps its settings, the
 * background sweep included.
 */
export async function growth (bench: Bench, sizes: Size[]): Promise<Figure[]> {
  const ports: number[] = []
  for (const { fill } of sizes) {
    const redis = await bench.redis()
    const service = await bench.service(redis)
    await fill(redis, service)
    ports.push(service.port)
  }
  const durationMs = Math.round(bench.pace.durationMs * SHARE)
  const rounds: number[][] = []
  for (let round = 0; round < bench.pace.rounds * (bench.quick ? 1 : ROUNDS_PER_ROUND); round++) {
    const times: number[] = []
    for (const place of sizes.keys()) {
      // Each size comes first in some rounds, and last in others.
      const i = (place + round) % sizes.length
      const { users, one } = sizes[i] as Size
      const templates = TAKE_AND_RELEASE.templates.map((text) => forUser(text, one))
      const { latencies } = await load({
        ...TAKE_AND_RELEASE,
        port: ports[i] ?? 0,
        templates,
        users,
        connections: 1,
        warmupMs: WARMUP_MS,
        durationMs
      })
      times[i] = latencies[0]?.p50 ?? NaN
    }
    rounds.push(times)
  }
  return sizes.slice(1).map(({ what }, i) => {
    const ratios = rounds.map((times) => (times[i + 1] ?? NaN) / (times[0] ?? NaN))
    const of = (size: number) => median(rounds.map((times) => times[size] ?? NaN)).toFixed(0)
    return {
      what: `${what} : ${sizes[0]?.what ?? ''}`,
      value: median(ratios),
      goal: { atMost: 1.1 },
      note: `p50 ${of(i + 1)} : ${of(0)} µs; rounds ${spread(ratios)}`
    }
  })
}

/**
 * So many commands in one load process; two take turns, so that one makes commands while the
 * other's are run.
 */
const [AT_ONCE, LANES] = [50_000, 2]

/** Sessions spread evenly over users, or all of one. */
export interface Slots {
  sessions: number
  users: number
  one?: string
}

/** Takes slots by the service's own script. @throws Error when some are missing afterwards */
export async function takeSlots (
  bench: Bench,
  redis: BenchRedis,
  service: HttpServer,
  { sessions, users, one }: Slots
): Promise<void> {
  const acquire = (await captureScripts(bench, redis, service)).acquire.map((word) =>
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
