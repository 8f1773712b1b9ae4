/**
 * Switch nodes report the calls that they have up, to one service process: one node alone, and
 * several at once.
 */
import type { Comparison, Figure } from '../bench.ts'
import { httpCpu, redisCpu } from '../harness/against-twin.ts'
import { counted, estimate } from '../harness/estimate.ts'
import { load, type Load, type LoadRequest } from '../harness/load.ts'
import { inTurn, middle } from '../harness/rounds.ts'
import { TTL_SECONDS } from '../harness/sessions.ts'
import { request } from '../harness/token.ts'

const CALLS = 5000
/** How many nodes report at once where several do. */
const NODES = 4
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
    const common = {
      port: service.port,
      expect: [200],
      pids: { http: service.pid, redis: redis.pid },
      answers: [ALL_RENEWED],
      countOthers: true,
      durationMs: bench.pace.durationMs
    }
    const ofSeveralNodes = { ...common, users: NODES, connections: NODES, templates: [REPORT] }
    await load({
      ...ofSeveralNodes,
      connections: 1,
      numbers: 2 * NODES,
      warmupMs: 0,
      durationMs: 30_000
    })
    const loopDelaysMs: number[] = []
    const measure = (request: LoadRequest) => async () => {
      await service.loopDelay()
      const sample = await load({ ...request, warmupMs: 200 })
      loopDelaysMs.push((await service.loopDelay()).p99Ms)
      return sample
    }
    const { one, several } = await inTurn(bench.pace.rounds, {
      one: measure({ ...common, users: 1, connections: 1, templates: [REPORT] }),
      several: measure(ofSeveralNodes)
    })
    const first = await load({
      ...common,
      users: 1_000_000,
      connections: 1,
      templates: [FIRST_REPORT],
      answers: [ALL_REGISTERED],
      warmupMs: 0
    })
    return [
      renewed('by one node, report after report', one),
      renewed(`by ${NODES} nodes at once`, several),
      {
        what: 'sessions registered by first reports',
        measured: counted(wholePerSecond(first)),
        unit: '/s',
        note: 'measured once'
      },
      {
        what: 'event-loop delay meanwhile, p99',
        measured: estimate(loopDelaysMs),
        unit: 'ms',
        note: `worst round ${Math.max(...loopDelaysMs).toFixed(1)} ms`
      }
    ]
  }
} satisfies Comparison

function renewed (by: string, loads: Load[]): Figure {
  const share = middle(loads, ({ others, requests }) => others / requests)
  const cpu = (of: (sample: Load) => number) => (middle(loads, of) / CALLS).toFixed(1)
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
