/**
 * Prints the folder that holds a Node.js of a version: `node scripts/node-bin.mjs 24` or `20.19.0`.
 * With `lowest` instead of a version it prints the lowest version of each range in `engines`.
 *
 * The Node that runs this script is taken if its version fits. Otherwise npm fetches the package
 * `node-<platform>-<architecture>`, which holds the official binary, into .cache/node/<version>.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const wanted = process.argv[2] ?? ''

if (wanted === 'lowest') {
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8'))
  console.log(engines.node.match(/\d+\.\d+\.\d+/g).join('\n'))
} else if (/^\d+(\.\d+){0,2}$/.test(wanted)) {
  console.log(`${process.versions.node}.`.startsWith(`${wanted}.`) ? own() : fetched())
} else {
  console.error('Which version? A number such as 24 or 20.19.0, or `lowest`.')
  process.exitCode = 1
}

function own () {
  return dirname(process.execPath)
}

function fetched () {
  const folder = `.cache/node/${wanted}`
  const name = `node-${process.platform}-${process.arch}`
  const bin = `${process.cwd()}/${folder}/node_modules/${name}/bin`
  if (!existsSync(`${bin}/node`)) {
    const args = ['install', '--prefix', folder, '--no-audit', '--no-fund', `${name}@${wanted}`]
    try {
      execFileSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'] })
    } catch {
      rmSync(folder, { recursive: true, force: true })
      console.error(`Node.js ${wanted} could not be fetched as ${name}; put one in PATH instead.`)
      process.exit(1)
    }
  }
  return bin
}
