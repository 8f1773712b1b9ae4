/** Counts the requests of each caller in Redis, so that all replicas count together. */
import { createHash } from 'node:crypto'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'

/** How many requests a caller has sent in a window, and how many milliseconds are left of it. */
export interface RequestCount {
  count: number
  leftMs: number
}

/** Keeps one key for each caller, which expires with the caller's window. */
export class RedisRequestCount {
  #executor: RedisExecutor
  #keys: RedisKeys

  constructor (executor: RedisExecutor, keys: RedisKeys) {
    this.#executor = executor
    this.#keys = keys
  }

  /** Counts a request; undefined where Redis cannot be asked. */
  async add (caller: string, windowMs: number): Promise<RequestCount | undefined> {
    // The name of a caller may be any text. Its hash is short and has no braces, which a Cluster
    // would take for a hash tag.
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
