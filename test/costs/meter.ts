/** Measures what one request costs: this process, which is the service, and Redis. */
import { once } from 'node:events'
import { openSync, readSync } from 'node:fs'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

/** A request as bytes, and what its answer is to be. */
export interface Request {
  what: string
  who: 'nobody' | 'viewer' | 'switch' | 'operator' | 'admin'
  method: string
  path: string
  body?: string
  status: number
}

/** What a request has cost. */
export interface Cost {
  what: string
  who: string
  status: number
  bodyMiB: number
  /** The longest that one turn of the event loop took, in milliseconds of the processor. */
  loopMs: number
  /** The longest that Redis was held up, in milliseconds. */
  redisMs: number
  /** By how much the process grew meanwhile, in MiB. */
  grownMiB: number
  tookMs: number
}

/**
 * Watches the turns of the event loop by the time that the main thread has had on a processor: that
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

const schedule = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
const buffer = Buffer.alloc(64)

/** For how long the main thread has run, in nanoseconds. */
function processorNs (): number {
  const length = readSync(schedule, buffer, 0, buffer.length, 0)
  return Number(buffer.toString('latin1', 0, length).split(' ')[0])
}

/** Sends a request over a connection of its own, and measures until it is answered. */
export async function measure (
  { redis }: FastifyInstance,
  port: number,
  token: string | null,
  { what, who, method, path, body = '', status }: Request
): Promise<Cost> {
  await redis.config('SET', 'slowlog-log-slower-than', '500')
  await redis.config('SET', 'slowlog-max-len', '20000')
  await redis.slowlog('RESET')
  const bytes = Buffer.from(
    `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n` +
      (token === null ? '' : `Authorization: Bearer ${token}\r\n`) +
      (body === '' ? '' : 'Content-Type: application/json\r\n') +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  )
  globalThis.gc?.()
  await sleep(300)
  const before = process.memoryUsage().rss
  let most = before
  const sampling = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss)
  }, 5)
  const turns = new Turns()
  const startedMs = performance.now()
  const socket = connect(port, '127.0.0.1')
  let head = ''
  socket.on('data', (chunk) => {
    if (head === '') head = chunk.toString('latin1', 0, 20)
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(bytes)
  await once(socket, 'close')
  await sleep(50)
  const tookMs = performance.now() - startedMs - 50
  clearInterval(sampling)
  const slow = (await redis.slowlog('GET', 1000)) as Array<[number, number, number]>
  const times = slow.map(([, , us]) => us)
  return {
    what,
    who,
    status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0) || status * -1,
    bodyMiB: body.length / 2 ** 20,
    loopMs: turns.longestMs(),
    redisMs: Math.max(0.5, ...times.map((us) => us / 1000)),
    grownMiB: (most - before) / 2 ** 20,
    tookMs
  }
}

/** The costs as a table of Markdown. */
export function tableOf (costs: Cost[]): string {
  const figure = (value: number, digits = 0) => value.toFixed(digits)
  return [
    '| request | by | answer | body MiB | event loop ms | Redis ms | grown MiB | all ms |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...costs.map((cost) =>
      `| ${[
        cost.what,
        cost.who,
        cost.status,
        figure(cost.bodyMiB, 1),
        figure(cost.loopMs),
        figure(cost.redisMs, 1),
        figure(cost.grownMiB),
        figure(cost.tookMs)
      ].join(' | ')} |`)
  ].join('\n')
}
