/** What a comparison is, and what it is given to work with. */
import { join } from 'node:path'
import { startHttpServer, type HttpServer, type HttpServerOptions } from './harness/http-server.ts'
import type { Started } from './harness/processes.ts'
import { startRedis, type BenchRedis, type Programs } from './harness/redis.ts'

/** One figure of a comparison. */
export interface Figure {
  what: string
  value: number
  /** Empty for a ratio. */
  unit?: string
  /** What the figure should be; without one it is information. */
  goal?: { atLeast: number } | { atMost: number }
  /** Absolute figures behind a ratio, conditions. */
  note?: string
}

/** One comparison: a file of its own in comparisons/. */
export interface Comparison {
  /** For `--only`. */
  name: string
  title: string
  run: (bench: Bench) => Promise<Figure[]>
}

/** How thorough this run is. */
export interface Thoroughness {
  rounds: number
  warmupMs: number
  durationMs: number
}

/**
 * What a run may cost: many short rounds rather than few long ones, for a machine that others use
 * changes from one second to the next.
 */
export const THOROUGH: Thoroughness = { rounds: 9, warmupMs: 600, durationMs: 2000 }
export const QUICK: Thoroughness = { rounds: 3, warmupMs: 300, durationMs: 800 }

/** Starts what one comparison needs, and ends all of it. */
export class Bench {
  readonly quick: boolean
  readonly pace: Thoroughness
  readonly programs: Programs
  #cwd: string
  #profileTo: string | undefined
  #started: Started[] = []

  /**
   * @param cwd - a folder without a .env file
   * @param profileTo - folder for CPU profiles of the service, if wanted
   */
  constructor (programs: Programs, cwd: string, quick: boolean, profileTo?: string) {
    this.quick = quick
    this.pace = quick ? QUICK : THOROUGH
    this.programs = programs
    this.#cwd = cwd
    this.#profileTo = profileTo
  }

  /** An empty Redis. */
  async redis (): Promise<BenchRedis> {
    return this.#own(await startRedis(this.programs, this.#cwd))
  }

  /** The service on that Redis; on its in-memory store without one. */
  async service (
    redis: BenchRedis | null,
    options: Pick<HttpServerOptions, 'env' | 'watchLoop'> = {}
  ): Promise<HttpServer> {
    const env = {
      ...(redis === null ? { MOCK_SESSION_LIMITS: 'true' } : { REDIS_URL: redis.url }),
      ...options.env
    }
    return await this.#start({ file: 'server.js', ...options, env }, 'service')
  }

  /** A twin: the bare one, or one of the others in twins/, on that Redis. */
  async twin (
    name = 'bare',
    redis?: BenchRedis,
    env: Record<string, string> = {}
  ): Promise<HttpServer> {
    return await this.#start(
      { file: `bench/twins/${name}.js`, env: { ...(redis && { REDIS_URL: redis.url }), ...env } },
      name
    )
  }

  /** The last that its processes wrote, for a comparison that failed. */
  outputs (): string {
    return this.#started
      .map((started) => started.output())
      .join('')
      .trim()
  }

  /** Ends everything, the latest first. */
  async end (): Promise<void> {
    for (const started of this.#started.reverse()) await started.stop()
    this.#started = []
  }

  async #start (
    options: Omit<HttpServerOptions, 'cwd' | 'profileTo'>,
    name: string
  ): Promise<HttpServer> {
    const profileTo = this.#profileTo === undefined ? undefined : join(this.#profileTo, name)
    return this.#own(await startHttpServer({ ...options, cwd: this.#cwd, profileTo }))
  }

  #own<S extends Started>(started: S): S {
    this.#started.push(started)
    return started
  }
}
