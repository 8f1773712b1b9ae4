/** The built service as a process of its own, with nothing in its environment but what is given. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { temporaryFolder, type Teardown } from '../helpers/process.ts'
import { waitFor } from '../helpers/wait.ts'

const server = fileURLToPath(new URL('../../dist/server.js', import.meta.url))

/** A secret as `openssl rand -base64 48` makes it. */
export const goodSecret = (): string => randomBytes(48).toString('base64')

/** Settings that production starts with; they need no Redis that answers. */
export const production = (): Record<string, string> => ({
  NODE_ENV: 'production',
  JWT_SECRET: goodSecret(),
  REDIS_URL: 'redis://127.0.0.1:1'
})

/** What a process has written, and how it ended; null while it runs or when a signal ended it. */
export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** Starts what `npm run build` made, in a folder of its own. It is killed when the test ends. */
export function startService (t: Teardown, env: Record<string, string>, dotenv?: string) {
  if (!existsSync(server)) {
    throw new Error('There is no dist/: run `npm run build`, or all tests by `npm test`.')
  }
  const folder = temporaryFolder(t)
  if (dotenv !== undefined) writeFileSync(join(folder, '.env'), dotenv)
  const child = spawn(process.execPath, [server], {
    cwd: folder,
    env: { PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      output[name] += chunk.toString()
    })
  }
  const ended = once(child, 'close').then(
    ([code]): Ended => ({ code: code as number | null, ...output })
  )
  return { child, output, ended }
}

/** Starts the service, waits until it listens, and stops it. */
export async function startAndStop (
  t: Teardown,
  env: Record<string, string>,
  dotenv?: string
): Promise<Ended & { address: string }> {
  const service = startService(t, env, dotenv)
  const listening = /Server listening at (http:[^"]+)/
  const address = await waitFor(
    () => listening.exec(service.output.stdout)?.[1] ?? service.child.exitCode !== null,
    { what: 'the service to listen or to end', deadlineMs: 60_000 }
  )
  service.child.kill('SIGTERM')
  return { address: String(address), ...(await service.ended) }
}
