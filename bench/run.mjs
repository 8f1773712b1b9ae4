/**
 * `npm run bench`: builds the service and the bench into .cache/bench/dist (dist/ is left alone),
 * finds Redis, and runs. `--quick` takes minutes and only prints. `--only <name>`, which may be
 * given several times, runs some comparisons; `--list` names them. `--before <commit>` also
 * compares the CPU time of an admission with that of an earlier commit. `--profile` adds CPU
 * profiles.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { findServers } from '../scripts/servers.mjs'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const out = '.cache/bench/dist'
build()
const { main } = await import(new URL(`../${out}/bench/main.js`, import.meta.url).href)
process.exitCode = await main(process.argv.slice(2), findServers())

function build () {
  rmSync(out, { recursive: true, force: true })
  const compiler = createRequire(import.meta.url).resolve('typescript/lib/tsc.js')
  const { status } = spawnSync(process.execPath, [compiler, '-p', 'bench/tsconfig.json'], {
    stdio: 'inherit'
  })
  if (status !== 0) process.exit(status ?? 1)
  const scripts = readdirSync('services', { recursive: true }).filter((file) =>
    file.endsWith('.lua')
  )
  for (const file of scripts) cpSync(`services/${file}`, `${out}/services/${file}`)
}
