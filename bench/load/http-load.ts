/** The load process: takes its options by IPC, sends the load, answers with the result, ends. */
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuMs } from '../harness/proc.ts'
import { Connection } from './connection.ts'
import type { LoadOptions, LoadResult } from './load-types.ts'
import { startPacer } from './pacer.ts'
import { Tally } from './tally.ts'
import { RequestMaker } from './templates.ts'

process.once('message', (options: LoadOptions) => {
  run(options)
    .catch((error: unknown) => ({ error: error instanceof Error ? error.message : String(error) }))
    .then((answer) => process.send?.(answer, () => process.disconnect()))
})

/** What both kinds of load work with. */
interface Underway {
  options: LoadOptions
  tally: Tally
  maker: RequestMaker
  broken: (reason: Error) => void
  usedUp: () => void
}

async function run (options: LoadOptions): Promise<LoadResult> {
  const tally = new Tally(options.templates.length, options.answers)
  const maker = new RequestMaker(options.templates, options)
  let close = () => {}
  const ended = new Promise<void>((resolve, reject) => {
    const underway = { options, tally, maker, broken: reject, usedUp: resolve }
    close = options.perSecond > 0 ? atFixedRate(underway) : asFastAsAnswered(underway)
  })
  try {
    return await measure(options, tally, maker, ended)
  } finally {
    close()
  }
}

/** Counts until the time is up, or all numbers are used and answered. */
async function measure (
  { warmupMs, durationMs, pids }: LoadOptions,
  tally: Tally,
  maker: RequestMaker,
  ended: Promise<void>
): Promise<LoadResult> {
  const cpuOfAll = () => Object.entries(pids).map(([name, pid]) => [name, cpuMs(pid)] as const)
  await Promise.race([ended, sleep(warmupMs)])
  const before = cpuOfAll()
  const own = process.cpuUsage()
  const startedMs = performance.now()
  tally.counting = true
  await Promise.race([ended, sleep(durationMs)])
  tally.counting = false
  const seconds = (performance.now() - startedMs) / 1000
  const { user, system } = process.cpuUsage(own)
  const after = Object.fromEntries(cpuOfAll())
  return {
    requests: tally.requests,
    numbers: maker.begun,
    seconds,
    statuses: tally.statuses,
    samples: tally.samples,
    others: tally.others,
    ...(tally.oddAnswer !== undefined && { oddAnswer: tally.oddAnswer }),
    ...tally.latencies(),
    cpuMs: Object.fromEntries(before.map(([name, ms]) => [name, (after[name] ?? NaN) - ms])),
    loadCpuMs: (user + system) / 1000
  }
}

/** Closed loop: every answer brings the next request. */
function asFastAsAnswered ({ options, tally, maker, broken, usedUp }: Underway): () => void {
  let idle = 0
  const connections = Array.from({ length: options.connections }, () => {
    const requests = maker.passes()
    let answered = 0
    const sendNext = () => {
      const { value } = requests.next()
      if (value !== undefined) connection.send(value, performance.now())
      else if (connection.underWay === 0 && ++idle === options.connections) usedUp()
    }
    const connection = new Connection(options.port, {
      answer: (status, sentAtMs, answer) => {
        tally.note(
          answered++ % options.templates.length,
          status,
          performance.now() - sentAtMs,
          answer
        )
        sendNext()
      },
      broken
    })
    for (let i = 0; i < options.pipelining; i++) sendNext()
    return connection
  })
  return () => {
    for (const connection of connections) connection.close()
  }
}

/**
 * Open loop: requests are due by the clock, whether or not earlier ones are answered. One that is
 * due while its connection waits for an answer is sent after that answer, as a release must follow
 * its admission. Each counts from when it was due, not from when it was sent: a server that stalls
 * has to answer for the requests that would have come meanwhile.
 */
function atFixedRate ({ options, tally, maker, broken }: Underway): () => void {
  const lines = Array.from({ length: options.connections }, () => {
    const requests = maker.passes()
    const dueAtMs: number[] = []
    let answered = 0
    const sendDue = () => {
      const [first] = dueAtMs
      if (first === undefined || connection.underWay > 0) return
      dueAtMs.shift()
      const { value } = requests.next()
      if (value === undefined) return
      tally.noteSent(performance.now() - first)
      connection.send(value, first)
    }
    const connection = new Connection(options.port, {
      answer: (status, atMs, answer) => {
        tally.note(answered++ % options.templates.length, status, performance.now() - atMs, answer)
        sendDue()
      },
      broken
    })
    return {
      close: () => connection.close(),
      due: (atMs: number) => {
        dueAtMs.push(atMs)
        sendDue()
      }
    }
  })
  let next = 0
  const stopPacer = startPacer(options.perSecond, (atMs) => lines[next++ % lines.length]?.due(atMs))
  return () => {
    stopPacer()
    for (const line of lines) line.close()
  }
}
