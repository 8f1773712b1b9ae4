/**
 * 100,000 limits among 1,000,000 other keys: the whole list as a stream, and in pages, beside other
 * requests.
 */
import type { Bench, Comparison } from '../bench.ts'
import type { Figure } from '../figure.ts'
import { counted, estimate, ratio } from '../harness/estimate.ts'
import { fillKeyspace, LIMITS } from '../harness/fill.ts'
import type { HttpServer } from '../harness/http-server.ts'
import { load, type Load, type LoadRequest } from '../harness/load.ts'
import { runLoadProcess } from '../harness/load-process.ts'
import { rssBytes, watchPeakRss } from '../harness/proc.ts'
import type { BenchRedis } from '../harness/redis.ts'
import { both, inTurn, middle } from '../harness/rounds.ts'
import { EVER_NEW_USERS, TAKE_AND_RELEASE } from '../harness/sessions.ts'
import { request } from '../harness/token.ts'
import type { BareListResult } from '../load/bare-list.ts'

const MIB = 1024 * 1024
/** A list takes seconds. */
const ROUNDS_QUICK = 2

/** What is asked meanwhile. */
type Requests = Omit<LoadRequest, 'port'>
const LIVENESS: Requests = {
  templates: [request('GET', '/healthz/live')],
  expect: [200],
  perSecond: 200
}
/** 500 admissions and as many releases a second. */
const CALLS: Requests = { ...TAKE_AND_RELEASE, users: EVER_NEW_USERS, perSecond: 1000 }

export default {
  name: 'limits-list',
  title: `Listing ${LIMITS.toLocaleString('en')} limits among 1,000,000 other keys`,
  async run (bench) {
    const redis = await bench.redis()
    await redis.load(fillKeyspace())
    const service = await bench.service(redis, { watchLoop: true })
    const common = { port: service.port, expect: [200], warmupMs: 0, durationMs: 500 }
    await load({ ...common, templates: [request('GET', '/api/sessions/limits/user-{u}')] })
    const growth = await memoryGrowth(service)
    return [
      await againstBareLoop(bench, service, redis),
      growth,
      ...(await besideAdmissions(bench, service)),
      await whilePaging(bench, service)
    ]
  }
} satisfies Comparison

function roundsOf (bench: Bench): number {
  return bench.quick ? ROUNDS_QUICK : bench.pace.rounds
}

async function memoryGrowth (service: HttpServer): Promise<Figure> {
  const before = rssBytes(service.pid)
  const peak = watchPeakRss(service.pid)
  await readStream(service)
  return {
    what: "growth of the service's memory by a first list",
    measured: counted((peak() - before) / MIB),
    unit: 'MiB',
    goal: { atMost: 64 },
    note: 'measured once'
  }
}

async function againstBareLoop (
  bench: Bench,
  service: HttpServer,
  redis: BenchRedis
): Promise<Figure> {
  const ms = await inTurn(roundsOf(bench), {
    stream: async () => await readStream(service),
    bare: async () => await bareLoop(redis)
  })
  return {
    what: 'the whole list : a bare loop of SCAN and MGET',
    measured: ratio(ms.stream, ms.bare),
    goal: { atMost: 1.3 },
    note: `${both(ms.stream, ms.bare, (one) => one)} ms`
  }
}

async function besideAdmissions (bench: Bench, service: HttpServer): Promise<Figure[]> {
  const { durationMs } = bench.pace
  const read = async () => await readStream(service)
  const streaming: Beside[] = []
  const { during, without } = await inTurn(roundsOf(bench), {
    during: async () => {
      const sample = await beside(bench, service, CALLS, read)
      streaming.push(sample)
      return p99Ms(sample.load)
    },
    without: async () => p99Ms(await load({ ...requestsTo(service, CALLS), durationMs }))
  })
  return [
    {
      what: 'p99 of an admission meanwhile : without',
      measured: ratio(during, without),
      goal: { atMost: 2 },
      note: `${both(during, without, (ms) => ms, 1)} ms at 500 admissions and 500 releases a second`
    },
    delayFigure('while streaming', streaming)
  ]
}

async function whilePaging (bench: Bench, service: HttpServer): Promise<Figure> {
  const { paging } = await inTurn(roundsOf(bench), {
    paging: async () => await beside(bench, service, LIVENESS, async () => await readPages(service))
  })
  const took = `all pages took ${middle(paging, ({ tookMs }) => tookMs).toFixed(0)} ms`
  return delayFigure('while paging by 1,000', paging, `${took}; `)
}

function delayFigure (when: string, samples: Beside[], note = ''): Figure {
  const worst = Math.max(...samples.map(({ loop }) => loop.maxMs)).toFixed(1)
  return {
    what: `event-loop delay ${when}, p99`,
    measured: estimate(samples.map(({ loop }) => loop.p99Ms)),
    unit: 'ms',
    goal: { atMost: 50 },
    note: `${note}worst ${worst} ms`
  }
}

/** What was seen while a list was read again and again beside other requests. */
interface Beside {
  /** The median time of a list. */
  tookMs: number
  load: Load
  loop: { p99Ms: number; maxMs: number }
}

async function beside (
  bench: Bench,
  service: HttpServer,
  requests: Requests,
  read: () => Promise<number>
): Promise<Beside> {
  await service.loopDelay()
  const { durationMs } = bench.pace
  const untilMs = performance.now() + durationMs
  const underway = load({ ...requestsTo(service, requests), durationMs })
  const repeat = async () => {
    const times: number[] = []
    do times.push(await read())
    while (performance.now() < untilMs)
    return middle(times, (ms) => ms)
  }
  const [loaded, tookMs] = await Promise.all([underway, repeat()])
  return { tookMs, load: loaded, loop: await service.loopDelay() }
}

function requestsTo ({ port }: HttpServer, requests: Requests): LoadRequest {
  return { ...requests, port, connections: 32, warmupMs: 300 }
}

function p99Ms ({ latencies }: Load): number {
  return (latencies[0]?.p99 ?? NaN) / 1000
}

async function readStream (service: HttpServer): Promise<number> {
  const startedMs = performance.now()
  const text = await (await service.fetch('/api/sessions/limits')).text()
  const tookMs = performance.now() - startedMs
  const { user_limits: limits } = JSON.parse(text) as { user_limits: object }
  check(Object.keys(limits).length - 1)
  return tookMs
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
