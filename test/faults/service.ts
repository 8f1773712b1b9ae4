import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { createSigner } from 'fast-jwt'
import { ADMIN, listen, startApp, TEST_SECRET, tokenFor } from '../helpers/app.ts'
import { freePort } from '../helpers/ports.ts'
import { type ServerProcess, type Teardown, startProcess } from '../helpers/process.ts'
import { httpClient } from './http-client.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const out = `${root}.cache/faults/app`

/** Where the service listens, and a token of a caller who may do everything. */
export interface Service {
  url: string
  token: string
}

/** The service in a process of its own. */
export interface ServiceProcess extends Service, ServerProcess {}

/** The service in this process, listening on loopback. */
export async function serveHere (
  t: Teardown,
  env: NodeJS.ProcessEnv
): Promise<Service & { app: FastifyInstance }> {
  const app = await startApp(t, { GHOST_SWEEP_INTERVAL_SECONDS: '0', ...env })
  return { app, url: await listen(app), token: tokenFor(app, ADMIN) }
}

/** The service as it is deployed: built, in a process of its own that can be killed or paused. */
export async function serveApart (
  t: Teardown,
  env: Record<string, string>,
  port?: number
): Promise<ServiceProcess> {
  build()
  const url = `http://127.0.0.1:${(port ??= await freePort())}`
  const token = createSigner({ key: TEST_SECRET, expiresIn: 3600_000 })(ADMIN)
  const client = httpClient(url, token, 1)
  const settings = {
    HOST: '127.0.0.1',
    PORT: String(port),
    LOG_LEVEL: 'fatal',
    JWT_SECRET: TEST_SECRET,
    ...env
  }
  const words = [
    `PATH=${process.env['PATH'] ?? ''}`,
    ...Object.entries(settings).map(([name, value]) => `${name}=${value}`)
  ]
  // `env -i … exec`s node, so that the process id is the service's, and nothing of the tests'
  // environment gets in.
  const server = await startProcess(
    'env',
    ['-i', ...words, process.execPath, `${out}/server.js`],
    async () => (await client.ask('GET', '/healthz/live')).status === 200
  )
  client.close()
  t.teardown(async () => await server.kill())
  return {
    url,
    token,
    pid: server.pid,
    stop: async () => await server.stop(),
    kill: async () => await server.kill(),
    pause: () => server.pause(),
    resume: () => server.resume()
  }
}

/** Builds the sources, unless what was built is newer than all of them. */
function build (): void {
  const sources = ['plugins', 'routes', 'schemas', 'services', 'scripts'].flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' }).map(
      (file) => `${folder}/${file}`
    )
  )
  const files = [...sources, 'app.ts', 'config.ts', 'server.ts', 'shell.ts', 'welcome.ts']
  const changedMs = Math.max(...files.map((file) => statSync(root + file).mtimeMs))
  const builtMs = statSync(`${out}/built`, { throwIfNoEntry: false })?.mtimeMs ?? 0
  if (builtMs > changedMs) return
  const startedAt = new Date()
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const compiler = createRequire(import.meta.url).resolve('typescript/lib/tsc.js')
  const args = [compiler, '-p', 'tsconfig.build.json', '--outDir', out]
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`the build failed: ${stdout}`)
  for (const file of sources) if (file.endsWith('.lua')) cpSync(root + file, `${out}/${file}`)
  writeFileSync(`${out}/built`, startedAt.toISOString())
}
