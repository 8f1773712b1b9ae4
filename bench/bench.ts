/** What a comparison is, and what it is given to work with. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Estimate } from './harness/estimate.ts'
import { startHttpServer, type HttpServer, type HttpServerOptions } from './harness/http-server.ts'
import type { Started } from './harness/processes.ts'
import { startRedis, type BenchRedis, type Programs } from './harness/redis.ts'

/** One figure of a comparison. */
export interface Figure {
  what: string
  measured: Estimate
  /** Empty for a ratio. */
  unit?: string
  /** What the figure should be; without a goal it is information. */
  goal?: Goal | undefined
  /** Absolute figures behind a ratio, conditions. */
  note?: string
}

/** What a figure should be. */
export type Goal = { atLeast: number } | { atMost: number }

/** One comparison: a file of its own in comparisons/. */
export interface Comparison {
  /** For `--only`. */
  name: string
  title: string
  run: (bench: Bench) => Promise<Figure[]>
}

/** How thorough a run is. */
export interface Pace {
  rounds: number
  warmupMs: number
  durationMs: number
}

/** Many short rounds rather than few long ones: a shared machine changes from second to second. */
export const THOROUGH: Pace = { rounds: 12, warmupMs: 600, durationMs: 2000 }
/** As few rounds as an interval can be given for. */
export const QUICK: Pace = { rounds: 6, warmupMs: 200, durationMs: 500 }

/** Which service to start, and how. */
export interface ServiceOptions extends Pick<HttpServerOptions, 'env' | 'watchLoop'> {
  /** The `server.js` of another build. Default: this tree's. */
  script?: string
}

/** Starts what one comparison needs, and stops all of it. */
export class Bench {
  readonly quick: boolean
  readonly pace: Pace
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
    { env, script = compiled('server.js'), ...options }: ServiceOptions = {}
  ): Promise<HttpServer> {
    const store = redis === null ? { MOCK_SESSION_LIMITS: 'true' } : { REDIS_URL: redis.url }
    const readyPath = '/healthz/ready'
    const environment = { ...store, ...env }
    return await this.#start('service', { ...options, script, readyPath, env: environment })
  }

  /** A twin: the bare one, or another one of twins/, on that Redis. */
  async twin (
    name = 'bare',
    redis?: BenchRedis,
    env: Record<string, string> = {}
  ): Promise<HttpServer> {
    return await this.#start(name, {
      script: compiled(`bench/twins/${name}.js`),
      readyPath: '/healthz/live',
      env: { ...(redis && { REDIS_URL: redis.url }), ...env }
    })
  }

  /** The last output of its processes, for a comparison that failed. */
  outputs (): string {
    return this.#started
      .map((started) => started.output())
      .join('')
      .trim()
  }

  /** Stops everything, the latest first. */
  async end (): Promise<void> {
    for (const started of this.#started.reverse()) await started.stop()
    this.#started = []
  }

  async #start (
    name: string,
    options: Omit<HttpServerOptions, 'cwd' | 'profileTo'>
  ): Promise<HttpServer> {
    const profileTo = this.#profileTo === undefined ? undefined : join(this.#profileTo, name)
    return this.#own(await startHttpServer({ ...options, cwd: this.#cwd, profileTo }))
  }

  #own<S extends Started>(started: S): S {
    this.#started.push(started)
    return started
  }
}

/** A file of this build. */
function compiled (file: string): string {
  return fileURLToPath(new URL(`../${file}`, import.meta.url))
}
