/**
 * The scripts against one that does nothing: by themselves, as fast as Redis goes, and behind HTTP,
 * as the service calls them.
 */
import type { Bench, Comparison } from '../bench.ts'
import type { Figure } from '../figure.ts'
import { redisCpu } from '../harness/against-twin.ts'
import { ratio } from '../harness/estimate.ts'
import type { HttpServer } from '../harness/http-server.ts'
import { load, nextNumbers } from '../harness/load.ts'
import { redisLoad, type RedisLoad } from '../harness/redis-load.ts'
import type { BenchRedis } from '../harness/redis.ts'
import { both, inTurn, noSamples, takeTurns, type Samples } from '../harness/rounds.ts'
import { ADMISSIONS, admitThenRelease, captureScripts } from '../harness/sessions.ts'

const [COMMANDS, COMMANDS_QUICK] = [150_000, 50_000]

export default {
  name: 'scripts',
  title: 'Scripts : `return 1` with as many KEYS and ARGV',
  async run (bench) {
    const redis = await bench.redis()
    const service = await bench.service(redis)
    const scripts = await captureScripts(redis, service)
    const empty = await redis.cli('SCRIPT', 'LOAD', 'return 1')
    const behindHttp = await cpuBehindHttp(bench, redis, service, scripts.acquire.with(1, empty))
    await service.stop()
    return [...(await pipelined(bench, redis, scripts, empty)), behindHttp]
  }
} satisfies Comparison

/** Many calls in flight on one connection, from a load process that makes them beforehand. */
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
    samples: noSamples<'script' | 'empty', RedisLoad>(['script', 'empty'])
  }))
  for (let round = 0; round < bench.pace.rounds; round++) {
    await redis.empty()
    // The same sessions are taken, renewed and released.
    const firstNumber = nextNumbers()
    for (const { name, call, samples } of measured) {
      const sides = {
        script: async () => await redisLoad(redis, call, { ...size, firstNumber }),
        empty: async () => await redisLoad(redis, call.with(1, empty), size)
      }
      await takeTurns(round, sides, samples)
      await checkRecords(redis, name === 'release' ? '-' : '+', firstNumber)
    }
  }
  return measured.flatMap(({ name, samples }) => scriptFigures(name, samples))
}

function scriptFigures (
  name: string,
  { script, empty }: Samples<'script' | 'empty', RedisLoad>
): Figure[] {
  const rate = ({ perSecond }: RedisLoad) => perSecond
  const cpu = ({ cpuUs }: RedisLoad) => cpuUs
  return [
    {
      what: `${name}, pipelined: calls per second`,
      measured: ratio(script.map(rate), empty.map(rate)),
      goal: name === 'acquire' ? { atLeast: 0.35 } : undefined,
      note: `${both(script, empty, rate)} on one connection`
    },
    {
      // The other way round, so as to read like a rate: how fast the load process is and how busy
      // the machine is do not change it.
      what: `${name}, pipelined: calls per second of CPU`,
      measured: ratio(empty.map(cpu), script.map(cpu)),
      note: `${both(script, empty, cpu, 1)} µs each`
    }
  ]
}

/** @throws Error unless the script has done its work, as the record of one session shows */
async function checkRecords (redis: BenchRedis, begins: '+' | '-', number: number): Promise<void> {
  const id = `call-${String(number).padStart(10, '0')}`
  const record = await redis.cli('GET', `voice-ferry-c4:session-lease:${id}`)
  if (!record.startsWith(begins)) {
    throw new Error(`the script has left the record ${JSON.stringify(record)}`)
  }
}

/**
 * What Redis spends on an admission and on the empty script, with the same HTTP server, client and
 * number of connections in front of both.
 */
async function cpuBehindHttp (
  bench: Bench,
  redis: BenchRedis,
  service: HttpServer,
  nothing: string[]
): Promise<Figure> {
  const empty = await bench.twin('empty-script', redis, { SCRIPT_CALL: JSON.stringify(nothing) })
  const pids = { redis: redis.pid }
  let commands = NaN
  const samples = await inTurn(bench.pace.rounds, {
    service: async () => {
      await redis.cli('CONFIG', 'RESETSTAT')
      const loads = await admitThenRelease(bench, { port: service.port, pids })
      commands = await callsPerScript(redis, loads.admission.numbers + loads.release.numbers)
      return loads.admission
    },
    twin: async () => await load({ ...ADMISSIONS, ...bench.pace, port: empty.port, pids })
  })
  const { service: ours, twin } = samples
  return {
    what: 'acquire, behind HTTP: CPU of Redis per admission',
    measured: ratio(ours.map(redisCpu), twin.map(redisCpu)),
    goal: { atMost: 3 },
    note:
      `${both(ours, twin, redisCpu, 1)} µs each at ${both(ours, twin, (s) => s.perSecond)} /s; ` +
      `${commands.toFixed(1)} commands an admission or release, the script call included`
  }
}

/** How many commands Redis ran for each of so many script calls, by its own statistics. */
async function callsPerScript (redis: BenchRedis, scripts: number): Promise<number> {
  const counts = [...(await redis.cli('INFO', 'commandstats')).matchAll(/:calls=(\d+)/g)].map(
    ([, calls]) => Number(calls)
  )
  return counts.reduce((sum, calls) => sum + calls, 0) / scripts
}
