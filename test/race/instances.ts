import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { freePort } from '../helpers/ports.ts'
import { type ServerProcess, startProcess, type Teardown } from '../helpers/process.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const sources = [
  'app.ts',
  'config.ts',
  'server.ts',
  'shell.ts',
  'plugins',
  'routes',
  'schemas',
  'scripts',
  'services',
  'welcome.ts'
]

/**
 * Takes the types away from all sources, and nothing else: whether they are right `npm run types`
 * says. The folder is this run's own, so that what is edited or built meanwhile does not get into
 * it, and is removed when the test ends.
 */
export function buildService (t: Teardown): string {
  mkdirSync(join(root, '.cache'), { recursive: true })
  const built = mkdtempSync(join(root, '.cache', 'race-'))
  t.teardown(() => rmSync(built, { recursive: true, force: true }))
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...config.compilerOptions, noEmit: false },
    root
  )
  // A single file does not say which kind of module it is.
  const compilerOptions = {
    ...options,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler
  }
  for (const source of sources.flatMap(filesOf)) {
    const target = join(built, source.replace(/\.ts$/, '.js'))
    mkdirSync(dirname(target), { recursive: true })
    if (!source.endsWith('.ts')) {
      copyFileSync(join(root, source), target)
    } else {
      const text = readFileSync(join(root, source), 'utf8')
      writeFileSync(
        target,
        ts.transpileModule(text, { compilerOptions, fileName: source }).outputText
      )
    }
  }
  return built
}

function filesOf (source: string): string[] {
  if (source.endsWith('.ts')) return [source]
  const files = readdirSync(join(root, source), { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile()
  )
  return files.map(({ parentPath, name }) => join(parentPath, name).slice(root.length))
}

/** One running service; `crash` kills it (SIGKILL) and starts it again on the same port. */
export interface Instance {
  port: number
  crash(): Promise<void>
}

/** Starts a service process from a folder, with these settings and no others. */
export async function startInstance (
  t: Teardown,
  built: string,
  settings: Record<string, string>
): Promise<Instance> {
  const port = await freePort()
  const env = {
    ...settings,
    PORT: `${port}`,
    HOST: '127.0.0.1',
    NODE_ENV: 'production',
    PATH: process.env.PATH ?? ''
  }
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const launch = async (): Promise<ServerProcess> =>
    await startProcess(
      'env',
      ['-i', ...variables, process.execPath, join(built, 'server.js')],
      async () => await isLive(port)
    )
  // A machine that is busy may be late once.
  const launchInTime = async () => await launch().catch(launch)
  let current = await launchInTime()
  t.teardown(async () => await current.kill())
  return {
    port,
    async crash () {
      await current.kill()
      current = await launchInTime()
    }
  }
}

async function isLive (port: number): Promise<boolean> {
  const { ok } = await fetch(`http://127.0.0.1:${port}/healthz/ready`, {
    signal: AbortSignal.timeout(1000)
  })
  return ok
}
