/**
 * Switch nodes report the calls that they have up, to one service process: one node alone, and
 * several at once.
 */
import type { Comparison, Figure } from '../bench.ts'
import { load, type Load } from '../harness/load.ts'
import { median, spread } from '../harness/median.ts'
import { TTL_SECONDS } from '../harness/sessions.ts'
import { request } from '../harness/token.ts'

const CALLS = 5000
/** So many report at once where several do. */
const NODES = 4
const REPORT = report('call-{u}', 'pbx-{u}')
// Of nodes that have not reported yet, or they would release what they had.
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
    const oneNode = { ...common, users: 1, connections: 1, templates: [REPORT] }
    const nodesAtOnce = { ...common, users: NODES, connections: NODES, templates: [REPORT] }
    await load({
      ...nodesAtOnce,
      connections: 1,
      numbers: 2 * NODES,
      warmupMs: 0,
      durationMs: 30_000
    })
    const [one, atOnce]: [Load[], Load[]] = [[], []]
    await service.loopDelay()
    for (let round = 0; round < bench.pace.rounds; round++) {
      one.push(await load({ ...oneNode, warmupMs: 200 }))
      atOnce.push(await load({ ...nodesAtOnce, warmupMs: 200 }))
    }
    const loop = await service.loopDelay()
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
      renewed(`by ${NODES} nodes at once`, atOnce),
      { what: 'sessions registered by a first report', value: wholePerSecond(first), unit: '/s' },
      {
        what: 'event-loop delay meanwhile, p99',
        value: loop.p99Ms,
        unit: 'ms',
        note: `worst ${loop.maxMs.toFixed(1)} ms`
      }
    ]
  }
} satisfies Comparison

function renewed (by: string, loads: Load[]): Figure {
  const rates = loads.map(wholePerSecond)
  const share = median(loads.map(({ others, requests }) => others / requests))
  const cpu = (name: string) =>
    (median(loads.map(({ cpuUs }) => cpuUs[name] ?? NaN)) / CALLS).toFixed(1)
  return {
    what: `sessions renewed ${by}`,
    value: median(rates),
    unit: '/s',
    goal: { atLeast: 100_000 },
    note:
      `CPU per session: service ${cpu('http')} µs, Redis ${cpu('redis')} µs; ` +
      `rounds ${spread(rates, 0)}` +
      (share > 0
        ? `; ${(share * 100).toFixed(0)} % of the reports were not taken whole by Redis ` +
          'and do not count'
        : '')
  }
}

/**
 * Sessions a second in reports that Redis took as a whole: a degraded answer is quick, and no
 * measure.
 */
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
