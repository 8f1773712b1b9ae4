/** The messages between the bench and its Redis load process. */

/** One command to send many times. */
export interface RedisLoadOptions {
  port: number
  /** The server's process, for its CPU time. */
  pid: number
  words: string[]
  commands: number
  users: number
  firstNumber: number
}

/** How long it took, and what it cost Redis. */
export interface RedisLoadResult {
  seconds: number
  redisCpuMs: number
}
