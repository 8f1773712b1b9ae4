/**
 * The scripts against one that does nothing: by themselves as fast as Redis goes, and behind HTTP
 * as the service calls one.
 */
import type { Bench, Comparison, Figure } from '../bench.ts'
import type { HttpServer } from '../harness/http-server.ts'
import { both, interleave, ratio, type Pairs } from '../harness/interleave.ts'
import { load, nextNumbers } from '../harness/load.ts'
import { redisLoad, type RedisLoad } from '../harness/redis-load.ts'
import type { BenchRedis } from '../harness/redis.ts'
import { ADMIT, admitThenRelease, captureScripts, EVER_NEW_USERS } from '../harness/sessions.ts'

const [COMMANDS, COMMANDS_QUICK] = [150_000, 50_000]

export default {
  name: 'scripts',
  title: 'Scripts : `return 1` with as many KEYS and ARGV',
  async run (bench) {
    const redis = await bench.redis()
    const service = await bench.service(redis)
    const scripts = await captureScripts(bench, redis, service)
    const empty = await redis.cli('SCRIPT LOAD "return 1"')
    const behindHttp = await cpuBehindHttp(bench, redis, service, scripts.acquire.with(1, empty))
    await service.stop()
    return [...(await pipelined(bench, redis, scripts, empty)), behindHttp]
  }
} satisfies Comparison

/** Many calls under way on one connection, from a load process that makes them beforehand. */
async function pipelined (
  bench: Bench,
  redis: BenchRedis,
  scripts: Record<string, string[]>,
  empty: string
): Promise<Figure[]> {
  const size = { commands: bench.quick ? COMMANDS_QUICK : COMMANDS, users: 100_000 }
  const measured = Object.entries(scripts).map(([name, call]) => ({
    name,
    call,
    pairs: { a: [], b: [] } as Pairs<RedisLoad>
  }))
  for (let round = 0; round < bench.pace.rounds; round++) {
    await redis.empty()
    // The same sessions are taken, renewed and released.
    const firstNumber = nextNumbers()
    for (const { name, call, pairs } of measured) {
      pairs.a.push(await redisLoad(redis, call, { ...size, firstNumber }))
      pairs.b.push(await redisLoad(redis, call.with(1, empty), size))
      await checkRecords(redis, name === 'release' ? '-' : '+', firstNumber)
    }
  }
  return measured.flatMap(({ name, pairs }) => {
    const rate = ratio(
      pairs,
      (s) => s.perSecond,
      (s) => s.perSecond
    )
    // Turned round: calls per second of Redis' own CPU time, which neither the load process nor a
    // busy machine changes.
    const cpu = ratio(
      pairs,
      (s) => 1 / s.cpuUs,
      (s) => 1 / s.cpuUs
    )
    return [
      {
        what: `${name}, pipelined: calls per second`,
        value: rate.value,
        ...(name === 'acquire' && { goal: { atLeast: 0.35 } }),
        note: `${both(pairs, (s) => s.perSecond)} on one connection; rounds ${rate.spread}`
      },
      {
        what: `${name}, pipelined: calls per second of CPU`,
        value: cpu.value,
        note: `${both(pairs, (s) => s.cpuUs, 1)} µs each; rounds ${cpu.spread}`
      }
    ]
  })
}

/**
 * @throws Error unless the script has done what it is measured by, as the record of one session
 * shows
 */
async function checkRecords (redis: BenchRedis, begins: '+' | '-', number: number): Promise<void> {
  const record = await redis.cli(
    `GET voice-ferry-c4:session-lease:call-${String(number).padStart(10, '0')}`
  )
  if (!record.startsWith(begins)) {
    throw new Error(`the script has left ${JSON.stringify(record)}, no record to be measured by`)
  }
}

/**
 * What Redis spends on an admission, and on the empty script: HTTP in front of both, the same
 * client, as many connections.
 */
async function cpuBehindHttp (
  bench: Bench,
  redis: BenchRedis,
  service: HttpServer,
  nothing: string[]
): Promise<Figure> {
  const empty = await bench.twin('empty-script', redis, { SCRIPT_CALL: JSON.stringify(nothing) })
  let commands = NaN
  const pairs = await interleave(
    bench.pace.rounds,
    async () => {
      await redis.cli('CONFIG RESETSTAT')
      const { admission, release } = await admitThenRelease(bench, {
        port: service.port,
        pids: { redis: redis.pid }
      })
      commands = await callsPerScript(redis, admission.numbers + release.numbers)
      return admission
    },
    async () =>
      await load({
        ...bench.pace,
        port: empty.port,
        pids: { redis: redis.pid },
        templates: [ADMIT],
        users: EVER_NEW_USERS,
        expect: [201]
      })
  )
  const cpu = ratio(
    pairs,
    (s) => s.cpuUs.redis ?? NaN,
    (s) => s.cpuUs.redis ?? NaN
  )
  return {
    what: 'acquire, behind HTTP: CPU of Redis per admission',
    value: cpu.value,
    goal: { atMost: 3 },
    note:
      `${both(pairs, (s) => s.cpuUs.redis ?? NaN, 1)} µs each at ${both(pairs, (s) => s.perSecond)} /s; rounds ${cpu.spread}; ` +
      `${commands.toFixed(1)} commands an admission or release, the script call included`
  }
}

/** How many commands Redis ran for each of so many script calls, by its own statistics. */
async function callsPerScript (redis: BenchRedis, scripts: number): Promise<number> {
  const counts = [...(await redis.cli('INFO commandstats')).matchAll(/:calls=(\d+)/g)].map(
    ([, calls]) => Number(calls)
  )
  return counts.reduce((sum, calls) => sum + calls, 0) / scripts
}
