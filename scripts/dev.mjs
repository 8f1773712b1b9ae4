/**
 * Runs the service from its sources and starts it again when one of them changes: `npm run dev`.
 * Arguments go to Node.js: `npm run dev -- --inspect`. Node.js 22.18 and newer run TypeScript as it
 * is; an older one fetches the version of .nvmrc for this.
 */
import { execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const args = ['--watch', '--disable-warning=ExperimentalWarning', ...process.argv.slice(2)]
const service = spawn(program(), [...args, 'server.ts'], { stdio: 'inherit' })
process.on('SIGTERM', () => service.kill('SIGTERM'))
process.on('SIGINT', () => {}) // a terminal sends it to both
service.on('exit', (status) => {
  process.exitCode = status ?? 1
})

function program () {
  if (process.features.typescript) return process.execPath
  const version = readFileSync('.nvmrc', 'utf8').trim()
  console.error(
    `Node.js ${process.versions.node} does not run TypeScript; ${version} runs the service instead.`
  )
  const bin = execFileSync(process.execPath, ['scripts/node-bin.mjs', version], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit']
  })
  return `${bin.trim()}/node`
}
