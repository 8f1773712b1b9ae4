/** What the bench and its Redis load process tell each other. */

/** One command, many times. */
export interface RedisLoadOptions {
  port: number
  /** The server's process, for its CPU time. */
  pid: number
  words: string[]
  commands: number
  users: number
  firstNumber: number
}

/** What it took. */
export interface RedisLoadResult {
  seconds: number
  redisCpuMs: number
}
