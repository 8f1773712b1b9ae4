/**
 * The service and its twins, each as a process of its own, with the settings it is shipped with.
 */
import { mkdirSync } from 'node:fs'
import { freePort } from '../../test/helpers/ports.ts'
import { start, type Started } from './processes.ts'
import { ADMIN_TOKEN, SECRET } from './token.ts'

/** A running HTTP server. */
export interface HttpServer extends Started {
  port: number
  /** Sends a request with an admin's token; rejects unless the status is a success. */
  fetch: (path: string, init?: RequestInit) => Promise<Response>
  /**
   * How late the event loop ran since the last call, as its 99th percentile and its worst, in
   * milliseconds.
   */
  loopDelay: () => Promise<{ p99Ms: number; maxMs: number }>
}

/** How to start one. */
export interface HttpServerOptions {
  /** The compiled file that is its main module. */
  script: string
  /** The path that answers 200 as soon as it is ready. */
  readyPath: string
  cwd: string
  /** Settings besides the usual ones. */
  env?: Record<string, string>
  /** Measures the event loop's delay, which costs a little CPU. */
  watchLoop?: boolean
  /** Folder for a CPU profile of the process' whole life. */
  profileTo?: string | undefined
}

const LOOP_DELAY = new URL('../preload/loop-delay.js', import.meta.url).href

/** Starts one and waits until it is ready. */
export async function startHttpServer (options: HttpServerOptions): Promise<HttpServer> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const started = await start({
    command: process.execPath,
    args: argumentsOf(options),
    cwd: options.cwd,
    env: {
      NODE_ENV: 'production',
      LOG_LEVEL: 'warn',
      HOST: '127.0.0.1',
      PORT: String(port),
      JWT_SECRET: SECRET,
      // There is no load balancer that needs time to send its requests elsewhere.
      SHUTDOWN_DRAIN_SECONDS: '0',
      ...options.env
    },
    ready: async () => (await fetch(origin + options.readyPath)).ok
  })
  return {
    ...started,
    port,
    fetch: async (path, init) => await fetchAsAdmin(origin + path, init),
    loopDelay: async () =>
      await new Promise((resolve) => {
        started.child.once('message', (delay) => resolve(delay as { p99Ms: number; maxMs: number }))
        started.child.send('loop-delay')
      })
  }
}

/** The arguments for Node. */
function argumentsOf ({ script, watchLoop = false, profileTo }: HttpServerOptions): string[] {
  const args = watchLoop ? ['--import', LOOP_DELAY] : []
  if (profileTo !== undefined) {
    mkdirSync(profileTo, { recursive: true })
    args.push('--cpu-prof', `--cpu-prof-dir=${profileTo}`, '--cpu-prof-interval=500')
  }
  return [...args, script]
}

async function fetchAsAdmin (url: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, ...init.headers }
  const response = await fetch(url, { ...init, headers })
  if (response.ok) return response
  const text = await response.text()
  throw new Error(`${init.method ?? 'GET'} ${url} answered ${response.status}: ${text}`)
}
