/** Measures what one request costs: this process, which is the service, and Redis. */
import { openSync, readSync } from 'node:fs'
import { connect } from 'node:net'
import { PerformanceObserver } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { FastifyInstance } from 'fastify'

/** A request as bytes, and what its answer is to be. */
export interface Request {
  what: string
  who: 'nobody' | 'viewer' | 'switch' | 'operator' | 'admin'
  method: string
  path: string
  /** Made when it is sent: bodies that lie about would cost collections, too. */
  body?: () => string
  /** How many of them are sent at once; 1 by default. Some of many may be answered 429. */
  atOnce?: number
  status: number
}

/** What a request has cost. */
export interface Cost {
  what: string
  who: string
  status: number
  wanted: number
  atOnce: number
  /** How many of those sent at once were answered 429. */
  refused: number
  bodyMiB: number
  /** The longest that one turn of the event loop took, in milliseconds of the processor. */
  loopMs: number
  /** The longest garbage collection, most of which is in a turn. */
  gcMs: number
  /** The longest that Redis was held up, in milliseconds. */
  redisMs: number
  /** The beginning of the command that did. */
  command: string
  /** By how much the process grew meanwhile, in MiB. */
  grownMiB: number
  tookMs: number
}

/**
 * Watches the turns of the event loop by the time that this thread has had on a processor: that
 * is not changed by other programs on a busy machine.
 */
class Turns {
  #longest = 0
  #ended = false

  constructor () {
    let last = processorNs()
    const turn = () => {
      const now = processorNs()
      this.#longest = Math.max(this.#longest, now - last)
      last = now
      if (!this.#ended) setImmediate(turn)
    }
    setImmediate(turn)
  }

  /** The longest turn so far; no more are watched. */
  longestMs (): number {
    this.#ended = true
    return this.#longest / 1e6
  }
}

/** Watches how long garbage collections take. */
class Collections {
  #longest = 0
  #observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) this.#longest = Math.max(this.#longest, duration)
  })

  constructor () {
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  /** The longest so far; no more are watched. */
  longestMs (): number {
    this.#observer.disconnect()
    return this.#longest
  }
}

/** Collects all garbage, so that a request is not charged for what was before. */
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const schedule = openSync('/proc/thread-self/schedstat', 'r')
const buffer = Buffer.alloc(64)

/** For how long this thread has run, in nanoseconds. */
function processorNs (): number {
  const length = readSync(schedule, buffer, 0, buffer.length, 0)
  return Number(buffer.toString('latin1', 0, length).split(' ')[0])
}

/** An entry of the slow log: its third is microseconds, its fourth the command. */
type Slow = [number, number, number, string[]]

/** Sends a request over a connection of its own, and measures until it is answered. */
export async function measure (
  { redis }: FastifyInstance,
  port: number,
  token: string | null,
  { body: bodyOf = () => '', atOnce = 1, status: wanted, ...request }: Request
): Promise<Cost> {
  const { what, who, method, path } = request
  await redis.config('SET', 'slowlog-log-slower-than', '500')
  await redis.config('SET', 'slowlog-max-len', '20000')
  await redis.slowlog('RESET')
  let body = bodyOf()
  const bodyMiB = Buffer.byteLength(body) / 2 ** 20
  const bytes = Buffer.from(
    `${method} ${path} HTTP/1.1\r\nHost: x\r\n` +
      (token === null ? '' : `Authorization: Bearer ${token}\r\n`) +
      (body === '' ? '' : 'Content-Type: application/json\r\n') +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
  body = ''
  collect()
  await sleep(300)
  const before = process.memoryUsage().rss
  let most = before
  const sampling = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss)
  }, 5)
  const turns = new Turns()
  const collections = new Collections()
  const startedMs = performance.now()
  const answers = Array.from({ length: atOnce }, async () => await statusOf(port, bytes))
  const statuses = await Promise.all(answers)
  await sleep(50)
  const tookMs = performance.now() - startedMs - 50
  clearInterval(sampling)
  const slow = (await redis.slowlog('GET', 20_000)) as Slow[]
  const slowest = slow.sort(([, , a], [, , b]) => b - a)[0]
  return {
    what,
    who,
    status: statuses[0] ?? 0,
    wanted,
    atOnce,
    refused: statuses.filter((status) => status === 429).length,
    bodyMiB,
    loopMs: turns.longestMs(),
    gcMs: collections.longestMs(),
    redisMs: (slowest?.[2] ?? 500) / 1000,
    command: slowest?.[3].slice(0, 2).join(' ').slice(0, 60) ?? '',
    grownMiB: (most - before) / 2 ** 20,
    tookMs
  }
}

/**
 * Sends bytes over a connection of their own, and waits for the end of the answer; 0 without one.
 */
async function statusOf (port: number, bytes: Buffer): Promise<number> {
  const socket = connect(port, '127.0.0.1')
  let [head, left] = ['', Infinity]
  socket.on('data', (chunk) => {
    if (head === '') {
      head = chunk.toString('latin1').split('\r\n\r\n')[0] ?? ''
      left = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Infinity) + head.length + 4
    }
    left -= chunk.length
    // The last chunk of a body that comes in chunks.
    const isLast = left === Infinity && chunk.toString('latin1').endsWith('\r\n0\r\n\r\n')
    if (left <= 0 || isLast) socket.destroy()
  })
  socket.on('error', () => {})
  socket.on('connect', () => socket.write(bytes))
  await new Promise((resolve) => socket.on('close', resolve))
  return Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0)
}

/** The costs as a table of Markdown. */
export function tableOf (costs: Cost[]): string {
  const figure = (value: number, digits = 0) => value.toFixed(digits)
  return [
    '| request | by | answer | body MiB | event loop ms | collection ms | Redis ms ' +
      '| grown MiB | all ms |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...costs.map((cost) =>
      `| ${[
        cost.what,
        cost.who,
        cost.refused > 0 ? `${cost.status}, ${cost.refused} × 429` : cost.status,
        figure(cost.bodyMiB, 1),
        figure(cost.loopMs),
        figure(cost.gcMs),
        figure(cost.redisMs, 1),
        figure(cost.grownMiB),
        figure(cost.tookMs)
      ].join(' | ')} |`)
  ].join('\n')
}
