/** The load process: takes its options by IPC, puts the load on, answers with what it saw, and ends. */
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuMs } from '../harness/proc.ts'
import { Connection } from './connection.ts'
import type { LoadOptions, LoadResult } from './load-types.ts'
import { Tally } from './tally.ts'
import { requestMaker } from './templates.ts'

process.once('message', (options: LoadOptions) => {
  run(options).catch((error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }))
    .then((answer) => process.send?.(answer, () => process.disconnect()))
})

async function run (options: LoadOptions): Promise<LoadResult> {
  const tally = new Tally(options.templates.length)
  let close = () => {}
  const broken = new Promise<never>((_resolve, reject) => {
    close = options.perSecond > 0 ? atFixedRate(options, tally, reject) : asFastAsAnswered(options, tally, reject)
  })
  try {
    return await Promise.race([broken, measure(options, tally)])
  } finally {
    close()
  }
}

async function measure ({ warmupMs, durationMs, pids }: LoadOptions, tally: Tally): Promise<LoadResult> {
  const cpuOfAll = () => Object.entries(pids).map(([name, pid]) => [name, cpuMs(pid)] as const)
  await sleep(warmupMs)
  const before = cpuOfAll()
  const own = process.cpuUsage()
  const startedMs = performance.now()
  tally.counting = true
  await sleep(durationMs)
  tally.counting = false
  const seconds = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(own)
  const after = Object.fromEntries(cpuOfAll())
  return {
    requests: tally.requests,
    seconds,
    statuses: tally.statuses,
    ...(tally.oddAnswer !== undefined && { oddAnswer: tally.oddAnswer }),
    ...tally.latencies(),
    cpuMs: Object.fromEntries(before.map(([name, ms]) => [name, (after[name] ?? NaN) - ms])),
    loadCpuMs: (user + system) / 1000
  }
}

/** Closed loop: every answer brings the next request. */
function asFastAsAnswered (options: LoadOptions, tally: Tally, broken: (reason: Error) => void): () => void {
  const maker = requestMaker(options)
  const connections = Array.from({ length: options.connections }, () => {
    const requests = maker()
    let answered = 0
    const connection = new Connection(options.port, {
      answer: (status, sentAtMs, text) => {
        tally.note(answered++ % options.templates.length, status, performance.now() - sentAtMs, text)
        connection.send(requests.next().value)
      },
      broken
    })
    for (let i = 0; i < options.pipelining; i++) connection.send(requests.next().value)
    return connection
  })
  return () => { for (const connection of connections) connection.close() }
}

/** Open loop: requests go out by the clock, whether or not the earlier ones are answered. */
function atFixedRate (options: LoadOptions, tally: Tally, broken: (reason: Error) => void): () => void {
  const maker = requestMaker(options)
  const lines = Array.from({ length: options.connections }, () => {
    let answered = 0
    const connection = new Connection(options.port, {
      answer: (status, sentAtMs, text) => tally.note(answered++ % options.templates.length, status, performance.now() - sentAtMs, text),
      broken
    })
    return { connection, requests: maker() }
  })
  const startedMs = performance.now()
  let sent = 0
  const timer = setInterval(() => {
    const due = Math.floor((performance.now() - startedMs) * options.perSecond / 1000)
    for (; sent < due; sent++) {
      const line = lines[sent % lines.length]
      line?.connection.send(line.requests.next().value)
    }
  }, 1)
  return () => {
    clearInterval(timer)
    for (const { connection } of lines) connection.close()
  }
}
