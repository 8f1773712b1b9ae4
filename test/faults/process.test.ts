/** The process is told to stop, and meets callers who never finish what they ask. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { RedisServer } from '../helpers/redis-server.ts'
import { startRedis, waitFor } from '../helpers/servers.ts'
import {
  conclude,
  httpClient,
  leasesOf,
  Load,
  measure,
  percentile,
  record,
  round,
  serveApart,
  type Recorded,
  type ServiceProcess
} from './matrix.ts'

/** How long an end may take, in milliseconds. */
const END_WITHIN_MS = 10_000
/** How long callers go on after readiness has dropped, in milliseconds. */
const HEEDED_AFTER_MS = 600
/** How many requests are left half open at once. */
const HALF_OPEN = 1000

t.test('SIGTERM under load', async (t) => {
  const redis = await startRedis(t)
  const service = await serveApart(t, { REDIS_URL: redis.url })
  const { load, endedMs, firstNotReadyMs, lastOkMs } = await terminate(t, service)
  const answered = load.records.filter(({ status }) => status !== 0)
  const cut = load.records.filter(isCut)
  t.ok(
    firstNotReadyMs !== undefined && firstNotReadyMs < lastOkMs,
    'not ready before the last request was answered'
  )
  t.strictSame(
    cut.map(({ verb, failure }) => `${verb} ${failure}`),
    [],
    'no connection was reset'
  )
  t.strictSame(
    answered.filter(({ status }) => status >= 500).map(({ status }) => status),
    [],
    'what was in flight was answered'
  )
  const held = await leasesOf(redis)
  const lost = [...load.known('live').keys()].filter((name) => !held.has(name))
  t.strictSame(lost, [], 'the leases stay')
  t.ok(held.size > 0)
  t.ok(endedMs <= END_WITHIN_MS, `ended after ${Math.round(endedMs)} ms`)
  const sorted = answered.map(({ ms }) => ms).sort((a, b) => a - b)
  record(t, {
    fault: 'SIGTERM under load',
    requests: answered.length,
    p50: round(percentile(sorted, 0.5)),
    p99: round(percentile(sorted, 0.99)),
    slowest: round(sorted.at(-1) ?? 0),
    errors: cut.length + answered.filter(({ status }) => status >= 500).length,
    over: load.over,
    lost: lost.length,
    detectMs: firstNotReadyMs === undefined ? null : Math.round(firstNotReadyMs),
    recoverMs: Math.round(endedMs),
    note: 'noticed: readiness is 503; recovery: the process has ended'
  })
})

t.test('SIGTERM while Redis hangs', async (t) => {
  const redis = await startRedis(t)
  const service = await serveApart(t, { REDIS_URL: redis.url })
  const { load, endedMs } = await terminate(t, service, redis)
  t.strictSame(
    load.records.filter(isCut).map(({ failure }) => failure),
    [],
    'no connection was reset'
  )
  t.ok(endedMs <= END_WITHIN_MS, `ended after ${Math.round(endedMs)} ms`)
  t.comment(`ended after ${Math.round(endedMs)} ms`)
})

t.test('a thousand requests that never end', async (t) => {
  const redis = await startRedis(t)
  const service = await serveApart(t, { REDIS_URL: redis.url })
  const port = Number(new URL(service.url).port)
  const open = new Set<Socket>()
  t.teardown(() => open.forEach((socket) => socket.destroy()))
  let cutMs = 0
  const measured = await measure(t, {
    fault: `Slowloris: ${HALF_OPEN} half-open requests`,
    service,
    warmMs: 3000,
    async inject () {
      for (let i = 0; i < HALF_OPEN; i++) await halfOpen(port, i, open)
    },
    async hold () {
      const startMs = performance.now()
      await waitFor(() => open.size === 0, { what: 'all of them to be cut', deadlineMs: 15_000 })
      cutMs = performance.now() - startMs
    },
    clear: () => {},
    leases: async () => await leasesOf(redis)
  })
  const before = measured.load.records
    .slice(100, -measured.row.requests)
    .map(({ ms }) => ms)
    .sort((a, b) => a - b)
  const p99Before = round(percentile(before, 0.99))
  measured.row.note =
    `p99 before: ${p99Before} ms; all cut ${Math.round(cutMs)} ms after the last was opened`
  t.ok(cutMs <= 10_000, `cut within ${Math.round(cutMs)} ms`)
  conclude(t, measured, { p99: Math.max(100, 2 * p99Before) })
})

/** Opens a connection that says nothing, half a head, or a head and half a body. */
async function halfOpen (port: number, i: number, open: Set<Socket>): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  open.add(socket)
  socket.on('error', () => {})
  socket.on('close', () => open.delete(socket))
  socket.resume()
  await once(socket, 'connect')
  const head = 'POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
  if (i % 3 > 0) socket.write(i % 3 === 1 ? head : `${head}Content-Length: 100\r\n\r\n{"username":`)
}

/**
 * A connection that was cut while a request was on it; one that is refused is not, for nobody
 * listens any more.
 */
function isCut ({ status, failure }: Recorded): boolean {
  return status === 0 && !/ECONNREFUSED/.test(failure ?? '')
}

/** Loads a service, freezes its Redis if one is given, and tells it to stop. */
async function terminate (t: Test, service: ServiceProcess, frozen?: RedisServer) {
  const client = httpClient(service.url, service.token)
  const prober = httpClient(service.url, service.token, 1)
  t.teardown(() => [client, prober].forEach((one) => one.close()))
  const load = new Load(client)
  load.start()
  await waitFor(() => load.records.length > 300, { what: 'the load' })
  frozen?.pause()
  const startMs = performance.now()
  process.kill(service.pid, 'SIGTERM')
  let firstNotReadyMs: number | undefined
  while (isRunning(service.pid) && performance.now() - startMs < 2 * END_WITHIN_MS) {
    const { status } = await prober.ask('GET', '/healthz/ready')
    if (status === 503) firstNotReadyMs ??= performance.now() - startMs
    // As a balancer does that looks at readiness now and then: nothing new is sent any more, what
    // is under way goes on.
    if (performance.now() - startMs > (firstNotReadyMs ?? Infinity) + HEEDED_AFTER_MS) {
      void load.stop()
    }
    await sleep(10)
  }
  const endedMs = performance.now() - startMs
  await load.stop()
  frozen?.resume()
  const lastOkMs =
    Math.max(
      ...load.records.filter(({ status }) => status !== 0).map(({ atMs, ms }) => atMs + ms)
    ) - startMs
  return { load, endedMs, firstNotReadyMs, lastOkMs }
}

function isRunning (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
