/**
 * Builds dist/: types away, scripts for Redis along. `--if-possible` (before `npm start`) keeps a
 * dist/ that is there where the compiler is not installed, as in production.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const compiler = findCompiler()
if (compiler === undefined) {
  if (process.argv.includes('--if-possible') && existsSync('dist/server.js')) process.exit(0)
  console.error(
    'TypeScript is not installed: run `npm ci` with development dependencies, then `npm run build`.'
  )
  process.exit(1)
}

console.error('building …') // on stderr, since `npm run --silent token` prints a token and no more
rmSync('dist', { recursive: true, force: true })
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
  stdio: 'inherit'
})
if (status !== 0) process.exit(status ?? 1)
for (const file of luaFiles('services')) cpSync(file, `dist/${file}`)

function findCompiler () {
  try {
    return createRequire(import.meta.url).resolve('typescript/lib/tsc.js')
  } catch {
    return undefined
  }
}

function luaFiles (folder) {
  return readdirSync(folder, { recursive: true })
    .filter((file) => file.endsWith('.lua'))
    .map((file) => `${folder}/${file}`)
}
