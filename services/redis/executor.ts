/** The one door to Redis: every question has a deadline, and every failure one meaning. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, ReplyError, type Redis } from 'ioredis'
import { storeUnavailable } from '../errors.ts'
import { Deadlines } from './deadlines.ts'
import { EncodedCommand } from './encoded-command.ts'
import { loadScripts, type Scripts } from './scripts.ts'

/** How long one question may take before the store counts as unavailable, in milliseconds. */
export const DEFAULT_DEADLINE_MS = 200

/**
 * Error replies by which a server says that it cannot serve now; anything else in a reply is a
 * mistake of ours.
 */
const CANNOT_SERVE =
  /^(LOADING|READONLY|OOM|NOREPLICAS|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|MISCONF|NOAUTH|WRONGPASS|NOPERM|UNKILLABLE|EXECABORT|ERR max number of clients|ERR Script attempted to access a non local key)/

/** A Redis client with deadlines, and the scripts loaded into it. */
export class RedisExecutor {
  readonly deadlineMs: number
  readonly isCluster: boolean
  #client: Redis
  #scripts: Scripts
  #deadlines: Deadlines
  #connecting: Promise<boolean> | undefined

  constructor (client: Redis, deadlineMs = DEFAULT_DEADLINE_MS) {
    this.#client = client
    this.isCluster = (client as unknown) instanceof Cluster
    this.#scripts = loadScripts(client)
    this.deadlineMs = deadlineMs
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
   * @throws ServiceError `store_unavailable` when Redis is away, hangs or says that it cannot serve
   */
  run<T>(reply: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const question = this.#deadlines.begin(() => {
        reject(storeUnavailable(new Error(`Redis did not answer within ${this.deadlineMs} ms`)))
      })
      reply.then(
        (value) => {
          this.#deadlines.end(question)
          resolve(value)
        },
        (error: unknown) => {
          this.#deadlines.end(question)
          reject(isRefusal(error) ? (error as Error) : storeUnavailable(error))
        }
      )
    })
  }

  /** Whether the connection is there, after waiting a little for one that was cut. */
  async connected (waitMs: number): Promise<boolean> {
    if (this.client.status === 'ready') return true
    this.#connecting ??= this.#connected(waitMs).finally(() => {
      this.#connecting = undefined
    })
    return await this.#connecting
  }

  /** However many wait, one listens. */
  async #connected (waitMs: number): Promise<boolean> {
    const controller = new AbortController()
    const late = sleep(waitMs, false, { signal: controller.signal }).catch(() => false)
    const ready = once(this.client, 'ready', { signal: controller.signal }).then(
      () => true,
      () => false
    )
    return await Promise.race([ready, late]).finally(() => controller.abort())
  }

  /** The string at a key; to be given to `ask`. */
  get (key: string): Promise<string | null> {
    return this.client.sendCommand(new EncodedCommand('get', key, [key])) as Promise<string | null>
  }

  /**
   * The strings at many keys, in their order; null where there is none, or a value of another type.
   */
  async getMany (keys: string[]): Promise<Array<string | null>> {
    if (keys.length === 0) return []
    if (!this.isCluster) return await this.run(this.client.mget(keys))
    return await this.run(
      Promise.all(keys.map(async (key) => await this.or(null, this.client.get(key))))
    )
  }

  /** A reply, or the fallback where the key holds another type: someone else wrote it. */
  async or<T>(fallback: T, reply: Promise<T>, onWrongType: () => void = () => {}): Promise<T> {
    try {
      return await reply
    } catch (error) {
      if (!this.isWrongType(error)) throw error
      onWrongType()
      return fallback
    }
  }

  /** The time by the clock of Redis, in milliseconds since the epoch. */
  async nowMs (): Promise<number> {
    const [seconds = 0, microseconds = 0] = (await this.run(this.client.time())).map(Number)
    return seconds * 1000 + Math.floor(microseconds / 1000)
  }

  /** Whether a command failed because the key holds another type: someone else wrote it. */
  isWrongType (error: unknown): boolean {
    return error instanceof Error && error.message.startsWith('WRONGTYPE')
  }
}

/** Whether the server answered and refused this very command, as against being unable to serve. */
function isRefusal (error: unknown): boolean {
  return error instanceof ReplyError && !CANNOT_SERVE.test((error as Error).message)
}
