/**
 * The service and its twins, each as a process of its own, with the settings it is shipped with.
 */
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { freePort } from './ports.ts'
import { start, type Started } from './processes.ts'
import { ADMIN_TOKEN, SECRET } from './token.ts'

/** A running HTTP server. */
export interface HttpServer extends Started {
  port: number
  /** Answers a request with the token; rejects unless the status is a success. */
  fetch: (path: string, init?: RequestInit) => Promise<Response>
  /**
   * How late the event loop ran since the last call, as its 99th percentile and its worst, in
   * milliseconds.
   */
  loopDelay: () => Promise<{ p99Ms: number; maxMs: number }>
}

/** How to start one. */
export interface HttpServerOptions {
  /** The compiled file, seen from the bench's folder. */
  file: 'server.js' | `bench/twins/${string}.js`
  cwd: string
  /** Settings beside the usual ones. */
  env?: Record<string, string>
  /** Measures the event loop's delay, which costs a little. */
  watchLoop?: boolean
  /** Folder for a CPU profile of the process' whole life. */
  profileTo?: string | undefined
}

const LOOP_DELAY = new URL('../preload/loop-delay.js', import.meta.url).href

/** Starts one and waits until it is ready. */
export async function startHttpServer ({
  file,
  cwd,
  env,
  watchLoop,
  profileTo
}: HttpServerOptions): Promise<HttpServer> {
  const port = await freePort()
  if (profileTo !== undefined) mkdirSync(profileTo, { recursive: true })
  const started = await start({
    command: process.execPath,
    args: [
      ...(watchLoop === true ? ['--import', LOOP_DELAY] : []),
      ...(profileTo === undefined
        ? []
        : ['--cpu-prof', `--cpu-prof-dir=${profileTo}`, '--cpu-prof-interval=500']),
      fileURLToPath(new URL(`../../${file}`, import.meta.url))
    ],
    cwd,
    env: {
      NODE_ENV: 'production',
      LOG_LEVEL: 'warn',
      HOST: '127.0.0.1',
      PORT: String(port),
      JWT_SECRET: SECRET,
      // The bench waits for nobody to go elsewhere.
      SHUTDOWN_DRAIN_SECONDS: '0',
      ...env
    },
    ready: async () =>
      (await fetch(`http://127.0.0.1:${port}/healthz/${file === 'server.js' ? 'ready' : 'live'}`))
        .ok
  })
  return {
    ...started,
    port,
    fetch: async (path, init = {}) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, {
        ...init,
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...init.headers }
      })
      if (!response.ok) {
        throw new Error(
          `${init.method ?? 'GET'} ${path} answered ${response.status}: ${await response.text()}`
        )
      }
      return response
    },
    loopDelay: async () =>
      await new Promise((resolve) => {
        started.child.once('message', (delay) => resolve(delay as { p99Ms: number; maxMs: number }))
        started.child.send('loop-delay')
      })
  }
}
