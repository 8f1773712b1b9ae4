/** What the bench and its load process tell each other. */

/** A load on one HTTP server. */
export interface LoadOptions {
  port: number
  /**
   * Whole HTTP/1.1 requests, which each connection sends one after the other and then again. `{n}`
   * becomes a number of ten digits, the same in one pass through the templates and a new one in
   * each; `{u}` one of `users` numbers of eight digits.
   */
  templates: string[]
  /**
   * What the answers to each template should have in them, so that work which was not done is not
   * measured.
   */
  answers: string[]
  users: number
  firstNumber: number
  /** After so many passes through the templates the load ends, if not before. */
  numbers: number
  connections: number
  /** Requests that each connection has under way at a time. */
  pipelining: number
  /**
   * Requests that are due per second, whether or not others are answered; 0: as fast as they are
   * answered.
   */
  perSecond: number
  /** Not counted, in milliseconds. */
  warmupMs: number
  durationMs: number
  /** Processes whose CPU time is read at both ends of the counted time. */
  pids: Record<string, number>
}

/** What the load process saw. */
export interface LoadResult {
  requests: number
  /** Passes through the templates that were begun, those during the warm-up included. */
  numbers: number
  seconds: number
  statuses: Record<string, number>
  /** The first answer to each template. */
  samples: string[]
  /**
   * How many answers had not in them what they should, and one such, or one that is no success, for
   * the message.
   */
  others: number
  oddAnswer?: string
  /** Latency in microseconds: of all requests, and of each template. */
  latency: Latency
  latencies: Latency[]
  /**
   * How much later than they were due requests were sent, at a fixed rate: a busy load process, or
   * a connection that waited.
   */
  late: Latency
  cpuMs: Record<string, number>
  loadCpuMs: number
}

/** Percentiles in microseconds. */
export interface Latency {
  p50: number
  p99: number
  p999: number
  max: number
}
