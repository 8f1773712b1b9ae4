/**
 * 100,000 limits among 1,000,000 other keys: the whole list as a stream, and in pages, beside other
 * requests.
 */
import type { Bench, Comparison, Figure } from '../bench.ts'
import type { HttpServer } from '../harness/http-server.ts'
import { both, interleave, ratio } from '../harness/interleave.ts'
import { load, type Load, type LoadRequest } from '../harness/load.ts'
import { runLoadProcess } from '../harness/load-process.ts'
import type { BareListResult } from '../load/bare-list.ts'
import { median } from '../harness/median.ts'
import { rssBytes, watchPeakRss } from '../harness/proc.ts'
import type { BenchRedis } from '../harness/redis.ts'
import { EVER_NEW_USERS, TAKE_AND_RELEASE } from '../harness/sessions.ts'
import { request } from '../harness/token.ts'
import { fillKeyspace, LIMITS } from '../harness/fill.ts'

const MIB = 1024 * 1024
/** What is asked meanwhile. */
type Requests = Omit<LoadRequest, 'port'>
const LIVENESS: Requests = {
  templates: [request('GET', '/healthz/live')],
  expect: [200],
  perSecond: 200
}
const ADMISSIONS = { ...TAKE_AND_RELEASE, users: EVER_NEW_USERS, perSecond: 1000 }

export default {
  name: 'limits-list',
  title: `Listing ${LIMITS.toLocaleString('en')} limits among 1,000,000 other keys`,
  async run (bench) {
    const redis = await bench.redis()
    await redis.load(fillKeyspace())
    const service = await bench.service(redis, { watchLoop: true })
    const warmup = [request('GET', '/api/sessions/limits/user-{u}')]
    await load({
      port: service.port,
      templates: warmup,
      expect: [200],
      warmupMs: 0,
      durationMs: 500
    })

    const before = rssBytes(service.pid)
    const peak = watchPeakRss(service.pid)
    const streams = await beside(bench, service, async () => await readStream(service))
    const grown = (peak() - before) / MIB
    const pages = await beside(bench, service, async () => await readPages(service))
    const againstLoop = await interleave(
      bench.quick ? 2 : bench.pace.rounds,
      async () => await readStream(service),
      async () => await bareLoop(redis)
    )
    const admissions = await interleave(
      bench.quick ? 2 : bench.pace.rounds,
      async () => await beside(bench, service, async () => await readStream(service), ADMISSIONS),
      async () =>
        await load({ ...probesOf(service, ADMISSIONS), durationMs: bench.pace.durationMs })
    )
    const slower = ratio(
      againstLoop,
      (ms) => ms,
      (ms) => ms
    )
    const delayed = ratio(
      admissions,
      ({ probes }) => probes.latencies[0]?.p99 ?? NaN,
      ({ latencies }) => latencies[0]?.p99 ?? NaN
    )

    const took = (times: number[]) => `${times.length} times, ${median(times).toFixed(0)} ms each`
    return [
      {
        what: 'the whole list : a bare loop of SCAN and MGET',
        value: slower.value,
        goal: { atMost: 1.3 },
        note: `${both(againstLoop, (ms) => ms)} ms; rounds ${slower.spread}`
      },
      {
        what: 'p99 of an admission meanwhile : without',
        value: delayed.value,
        goal: { atMost: 2 },
        note:
          `${median(admissions.a.map(({ probes }) => p99Ms(probes))).toFixed(1)} : ` +
          `${median(admissions.b.map(p99Ms)).toFixed(1)} ms; ` +
          `${ADMISSIONS.perSecond / 2} admissions and as many releases a second; ` +
          `rounds ${delayed.spread}`
      },
      {
        what: "growth of the service's memory while streaming",
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

function p99Ms ({ latencies }: Load): number {
  return (latencies[0]?.p99 ?? NaN) / 1000
}

function delayFigure (when: string, { loop, probes }: Beside, note = ''): Figure {
  return {
    what: `event-loop delay ${when}, p99`,
    value: loop.p99Ms,
    unit: 'ms',
    goal: { atMost: 50 },
    note:
      `${note}worst ${loop.maxMs.toFixed(1)} ms; ` +
      `a probe of /healthz/live took p99 ${p99Ms(probes).toFixed(1)} ms`
  }
}

interface Beside {
  times: number[]
  probes: Load
  loop: { p99Ms: number; maxMs: number }
}

/** Does something again and again while requests come by the clock from another process. */
async function beside (
  bench: Bench,
  service: HttpServer,
  work: () => Promise<number>,
  requests = LIVENESS
): Promise<Beside> {
  await service.loopDelay()
  const { durationMs } = bench.pace
  const until = performance.now() + durationMs
  const probes = load({ ...probesOf(service, requests), durationMs })
  const repeat = async () => {
    const times: number[] = []
    do times.push(await work())
    while (performance.now() < until)
    return times
  }
  const [probed, times] = await Promise.all([probes, repeat()])
  return { times, probes: probed, loop: await service.loopDelay() }
}

function probesOf ({ port }: HttpServer, requests: Requests): LoadRequest {
  return { ...requests, port, connections: 32, warmupMs: 300 }
}

async function readStream (service: HttpServer): Promise<number> {
  const startedMs = performance.now()
  const text = await (await service.fetch('/api/sessions/limits')).text()
  const took = performance.now() - startedMs
  const { user_limits: limits } = JSON.parse(text) as { user_limits: object }
  check(Object.keys(limits).length - 1)
  return took
}

/** The same straight from Redis, in a process of its own. */
async function bareLoop ({ url }: BenchRedis): Promise<number> {
  const { limits, tookMs } = await runLoadProcess<BareListResult>('bare-list.js', { url }, 60_000)
  check(limits)
  return tookMs
}

async function readPages (service: HttpServer): Promise<number> {
  const startedMs = performance.now()
  const names = new Set<string>()
  for (let cursor: string | null = ''; cursor !== null;) {
    const response = await service.fetch(`/api/sessions/limits?count=1000&cursor=${cursor}`)
    const page = (await response.json()) as { user_limits: object; next_cursor: string | null }
    for (const name of Object.keys(page.user_limits)) names.add(name)
    cursor = page.next_cursor
  }
  check(names.size - 1)
  return performance.now() - startedMs
}

function check (listed: number): void {
  if (listed !== LIMITS) throw new Error(`${listed} limits were listed, not ${LIMITS}`)
}
