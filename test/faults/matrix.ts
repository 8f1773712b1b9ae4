/**
 * The fault matrix: one steady load, one fault, one row of figures. What a row may not exceed is
 * asserted where it is run.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { type HttpClient, httpClient } from './http-client.ts'
import { Load, type LoadOptions } from './load.ts'
import type { Service } from './service.ts'

export { leasesOf } from '../helpers/leases.ts'
export { httpClient, type HttpClient } from './http-client.ts'
export { Load, type LoadOptions, type Recorded } from './load.ts'
export { serveApart, serveHere, type Service, type ServiceProcess } from './service.ts'

/** One row of the table. Times in milliseconds; null where there was nothing to measure. */
export interface Row {
  fault: string
  requests: number
  /** Answers from the fault until all was well again. */
  p50: number
  p99: number
  slowest: number
  /**
   * Answers that nobody was promised: a 5xx but for 503 where it is due, a cut connection, no
   * answer for 2 s.
   */
  errors: number
  over: number
  lost: number
  detectMs: number | null
  recoverMs: number | null
  note?: string
}

/** What a run found beyond the row. */
export interface Measured {
  row: Row
  load: Load
  /** Sessions that were refused or released, and that Redis held when all was well again. */
  phantoms: string[]
  lost: string[]
  /** How often the status code of readiness changed, and liveness answers that were not 200. */
  readinessChanges: number
  notAlive: number
  /** From the fault to the first 503 of readiness, and from its end to the first 200 after it. */
  notReadyMs: number | null
  readyMs: number | null
  /** The share of answers that said `degraded: true` while the fault lasted. */
  degradedShare: number
  failures: string[]
}

/** A fault and what it is done to. */
export interface Fault {
  fault: string
  service: Service
  inject: () => unknown
  clear: () => unknown
  /** The live leases in Redis, as `user id`. */
  leases: () => Promise<Set<string>>
  /**
   * How long the fault lasts, in milliseconds; a function instead decides itself, and may look at
   * things meanwhile.
   */
  hold: number | ((load: Load, client: HttpClient) => Promise<void>)
  /** Whether admissions may be answered 503 (`deny`). Default: false. */
  refuses?: boolean
  /** How long the load runs before, in milliseconds. Default: 1000. */
  warmMs?: number
  /** For how long recovery is waited for, in milliseconds. Default: 15,000. */
  deadlineMs?: number
  load?: LoadOptions
  note?: string
}

/** Loads the service, does the fault to it, takes it back and waits until all is well again. */
export async function measure (t: Test, fault: Fault): Promise<Measured> {
  const client = httpClient(fault.service.url, fault.service.token)
  const load = new Load(client, fault.load)
  const probes = new Probes(httpClient(fault.service.url, fault.service.token, 4))
  t.teardown(async () => {
    await Promise.all([load.stop(), probes.stop()])
    client.close()
  })
  probes.start()
  load.start()
  await sleep(fault.warmMs ?? 1000)

  const injectedMs = performance.now()
  await fault.inject()
  if (typeof fault.hold === 'number') await sleep(fault.hold)
  else await fault.hold(load, client)
  const clearingMs = performance.now()
  await fault.clear()
  const clearedMs = performance.now()
  const right = await untilRight(load, probes, fault, clearedMs)
  await Promise.all([load.stop(), probes.stop()])
  client.close()

  const seen = load.records.filter(({ atMs }) => atMs >= injectedMs && atMs <= right.atMs)
  const isError = ({ status, code }: { status: number; code: string | undefined }) =>
    status === 0 ||
    (status >= 500 && !(fault.refuses === true && status === 503 && code === 'store_unavailable'))
  const troubled = seen.filter((one) => one.degraded || one.status === 0 || one.status >= 500)
  const detectedMs = Math.min(
    ...troubled.map(({ atMs, ms }) => atMs + ms),
    probes.firstNotOkMs(injectedMs) ?? Infinity
  )
  const lastTroubleMs = Math.max(clearedMs, ...troubled.map(({ atMs, ms }) => atMs + ms))
  const held = await fault.leases()
  const over = Math.max(load.over, surplus(held, load))
  const sorted = seen.map(({ ms }) => ms).sort((a, b) => a - b)
  const row: Row = {
    fault: fault.fault,
    requests: seen.length,
    p50: round(percentile(sorted, 0.5)),
    p99: round(percentile(sorted, 0.99)),
    slowest: round(sorted.at(-1) ?? 0),
    errors: seen.filter(isError).length + load.skipped,
    over,
    lost: right.lost.length + load.vanished,
    detectMs: Number.isFinite(detectedMs) ? Math.round(detectedMs - injectedMs) : null,
    recoverMs: right.found ? Math.round(Math.max(right.atMs, lastTroubleMs) - clearedMs) : null,
    ...(fault.note !== undefined && { note: fault.note })
  }
  const during = seen.filter(({ atMs }) => atMs < clearingMs)
  return {
    row,
    load,
    phantoms: right.phantoms,
    lost: right.lost,
    ...probes.sum(injectedMs, clearedMs),
    degradedShare:
      during.length === 0 ? 0 : during.filter(({ degraded }) => degraded).length / during.length,
    failures: [
      ...new Set(
        seen
          .filter(isError)
          .map(({ verb, status, code, failure }) => `${verb} ${status} ${code ?? failure ?? ''}`)
      )
    ]
  }
}

