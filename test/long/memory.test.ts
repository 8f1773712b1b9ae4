/**
 * The memory of a replica under a steady load of calls: flat, once as many calls end as begin and
 * the first ends are forgotten. MEMORY_CALLS says how many calls.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { httpClient } from '../faults/http-client.ts'
import { serveApart, type ServiceProcess } from '../faults/service.ts'
import { startRedis } from '../helpers/servers.ts'

const CALLS = Number(process.env['MEMORY_CALLS'] ?? 1_000_000)
const PER_SECOND = 2000
const [CALL_SECONDS, ENDED_SECONDS] = [180, 120]
/** From when on as many calls and ends are forgotten as begin, with some time for the collector. */
const WARM_SECONDS = CALL_SECONDS + ENDED_SECONDS + 30
const TICK_MS = 20
const USERS = 100_000
/** How much more memory the last seconds may take than the first ones after the warm-up. */
const FLAT = 1.1

const mib = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024

/** Begins calls at a steady rate, and ends each after its time: one in ten by its id alone. */
class Calls {
  begun = 0
  ended = 0
  readonly odd = new Map<string, number>()
  #client: ReturnType<typeof httpClient>

  constructor (t: Test, { url, token }: ServiceProcess) {
    this.#client = httpClient(url, token)
    t.teardown(() => this.#client.close())
  }

  async run (seconds: number, onSecond: (second: number) => void): Promise<void> {
    const fromMs = performance.now()
    const last = PER_SECOND * seconds
    for (let second = 0; this.ended < last - PER_SECOND * CALL_SECONDS;) {
      const passed = (performance.now() - fromMs) / 1000
      const due = (atSeconds: number) => Math.min(last, Math.floor(atSeconds * PER_SECOND))
      while (this.begun < due(passed)) void this.#begin(this.begun++)
      while (this.ended < due(passed - CALL_SECONDS)) void this.#end(this.ended++)
      if (passed >= second) onSecond(second++)
      await sleep(TICK_MS)
    }
  }

  async #begin (i: number): Promise<void> {
    const body = { username: `u${i % USERS}`, session_id: `call-${i}`, ttl: 2 * CALL_SECONDS }
    await this.#ask(201, 'POST', '/api/sessions', body)
  }

  async #end (i: number): Promise<void> {
    const whose = i % 10 === 0 ? '' : `?username=u${i % USERS}`
    await this.#ask(200, 'DELETE', `/api/sessions/call-${i}${whose}`)
  }

  async #ask (wanted: number, method: string, path: string, body?: object): Promise<void> {
    const reply = await this.#client.ask(method, path, body)
    if (reply.status === wanted && reply.body?.degraded !== true) return
    const what = `${method} ${reply.status} ${reply.body?.code ?? reply.failure ?? 'degraded'}`
    this.odd.set(what, (this.odd.get(what) ?? 0) + 1)
  }
}

t.test(`${CALLS} calls of ${CALL_SECONDS} s, ${PER_SECOND} a second`, async (t) => {
  const redis = await startRedis(t)
  const service = await serveApart(t, { REDIS_URL: redis.url })
  const calls = new Calls(t, service)
  const seen: number[] = []
  await calls.run(CALLS / PER_SECOND, (second) => {
    seen.push(mib(service.pid ?? 0))
    if (second % 30 === 0) t.comment(`${second} s: ${seen.at(-1)?.toFixed()} MiB`)
  })
  const warm = seen.slice(WARM_SECONDS)
  const third = Math.floor(warm.length / 3)
  const most = (some: number[]) => Math.max(...some)
  const [first, last] = [most(warm.slice(0, third)), most(warm.slice(-third))]
  t.comment(`${first.toFixed()} MiB after the warm-up, ${last.toFixed()} MiB at the end`)
  t.ok(last <= first * FLAT, 'it is flat')
  const odd = [...calls.odd.values()].reduce((sum, count) => sum + count, 0)
  t.comment('odd answers', Object.fromEntries(calls.odd))
  t.ok(odd <= CALLS / 1000, 'Redis decided, but for one in a thousand at most')
})
