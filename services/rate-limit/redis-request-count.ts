/** Counts requests in windows of time in Redis, so that all replicas count together. */
import { createHash } from 'node:crypto'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'

/** How many requests came in a window, and how long it lasts yet, in milliseconds. */
export interface RequestCount {
  count: number
  leftMs: number
}

/** One key a caller, which expires with its window. */
export class RedisRequestCount {
  #executor: RedisExecutor
  #keys: RedisKeys

  constructor (executor: RedisExecutor, keys: RedisKeys) {
    this.#executor = executor
    this.#keys = keys
  }

  /** Counts one request; undefined when Redis cannot tell. */
  async add (caller: string, windowMs: number): Promise<RequestCount | undefined> {
    // A subject may be any text of any length: its hash is neither a hash tag nor a long key.
    const key = this.#keys.requestCount(createHash('sha256').update(caller).digest('base64url'))
    try {
      const [count, leftMs] = (await this.#executor.run(
        this.#executor.scripts.countRequest([key], [windowMs])
      )) as [number, number]
      return { count, leftMs }
    } catch {
      return undefined
    }
  }
}
