/** A switch node reports 5,000 calls that are up. */
import type { Comparison } from '../bench.ts'
import { load, type Load } from '../harness/load.ts'
import { median, spread } from '../harness/median.ts'
import { TTL_SECONDS } from '../harness/sessions.ts'
import { request } from '../harness/token.ts'

const CALLS = 5000

export default {
  name: 'node-report',
  title: `PUT /api/sessions/nodes/:node with ${CALLS.toLocaleString('en')} sessions`,
  async run (bench) {
    const redis = await bench.redis()
    const service = await bench.service(redis, { watchLoop: true })
    const report = (id: string, node: string) => request('PUT', `/api/sessions/nodes/${node}`, {
      epoch: 1,
      ttl: TTL_SECONDS,
      sessions: Array.from({ length: CALLS }, (_, i) => ({ session_id: `${id}-${i}`, username: `user-${String(i).padStart(8, '0')}` }))
    })
    const common = {
      port: service.port,
      connections: 1,
      expect: [200],
      pids: { http: service.pid, redis: redis.pid },
      users: 1_000_000,
      durationMs: bench.pace.durationMs
    }
    const renewals: Load[] = []
    await load({ ...common, templates: [report('call', 'pbx-1')], warmupMs: 500, durationMs: 500 })
    await service.loopDelay()
    for (let round = 0; round < bench.pace.rounds; round++) {
      renewals.push(await load({ ...common, templates: [report('call', 'pbx-1')], warmupMs: 200 }))
    }
    const loop = await service.loopDelay()
    const registrations = await load({ ...common, templates: [report('call-{n}', 'pbx-{u}')], warmupMs: 0 })

    const rates = renewals.map(({ perSecond }) => perSecond * CALLS)
    const cpu = (name: string) => (median(renewals.map(({ cpuUs }) => cpuUs[name] ?? NaN)) / CALLS).toFixed(1)
    return [
      {
        what: 'sessions renewed',
        value: median(rates),
        unit: '/s',
        goal: { atLeast: 50_000 },
        note: `CPU per session: service ${cpu('http')} µs, Redis ${cpu('redis')} µs; rounds ${spread(rates, 0)}`
      },
      { what: 'sessions registered by a first report', value: registrations.perSecond * CALLS, unit: '/s' },
      { what: 'event-loop delay meanwhile, p99', value: loop.p99Ms, unit: 'ms', note: `worst ${loop.maxMs.toFixed(1)} ms` }
    ]
  }
} satisfies Comparison
