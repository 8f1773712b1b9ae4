/**
 * Switch nodes report the calls that they have up, to one service process: one node alone, and
 * several at once.
 */
import type { Bench, Comparison } from '../bench.ts'
import type { Figure } from '../figure.ts'
import { httpCpu, redisCpu } from '../harness/against-twin.ts'
import { counted, estimate } from '../harness/estimate.ts'
import type { HttpServer } from '../harness/http-server.ts'
import { load, type Load, type LoadRequest } from '../harness/load.ts'
import { inTurn, middle } from '../harness/rounds.ts'
import { TTL_SECONDS } from '../harness/sessions.ts'
import { request } from '../harness/token.ts'

const CALLS = 5000
/** How many nodes report at once where several do. */
const NODES = 4
/** A report takes tens of milliseconds, on a busy machine hundreds. */
const LEAST_DURATION_MS = 1000
/** The share of reports that may be answered without Redis before the rate says nothing. */
const MOST_DEGRADED = 0.5
const REPORT = report('call-{u}', 'pbx-{u}')
// From nodes that have not reported before: others would release what they had.
const FIRST_REPORT = report('call-{n}', 'new-{u}')
const NOTHING_ELSE = '"released":0,"ended":[],"conflicts":[],"degraded":false'
const ALL_RENEWED = `"renewed":${CALLS},"registered":0,${NOTHING_ELSE}`
const ALL_REGISTERED = `"renewed":0,"registered":${CALLS},${NOTHING_ELSE}`

export default {
  name: 'node-report',
  title: `PUT /api/sessions/nodes/:node with ${CALLS.toLocaleString('en')} sessions`,
  async run (bench) {
    const redis = await bench.redis()
    const service = await bench.service(redis, { watchLoop: true })
    const report: LoadRequest = {
      port: service.port,
      templates: [REPORT],
      connections: 1,
      expect: [200],
      pids: { http: service.pid, redis: redis.pid },
      answers: [ALL_RENEWED],
      countOthers: true,
      durationMs: Math.max(bench.pace.durationMs, LEAST_DURATION_MS)
    }
    return [
      ...(await renewals(bench, service, report)),
      {
        what: 'sessions registered by first reports',
        measured: counted(wholePerSecond(await firstReports(report))),
        unit: '/s',
        note: 'measured once'
      }
    ]
  }
} satisfies Comparison

async function renewals (
  bench: Bench,
  service: HttpServer,
  report: LoadRequest
): Promise<Figure[]> {
  const ofSeveral = { ...report, users: NODES }
  // The sessions that the reports renew.
  await load({ ...ofSeveral, numbers: 2 * NODES, warmupMs: 0, durationMs: 30_000 })
  const loopDelaysMs: number[] = []
  const measure = (request: LoadRequest) => async () => {
    await service.loopDelay()
    const sample = await load({ ...request, warmupMs: 200 })
    loopDelaysMs.push((await service.loopDelay()).p99Ms)
    return sample
  }
  const { one, several } = await inTurn(bench.pace.rounds, {
    one: measure({ ...report, users: 1 }),
    several: measure({ ...ofSeveral, connections: NODES })
  })
  return [
    renewed('by one node, report after report', one),
    renewed(`by ${NODES} nodes at once`, several),
    {
      what: 'event-loop delay meanwhile, p99',
      measured: estimate(loopDelaysMs),
      unit: 'ms',
      note: `worst round ${Math.max(...loopDelaysMs).toFixed(1)} ms`
    }
  ]
}

async function firstReports (report: LoadRequest): Promise<Load> {
  const asked = { templates: [FIRST_REPORT], answers: [ALL_REGISTERED], users: 1_000_000 }
  return await load({ ...report, ...asked, warmupMs: 0 })
}

function renewed (by: string, loads: Load[]): Figure {
  const share = middle(loads, ({ others, requests }) => others / requests)
  const cpu = (of: (sample: Load) => number) => (middle(loads, of) / CALLS).toFixed(1)
  if (share > MOST_DEGRADED) {
    throw new Error(`most reports ${by} were answered without Redis: the machine is too busy`)
  }
  const percent = (share * 100).toFixed(0)
  const notWhole =
    share > 0 ? `; ${percent} % of the reports were not taken whole by Redis and do not count` : ''
  return {
    what: `sessions renewed ${by}`,
    measured: estimate(loads.map(wholePerSecond)),
    unit: '/s',
    goal: { atLeast: 100_000 },
    note: `CPU per session: service ${cpu(httpCpu)} µs, Redis ${cpu(redisCpu)} µs${notWhole}`
  }
}

/** Sessions a second in reports that Redis took whole: degraded answers do not count. */
function wholePerSecond ({ requests, others, seconds }: Load): number {
  return ((requests - others) * CALLS) / seconds
}

function report (id: string, node: string): string {
  return request('PUT', `/api/sessions/nodes/${node}`, {
    epoch: 1,
    ttl: TTL_SECONDS,
    sessions: Array.from({ length: CALLS }, (_, i) => ({
      session_id: `${id}-${i}`,
      username: `user-${String(i).padStart(8, '0')}`
    }))
  })
}
