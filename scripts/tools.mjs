#!/usr/bin/env node
// Finds the programs that tests use besides the servers: Chromium for the pages, curl for what the
// README tells to type.
//
// Looks at the environment variable, then PATH. As root on Debian and Ubuntu what is missing is
// installed with apt-get. Elsewhere the command that installs it is named. Nothing is ever skipped
// silently.
//
//   node scripts/tools.mjs   prints one line per program, or says what is missing and exits with 1

import { execFileSync } from 'node:child_process'
import { accessSync, constants, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const macChromes = ['Google Chrome', 'Chromium'].map(
  (name) => `/Applications/${name}.app/Contents/MacOS/${name}`
)
const tools = [
  {
    key: 'chromium',
    files: ['chromium', 'chromium-browser', 'google-chrome', ...macChromes],
    variable: 'CHROMIUM_BIN',
    package: 'chromium'
  },
  { key: 'curl', files: ['curl'], variable: 'CURL_BIN', package: 'curl' }
]

/**
 * Finds every program, installing what can be installed.
 * @returns {{ chromium: string, curl: string }} their paths
 * @throws {Error} naming the command to run, if a program is missing and cannot be installed
 */
export function findTools () {
  const found = locateAll()
  if (tools.every(({ key }) => found[key])) return found
  const missing = tools.filter(({ key }) => !found[key])
  install(missing)
  const now = locateAll()
  const still = tools.filter(({ key }) => !now[key])
  if (still.length > 0) throw new Error(instruction(still))
  return now
}

function locateAll () {
  return Object.fromEntries(tools.map((tool) => [tool.key, locate(tool)]))
}

function locate ({ files, variable }) {
  const named = process.env[variable]
  if (named && !isExecutable(named)) {
    throw new Error(`${variable}=${named} cannot be run: correct it or unset it.`)
  }
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  const candidates = files.flatMap((file) =>
    file.startsWith('/') ? [file] : folders.map((folder) => join(folder, file))
  )
  return named || candidates.find(isExecutable)
}

function isExecutable (file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** With apt-get, as root; first with the package lists that are there, then with fresh ones. */
function install (missing) {
  if (process.getuid?.() !== 0 || !locate({ files: ['apt-get'], variable: '' })) return
  const packages = missing.map((tool) => tool.package)
  process.stderr.write(`installing ${packages.join(' and ')} with apt-get\n`)
  const run = (...args) =>
    execFileSync('apt-get', args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    })
  const arguments_ = ['install', '-y', '--no-install-recommends', ...packages]
  try {
    run(...arguments_)
  } catch {
    try {
      run('update')
      run(...arguments_)
    } catch (error) {
      process.stderr.write(String(error.stderr ?? error.message))
    }
  }
}

function instruction (missing) {
  const packages = missing.map((tool) => tool.package).join(' ')
  const installers = {
    'apt-get': `sudo apt-get update && sudo apt-get install --no-install-recommends ${packages}`,
    brew: `brew install ${packages}`,
    dnf: `sudo dnf install ${packages}`,
    apk: `sudo apk add ${packages}`
  }
  const command =
    installers[Object.keys(installers).find((name) => locate({ files: [name], variable: '' }))]
  return (
    `The tests need ${packages.replaceAll(' ', ' and ')}. ` +
    (command
      ? `Run: ${command}`
      : 'Install what is missing with the package manager of this system') +
    `\n(or name the programs in ${missing.map(({ variable }) => variable).join(', ')})`
  )
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    for (const [name, path] of Object.entries(findTools())) {
      console.log(`${name.padEnd(16)} ${path}`)
    }
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
