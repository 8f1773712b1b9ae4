/** The messages between the bench and its load process. */

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
   * What the answers to each template must contain: an answer to work that was not done is no
   * measure.
   */
  answers: string[]
  users: number
  firstNumber: number
  /** The load ends after this many passes through the templates, if not before. */
  numbers: number
  connections: number
  /** Requests that each connection has in flight at a time. */
  pipelining: number
  /**
   * Requests that are due per second, whether or not others are answered; 0: as fast as they are
   * answered.
   */
  perSecond: number
  /** How long requests are sent before they are counted, in milliseconds. */
  warmupMs: number
  durationMs: number
  /** Processes whose CPU time is measured while requests are counted. */
  pids: Record<string, number>
}

/** The result of a load. */
export interface LoadResult {
  requests: number
  /** Passes through the templates that were begun, those of the warm-up included. */
  numbers: number
  seconds: number
  statuses: Record<string, number>
  /** The first answer to each template. */
  samples: string[]
  /**
   * How many answers did not contain what they must, and one of these, or of those that are no
   * success, for the error message.
   */
  others: number
  oddAnswer?: string
  /** Latency in microseconds: of all requests, and of each template. */
  latency: Latency
  latencies: Latency[]
  /**
   * At a fixed rate: how long after they were due requests were sent, because the load process was
   * busy or the connection was waiting.
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
