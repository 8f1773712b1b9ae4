/** Runs commands on Redis: each has a deadline, and each failure has one meaning. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, type Redis } from 'ioredis'
import { outcomeUnknown, ServiceError, storeUnavailable } from '../errors.ts'
import { Deadlines } from './deadlines.ts'
import { EncodedCommand } from './encoded-command.ts'
import { isWrongType, mayHaveArrived, steppedByMs } from './replies.ts'
import { RedisClock } from './redis-clock.ts'
import { loadScripts, type Scripts } from './scripts.ts'

/** How long a command may take until the store counts as unavailable, in milliseconds. */
export const DEFAULT_DEADLINE_MS = 200

/** A Redis client with its scripts, and a deadline for every command. */
export class RedisExecutor {
  readonly deadlineMs: number
  readonly isCluster: boolean
  readonly clock: RedisClock
  #client: Redis
  #scripts: Scripts
  #deadlines: Deadlines
  #connecting: Promise<boolean> | undefined

  constructor (client: Redis, deadlineMs = DEFAULT_DEADLINE_MS, clock = new RedisClock()) {
    this.#client = client
    this.isCluster = (client as unknown) instanceof Cluster
    this.#scripts = loadScripts(client)
    this.deadlineMs = deadlineMs
    this.clock = clock
    this.#deadlines = new Deadlines(deadlineMs)
  }

  get client (): Redis {
    return this.#client
  }

  get scripts (): Scripts {
    return this.#scripts
  }

  /**
   * Waits for a reply, but not longer than the deadline.
   * @throws ServiceError `store_unavailable` when Redis is away, hangs or answers with any error:
   * what is not a value is "cannot be served"
   */
  run<T>(reply: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const wait = this.#deadlines.begin(() => {
        reject(storeUnavailable(new Error(`Redis did not answer within ${this.deadlineMs} ms`)))
      })
      reply.then(
        (value) => {
          this.#deadlines.end(wait)
          resolve(value)
        },
        (error: unknown) => {
          this.#deadlines.end(wait)
          // An answer that comes in time says that a write came late: only a clock is wrong.
          if (performance.now() < wait.dueMs) this.clock.heardLate(steppedByMs(error))
          reject(error instanceof ServiceError ? error : storeUnavailable(error))
        }
      )
    })
  }

  /**
   * Waits for the reply to a write, as `run` does.
   * @throws ServiceError `store_unavailable`, which says so where the write may have been kept
   */
  async write<T>(reply: Promise<T>): Promise<T> {
    try {
      return await this.run(reply)
    } catch (error) {
      throw mayHaveArrived(error) ? outcomeUnknown(error) : error
    }
  }

  /** Until when Redis may carry out a write that is sent now; '' while its time is not known. */
  deadline (): number | '' {
    return this.clock.deadline(this.deadlineMs)
  }

  /** Whether Redis is connected, after waiting up to `waitMs` for a connection that was cut. */
  async connected (waitMs: number): Promise<boolean> {
    if (this.client.status === 'ready') return true
    this.#connecting ??= this.#connected(waitMs).finally(() => {
      this.#connecting = undefined
    })
    return await this.#connecting
  }

  /** Called once, however many callers wait. */
  async #connected (waitMs: number): Promise<boolean> {
    const controller = new AbortController()
    const late = sleep(waitMs, false, { signal: controller.signal }).catch(() => false)
    const ready = once(this.client, 'ready', { signal: controller.signal }).then(
      () => true,
      () => false
    )
    return await Promise.race([ready, late]).finally(() => controller.abort())
  }

  /** The string at a key, null where there is none. The caller passes the reply to `run`. */
  get (key: string): Promise<string | null> {
    return this.client.sendCommand(new EncodedCommand('get', key, [key])) as Promise<string | null>
  }

  /** The strings at many keys, in their order; null where there is none or one of another type. */
  async getMany (keys: string[]): Promise<Array<string | null>> {
    if (keys.length === 0) return []
    if (!this.isCluster) return await this.run(this.client.mget(keys))
    return await this.run(
      Promise.all(keys.map(async (key) => await this.or(null, this.client.get(key))))
    )
  }

  /** A reply, or the fallback where another program has written a value of another type. */
  async or<T>(fallback: T, reply: Promise<T>, onWrongType: () => void = () => {}): Promise<T> {
    try {
      return await reply
    } catch (error) {
      if (!isWrongType(error)) throw error
      onWrongType()
      return fallback
    }
  }

  /**
   * The time by the clock of Redis, in milliseconds since the epoch.
   * @param key - in a Cluster, the master on which this key lies is asked
   */
  async nowMs (key: string): Promise<number> {
    const reply = this.client.sendCommand(new EncodedCommand('time', key, []))
    const [seconds = 0, microseconds = 0] = (await this.run(reply as Promise<string[]>)).map(Number)
    return seconds * 1000 + Math.floor(microseconds / 1000)
  }
}