/**
 * What a row may not exceed; lost sessions, slots over the limit and errors are 0 unless said
 * otherwise.
 */
export interface Bounds {
  p99?: number
  errors?: number
  over?: number
  lost?: number
  phantoms?: number
  detectMs?: number
  recoverMs?: number
}

/** Holds a run to its promises, prints its row and keeps it for the table. */
export function conclude (
  t: Test,
  { row, phantoms, lost, failures, notAlive }: Measured,
  bounds: Bounds = {}
): void {
  record(t, row)
  const {
    p99 = 500,
    errors = 0,
    over = 0,
    lost: mayLose = 0,
    phantoms: mayHaunt = 0,
    detectMs,
    recoverMs = 5000
  } = bounds
  t.ok(row.requests > 0, `${row.fault}: there were requests`)
  t.ok(row.p99 <= p99, `${row.fault}: p99 is ${row.p99} ms, at most ${p99}`)
  t.ok(
    row.errors <= errors,
    `${row.fault}: ${row.errors} errors, at most ${errors} ${failures.join(', ')}`
  )
  t.ok(row.over <= over, `${row.fault}: ${row.over} slots over the limit, at most ${over}`)
  t.ok(
    row.lost <= mayLose,
    `${row.fault}: ${row.lost} sessions lost, at most ${mayLose} ${lost.slice(0, 3).join(', ')}`
  )
  t.ok(
    phantoms.length <= mayHaunt,
    `${row.fault}: ${phantoms.length} phantoms, at most ${mayHaunt} ` +
      phantoms.slice(0, 3).join(', ')
  )
  t.equal(notAlive, 0, `${row.fault}: liveness stays 200`)
  const within = (ms: number | null, most: number, what: string) =>
    t.ok(ms !== null && ms <= most, `${row.fault}: ${what} after ${ms} ms, at most ${most}`)
  if (detectMs !== undefined) within(row.detectMs, detectMs, 'noticed')
  within(row.recoverMs, recoverMs, 'all well')
}

