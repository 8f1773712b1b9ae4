/** The acquire script against one that does nothing: by itself as fast as Redis goes, and behind HTTP as the service calls it. */
import type { Bench, Comparison, Figure } from '../bench.ts'
import type { HttpServer } from '../harness/http-server.ts'
import { both, interleave, ratio } from '../harness/interleave.ts'
import { load } from '../harness/load.ts'
import { redisLoad } from '../harness/redis-load.ts'
import type { BenchRedis } from '../harness/redis.ts'
import { ADMIT, admitThenRelease, captureAcquire, EVER_NEW_USERS } from '../harness/sessions.ts'

const [COMMANDS, COMMANDS_QUICK] = [200_000, 50_000]

export default {
  name: 'acquire-script',
  title: 'Acquire script : `return 1` with as many KEYS and ARGV',
  async run (bench) {
    const redis = await bench.redis()
    const service = await bench.service(redis)
    const acquire = await captureAcquire(bench, redis, service)
    const nothing = acquire.with(1, await redis.cli('SCRIPT LOAD "return 1"'))
    const behindHttp = await cpuBehindHttp(bench, redis, service, nothing)
    await service.stop()
    return [...await pipelined(bench, redis, acquire, nothing), behindHttp]
  }
} satisfies Comparison

/** Many calls under way on one connection, from a load process that makes them beforehand. */
async function pipelined (bench: Bench, redis: BenchRedis, acquire: string[], nothing: string[]): Promise<Figure[]> {
  const size = { commands: bench.quick ? COMMANDS_QUICK : COMMANDS, users: 100_000 }
  const pairs = await interleave(bench.pace.rounds, async () => {
    await redis.empty()
    const sample = await redisLoad(redis, acquire, size)
    if (Number(await redis.cli('DBSIZE')) < size.commands / 2) throw new Error('the script took too few leases to be measured by')
    return sample
  }, async () => await redisLoad(redis, nothing, size))

  const rate = ratio(pairs, (s) => s.perSecond, (s) => s.perSecond)
  // Turned round: calls per second of Redis' own CPU time, which neither the load process nor a busy machine changes.
  const cpu = ratio(pairs, (s) => 1 / s.cpuUs, (s) => 1 / s.cpuUs)
  return [
    {
      what: 'pipelined: calls per second',
      value: rate.value,
      goal: { atLeast: 0.35 },
      note: `${both(pairs, (s) => s.perSecond)} on one connection; rounds ${rate.spread}`
    },
    {
      what: 'pipelined: calls per second of CPU',
      value: cpu.value,
      note: `${both(pairs, (s) => s.cpuUs, 1)} µs each; rounds ${cpu.spread}`
    }
  ]
}

/** What Redis spends on an admission, and on the empty script: HTTP in front of both, the same client, as many connections. */
async function cpuBehindHttp (bench: Bench, redis: BenchRedis, service: HttpServer, nothing: string[]): Promise<Figure> {
  const empty = await bench.twin('empty-script', redis, { SCRIPT_CALL: JSON.stringify(nothing) })
  let commands = NaN
  const pairs = await interleave(bench.pace.rounds, async () => {
    await redis.cli('CONFIG RESETSTAT')
    const { admission, release } = await admitThenRelease(bench, { port: service.port, pids: { redis: redis.pid } })
    commands = await callsPerScript(redis, admission.numbers + release.numbers)
    return admission
  }, async () => await load({
    ...bench.pace, port: empty.port, pids: { redis: redis.pid }, templates: [ADMIT], users: EVER_NEW_USERS, expect: [201]
  }))
  const cpu = ratio(pairs, (s) => s.cpuUs.redis ?? NaN, (s) => s.cpuUs.redis ?? NaN)
  return {
    what: 'behind HTTP: CPU of Redis per admission',
    value: cpu.value,
    goal: { atMost: 3 },
    note: `${both(pairs, (s) => s.cpuUs.redis ?? NaN, 1)} µs each at ${both(pairs, (s) => s.perSecond)} /s; rounds ${cpu.spread}; ` +
      `${commands.toFixed(1)} commands an admission or release, the script call included`
  }
}

/** How many commands Redis ran for each of so many script calls, by its own statistics. */
async function callsPerScript (redis: BenchRedis, scripts: number): Promise<number> {
  const counts = [...(await redis.cli('INFO commandstats')).matchAll(/:calls=(\d+)/g)].map(([, calls]) => Number(calls))
  return counts.reduce((sum, calls) => sum + calls, 0) / scripts
}
