/**
 * Slots taken and released by the service, and by libraries that people limit sessions with, behind
 * the same Fastify.
 */
import type { Comparison } from '../bench.ts'
import { httpCpu, redisCpu } from '../harness/against-twin.ts'
import { ratio } from '../harness/estimate.ts'
import type { HttpServer } from '../harness/http-server.ts'
import { load, type Load } from '../harness/load.ts'
import type { BenchRedis } from '../harness/redis.ts'
import { both, inTurn } from '../harness/rounds.ts'
import { TAKE_AND_RELEASE } from '../harness/sessions.ts'

const RIVALS = ['redis-semaphore', 'rate-limiter-flexible'] as const

export default {
  name: 'rivals',
  title: 'Take and release: the service : a library behind the same Fastify, each on its own Redis',
  async run (bench) {
    const measure = (redis: BenchRedis, { port, pid }: HttpServer) => {
      const pids = { http: pid, redis: redis.pid }
      return async () => await load({ ...bench.pace, port, pids, ...TAKE_AND_RELEASE })
    }
    const [ours, semaphores] = [await bench.redis(), await bench.redis()]
    const points = await bench.redis()
    const samples = await inTurn(bench.pace.rounds, {
      service: measure(ours, await bench.service(ours)),
      'redis-semaphore': measure(semaphores, await bench.twin(RIVALS[0], semaphores)),
      'rate-limiter-flexible': measure(points, await bench.twin(RIVALS[1], points))
    })
    const rate = ({ perSecond }: Load) => perSecond
    return RIVALS.map((name) => {
      const [service, rival] = [samples.service, samples[name]]
      return {
        what: `${name}: requests per second`,
        measured: ratio(service.map(rate), rival.map(rate)),
        goal: { atLeast: 1.2 },
        note:
          `${both(service, rival, rate)} /s; CPU per request ` +
          `${both(service, rival, httpCpu)} µs, Redis ${both(service, rival, redisCpu)} µs`
      }
    })
  }
} satisfies Comparison