/** Prints a row, and keeps it where the run of the whole matrix collects them. */
export function record (t: Pick<Test, 'comment'>, row: Row): void {
  t.comment(JSON.stringify(row))
  const file = process.env['FAULT_ROWS']
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(row)}\n`)
}

/** A row of a fault that cannot be had on this machine, with why. */
export function recordNotRun (t: Pick<Test, 'comment'>, fault: string, why: string): void {
  record(t, {
    fault,
    requests: 0,
    p50: 0,
    p99: 0,
    slowest: 0,
    errors: 0,
    over: 0,
    lost: 0,
    detectMs: null,
    recoverMs: null,
    note: `not run: ${why}`
  })
}

/** The value below which so many of sorted numbers lie. */
export function percentile (sorted: number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
}

/** How long answers must have been without trouble before recovery is believed, in milliseconds. */
const CALM_MS = 300

/**
 * Waits until what the callers know and what Redis holds agree, and answers come from Redis again.
 */
async function untilRight (
  load: Load,
  probes: Probes,
  { leases, deadlineMs = 15_000 }: Fault,
  clearedMs: number
) {
  let last = { lost: ['Redis did not answer'], phantoms: [] as string[] }
  let rightMs: number | undefined
  while (performance.now() < clearedMs + deadlineMs) {
    const askedMs = performance.now()
    try {
      last = await compare(load, leases)
      const { lost, phantoms } = last
      if (lost.length + phantoms.length > 0) rightMs = undefined
      else rightMs ??= askedMs
    } catch {
      rightMs = undefined
    }
    const latest = load.records.filter(({ atMs }) => atMs > performance.now() - CALM_MS)
    const calm =
      latest.length > 5 &&
      latest.every(({ degraded, status }) => !degraded && status !== 0 && status < 500)
    if (rightMs !== undefined && calm && probes.ok) return { found: true, atMs: rightMs, ...last }
    await sleep(50)
  }
  return { found: false, atMs: performance.now(), ...last }
}

/** Looks only at sessions that nothing happened to while Redis was read. */
async function compare (load: Load, leases: Fault['leases']) {
  const states = ['live', 'ended', 'refused'] as const
  const before = states.map((state) => load.known(state))
  const held = await leases()
  const steady = states.map((state, i) => {
    const after = load.known(state)
    return [...(before[i] ?? [])].flatMap(([name, changedMs]) =>
      after.get(name) === changedMs ? [name] : []
    )
  })
  const [live = [], ended = [], refused = []] = steady
  return {
    lost: live.filter((name) => !held.has(name)),
    phantoms: [...ended, ...refused].filter((name) => held.has(name))
  }
}

/** How many leases Redis holds beyond the limit of the load's users. */
function surplus (held: Set<string>, { options: { name, limit } }: Load): number {
  const counts = new Map<string, number>()
  for (const one of held) {
    const user = one.slice(0, one.indexOf(' '))
    if (user.startsWith(`${name}-user-`)) counts.set(user, (counts.get(user) ?? 0) + 1)
  }
  return [...counts.values()].reduce((sum, count) => sum + Math.max(0, count - limit), 0)
}

/** Milliseconds to one decimal, as the table has them. */
export function round (ms: number): number {
  return Math.round(ms * 10) / 10
}

/** Asks for liveness and readiness all the time, as an orchestrator does, only more often. */
class Probes {
  #client: HttpClient
  #ready: Array<{ atMs: number; status: number; said: string }> = []
  #notAlive: number[] = []
  #running: Promise<void> | undefined
  #stopping = false

  constructor (client: HttpClient) {
    this.#client = client
  }

  start (): void {
    this.#running = this.#run()
  }

  async stop (): Promise<void> {
    this.#stopping = true
    await this.#running
    this.#client.close()
  }

  /** Whether the service said last that all is well. */
  get ok (): boolean {
    return this.#ready.at(-1)?.said === 'ok'
  }

  firstNotOkMs (sinceMs: number): number | undefined {
    return this.#ready.find(({ atMs, said }) => atMs >= sinceMs && said !== 'ok')?.atMs
  }

  sum (injectedMs: number, clearedMs: number) {
    const since = this.#ready.filter(({ atMs }) => atMs >= injectedMs)
    const lostMs = since.find(({ status }) => status === 503)?.atMs
    const backMs =
      lostMs &&
      since.find(({ atMs, status }) => atMs > Math.max(lostMs, clearedMs) && status === 200)?.atMs
    return {
      readinessChanges: since.filter(({ status }, i) => i > 0 && status !== since[i - 1]?.status)
        .length,
      notAlive: this.#notAlive.filter((atMs) => atMs >= injectedMs).length,
      notReadyMs: lostMs === undefined ? null : Math.round(lostMs - injectedMs),
      readyMs: backMs === undefined ? null : Math.round(backMs - clearedMs)
    }
  }

  async #run (): Promise<void> {
    while (!this.#stopping) {
      const [ready, live] = await Promise.all([
        this.#client.ask('GET', '/healthz/ready'),
        this.#client.ask('GET', '/healthz/live')
      ])
      this.#ready.push({
        atMs: ready.atMs + ready.ms,
        status: ready.status,
        said: String(ready.body?.status)
      })
      if (live.status !== 200) this.#notAlive.push(live.atMs)
      await sleep(50)
    }
  }
}
