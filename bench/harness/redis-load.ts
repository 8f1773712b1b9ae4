/** Sends one command many times to Redis, pipelined, from a process of its own. */
import type { RedisLoadOptions, RedisLoadResult } from '../load/redis-load-types.ts'
import { nextNumbers } from './load.ts'
import { runLoadProcess } from './load-process.ts'
import type { BenchRedis } from './redis.ts'

const DEADLINE_MS = 120_000

/**
 * How often, for how many users, and from which number on (by default one that no other load uses).
 */
export interface RedisLoadSize {
  commands: number
  users: number
  firstNumber?: number
}

/** How fast Redis was, and what a command cost it. */
export interface RedisLoad {
  perSecond: number
  cpuUs: number
}

/**
 * Sends a command as often as asked; its placeholders are those of HTTP loads.
 * @throws Error when Redis refuses one
 */
export async function redisLoad (
  redis: BenchRedis,
  words: string[],
  size: RedisLoadSize
): Promise<RedisLoad> {
  const options: RedisLoadOptions = {
    port: redis.port,
    pid: redis.pid,
    words,
    firstNumber: nextNumbers(),
    ...size
  }
  const result = await runLoadProcess<RedisLoadResult>('redis-load.js', options, DEADLINE_MS)
  return {
    perSecond: size.commands / result.seconds,
    cpuUs: (result.redisCpuMs * 1000) / size.commands
  }
}
