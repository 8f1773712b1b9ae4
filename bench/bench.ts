/** What a comparison is, and what it is given to work with. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Figure } from './figure.ts'
import { startHttpServer, type HttpServer, type HttpServerOptions } from './harness/http-server.ts'
import { startRedis, type BenchRedis } from './harness/redis.ts'

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
  #cwd: string
  #profileTo: string | undefined
  #servers: HttpServer[] = []
  #ends: Array<() => unknown> = []

  /**
   * @param cwd - a folder without a .env file
   * @param profileTo - folder for CPU profiles of the service, if wanted
   */
  constructor (cwd: string, quick: boolean, profileTo?: string) {
    this.quick = quick
    this.pace = quick ? QUICK : THOROUGH
    this.#cwd = cwd
    this.#profileTo = profileTo
  }

  /** An empty Redis. */
  async redis (): Promise<BenchRedis> {
    return await startRedis({ teardown: (end) => this.#ends.push(end) })
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

  /** The end of its servers' output, for a comparison that failed. */
  outputs (): string {
    return this.#servers
      .map((server) => server.output())
      .join('')
      .trim()
  }

  /** Stops everything, the latest first. */
  async end (): Promise<void> {
    for (const end of this.#ends.reverse()) await end()
    this.#ends = []
    this.#servers = []
  }

  async #start (
    name: string,
    options: Omit<HttpServerOptions, 'cwd' | 'profileTo'>
  ): Promise<HttpServer> {
    const profileTo = this.#profileTo === undefined ? undefined : join(this.#profileTo, name)
    const server = await startHttpServer({ ...options, cwd: this.#cwd, profileTo })
    this.#servers.push(server)
    this.#ends.push(server.stop)
    return server
  }
}

/** A file of this build. */
function compiled (file: string): string {
  return fileURLToPath(new URL(`../${file}`, import.meta.url))
}
