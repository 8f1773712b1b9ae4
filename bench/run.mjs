/**
 * `npm run bench`: builds the service and the bench into .cache/bench/dist (dist/ is left alone),
 * finds Redis, and runs. `--quick` takes minutes and only prints. `--only <name>`, which may be
 * given several times, runs some comparisons; `--list` names them. `--before <commit>` also
 * compares the CPU time of an admission with that of an earlier commit. `--profile` adds CPU
 * profiles.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const out = '.cache/bench/dist'
build()
const { main } = await import(new URL(`../${out}/bench/main.js`, import.meta.url).href)
process.exitCode = await main(process.argv.slice(2))

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
  // A link, not a copy: the script finds its cache of programs from where it lies.
  symlinkSync(resolve('scripts/servers.mjs'), `${out}/scripts/servers.mjs`)
}
