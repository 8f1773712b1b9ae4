/** Watches what random requests cost others: turns of the event loop, memory, and Redis. */
import type { Redis } from 'ioredis'

/** What Redis notes in its slow log, in microseconds. */
const SLOW_US = 2_000
/** After how many requests the memory is looked at. */
const EVERY = 100

/** The dearest so far. */
export interface Watched {
  /** The longest turn of the event loop, in milliseconds of the processor, and in which request. */
  turnMs: number
  request: string
  /** The longest that Redis was held up, in milliseconds, and by which command. */
  redisMs: number
  command: string
  /** The most memory of the process, in MiB. */
  rssMiB: number
}

/** Processor time of this thread; where Node does not say, the time of the wall. */
const thread = process as { threadCpuUsage?: () => { user: number; system: number } }
const spentMs = (): number => {
  const spent = thread.threadCpuUsage?.()
  return spent === undefined ? performance.now() : (spent.user + spent.system) / 1000
}

/** Watches one request after the other. */
export class Watch {
  readonly worst: Watched = { turnMs: 0, request: '', redisMs: 0, command: '', rssMiB: 0 }
  #requests = 0

  /** Watches the turns of the event loop until a request is answered. */
  async during<T> (request: string, work: () => Promise<T>): Promise<T> {
    let last = spentMs()
    const look = () => {
      const now = spentMs()
      if (now - last > this.worst.turnMs) Object.assign(this.worst, { turnMs: now - last, request })
      last = now
    }
    let timer = setImmediate(function turn () {
      look()
      timer = setImmediate(turn)
    })
    try {
      return await work()
    } finally {
      look()
      clearImmediate(timer)
      if (this.#requests++ % EVERY === 0) this.#lookAtMemory()
    }
  }

  #lookAtMemory (): void {
    const rssMiB = process.memoryUsage.rss() / 2 ** 20
    this.worst.rssMiB = Math.max(this.worst.rssMiB, rssMiB)
  }

  /** Has Redis note what is slow, from now on. */
  async beginSlowLog (redis: Redis): Promise<void> {
    await redis.config('SET', 'slowlog-log-slower-than', String(SLOW_US))
    await redis.slowlog('RESET')
  }

  /** Reads what Redis has noted. */
  async readSlowLog (redis: Redis): Promise<void> {
    const entries = (await redis.slowlog('GET', 1000)) as Array<[number, number, number, string[]]>
    for (const [, , us, words] of entries) {
      const command = words.join(' ').slice(0, 200)
      if (us / 1000 > this.worst.redisMs) Object.assign(this.worst, { redisMs: us / 1000, command })
    }
  }
}
