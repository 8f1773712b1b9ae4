/**
 * From the start of the process to the first answer, and the memory of one that has nothing to do.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Comparison } from '../bench.ts'
import { ratio } from '../harness/estimate.ts'
import type { HttpServer } from '../harness/http-server.ts'
import { rssBytes } from '../harness/proc.ts'
import { both, inTurn } from '../harness/rounds.ts'

/** How long a process is left alone before its memory is read. */
const [IDLE_MS, IDLE_MS_QUICK] = [3000, 1000]
const MIB = 1024 * 1024

export default {
  name: 'start',
  title: 'Start and idle memory: the service on Redis : bare twin',
  async run (bench) {
    const redis = await bench.redis()
    const idleMs = bench.quick ? IDLE_MS_QUICK : IDLE_MS
    const { service, twin } = await inTurn(bench.pace.rounds, {
      service: async () => await startOnce(async () => await bench.service(redis), idleMs),
      twin: async () => await startOnce(async () => await bench.twin(), idleMs)
    })
    const [ms, mib] = [(s: Sample) => s.readyMs, (s: Sample) => s.rssMib]
    return [
      {
        what: 'start to ready',
        measured: ratio(service.map(ms), twin.map(ms)),
        goal: { atMost: 1.3 },
        note: `${both(service, twin, ms)} ms`
      },
      {
        what: 'idle memory (RSS)',
        measured: ratio(service.map(mib), twin.map(mib)),
        goal: { atMost: 1.2 },
        note: `${both(service, twin, mib)} MiB after ${idleMs / 1000} s`
      }
    ]
  }
} satisfies Comparison

interface Sample {
  readyMs: number
  rssMib: number
}

async function startOnce (start: () => Promise<HttpServer>, idleMs: number): Promise<Sample> {
  const startedMs = performance.now()
  const server = await start()
  const readyMs = performance.now() - startedMs
  await sleep(idleMs)
  const rssMib = rssBytes(server.pid) / MIB
  await server.stop()
  return { readyMs, rssMib }
}
