/** 100,000 limits among 1,000,000 other keys: the whole list as a stream, and in pages, beside other requests. */
import type { Bench, Comparison, Figure } from '../bench.ts'
import type { HttpServer } from '../harness/http-server.ts'
import { load } from '../harness/load.ts'
import { median } from '../harness/median.ts'
import { rssBytes, watchPeakRss } from '../harness/proc.ts'
import { request } from '../harness/token.ts'
import { fillKeyspace, LIMITS } from '../harness/fill.ts'

const MIB = 1024 * 1024
const PROBES_PER_SECOND = 200

export default {
  name: 'limits-list',
  title: `Listing ${LIMITS.toLocaleString('en')} limits among 1,000,000 other keys`,
  async run (bench) {
    const redis = await bench.redis()
    await redis.load(fillKeyspace())
    const service = await bench.service(redis, { watchLoop: true })
    const warmup = [request('GET', '/api/sessions/limits/user-{u}')]
    await load({ port: service.port, templates: warmup, expect: [200], warmupMs: 0, durationMs: 500 })

    const before = rssBytes(service.pid)
    const peak = watchPeakRss(service.pid)
    const streams = await beside(bench, service, async () => await readStream(service))
    const grown = (peak() - before) / MIB
    const pages = await beside(bench, service, async () => await readPages(service))

    const took = (times: number[]) => `${times.length} times, ${median(times).toFixed(0)} ms each`
    return [
      {
        what: 'growth of the service\'s memory while streaming',
        value: grown,
        unit: 'MiB',
        goal: { atMost: 64 },
        note: `the whole list ${took(streams.times)}`
      },
      delayFigure('while streaming', streams),
      delayFigure('while paging by 1,000', pages, `all pages ${took(pages.times)}; `)
    ]
  }
} satisfies Comparison

function delayFigure (when: string, { loop, probeMs }: Beside, note = ''): Figure {
  return {
    what: `event-loop delay ${when}, p99`,
    value: loop.p99Ms,
    unit: 'ms',
    goal: { atMost: 50 },
    note: `${note}worst ${loop.maxMs.toFixed(1)} ms; a probe of /healthz/live took p99 ${probeMs.toFixed(1)} ms`
  }
}

interface Beside { times: number[], probeMs: number, loop: { p99Ms: number, maxMs: number } }

/** Does something again and again while liveness is probed by the clock from another process. */
async function beside (bench: Bench, service: HttpServer, work: () => Promise<number>): Promise<Beside> {
  await service.loopDelay()
  const { durationMs } = bench.pace
  const until = performance.now() + durationMs
  const probes = load({
    port: service.port,
    templates: [request('GET', '/healthz/live')],
    perSecond: PROBES_PER_SECOND,
    connections: 8,
    expect: [200],
    warmupMs: 0,
    durationMs
  })
  const times: number[] = []
  do times.push(await work())
  while (performance.now() < until)
  const { latency } = await probes
  return { times, probeMs: latency.p99 / 1000, loop: await service.loopDelay() }
}

async function readStream (service: HttpServer): Promise<number> {
  const startedMs = performance.now()
  const { user_limits: limits } = await (await service.fetch('/api/sessions/limits')).json() as { user_limits: object }
  const took = performance.now() - startedMs
  check(Object.keys(limits).length - 1)
  return took
}

async function readPages (service: HttpServer): Promise<number> {
  const startedMs = performance.now()
  const names = new Set<string>()
  for (let cursor: string | null = ''; cursor !== null;) {
    const response = await service.fetch(`/api/sessions/limits?count=1000&cursor=${cursor}`)
    const page = await response.json() as { user_limits: object, next_cursor: string | null }
    for (const name of Object.keys(page.user_limits)) names.add(name)
    cursor = page.next_cursor
  }
  check(names.size - 1)
  return performance.now() - startedMs
}

function check (listed: number): void {
  if (listed !== LIMITS) throw new Error(`${listed} limits were listed, not ${LIMITS}`)
}
