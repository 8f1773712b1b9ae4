/** The acquire script by itself, against a script that does nothing. */
import type { Comparison } from '../bench.ts'
import { interleave, middle, ratio } from '../harness/interleave.ts'
import { redisLoad, type RedisLoad } from '../harness/redis-load.ts'
import { captureAcquire } from '../harness/sessions.ts'

const GENERATION_KEY = 'voice-ferry-c4:session-generation'
const GOAL = { atLeast: 0.22 }
const [COMMANDS, COMMANDS_QUICK] = [200_000, 50_000]

export default {
  name: 'acquire-script',
  title: 'Acquire script : `return 1` with as many KEYS and ARGV, pipelined on one connection',
  async run (bench) {
    const redis = await bench.redis()
    const service = await bench.service(redis)
    const acquire = await captureAcquire(bench, redis, service)
    await service.stop()
    const generation = (await redis.cli(`GET ${GENERATION_KEY}`)).trim()
    const nothing = acquire.with(1, await redis.cli('SCRIPT LOAD "return 1"'))
    const size = { commands: bench.quick ? COMMANDS_QUICK : COMMANDS, users: 100_000 }
    const pairs = await interleave(bench.pace.rounds, async () => {
      // The script looks at which data it meets, so that one which was emptied is not taken for the same.
      await redis.cli('FLUSHALL')
      await redis.cli(`SET ${GENERATION_KEY} ${generation}`)
      const sample = await redisLoad(redis, acquire, size)
      if (Number(await redis.cli('DBSIZE')) < size.commands / 2) throw new Error('the script took too few leases to be measured by')
      return sample
    }, async () => await redisLoad(redis, nothing, size))

    const rate = ratio(pairs, (s) => s.perSecond, (s) => s.perSecond)
    const both = (of: (sample: RedisLoad) => number, decimals: number) =>
      [pairs.a, pairs.b].map((side) => middle(side, of).toFixed(decimals)).join(' : ')
    // Turned round: calls per second of Redis' own CPU time, which neither the load process nor a busy machine changes.
    const cpu = ratio(pairs, (s) => 1 / s.cpuUs, (s) => 1 / s.cpuUs)
    return [
      { what: 'calls per second', value: rate.value, goal: GOAL, note: `${both((s) => s.perSecond, 0)}; rounds ${rate.spread}` },
      { what: 'calls per second of CPU', value: cpu.value, goal: GOAL, note: `${both((s) => s.cpuUs, 1)} µs each; rounds ${cpu.spread}` }
    ]
  }
} satisfies Comparison
