#!/usr/bin/env node
// Finds the programs the tests start: Redis and etcd.
//
// Looks at the environment variable, then PATH, then .cache/servers. On Debian and Ubuntu what is
// still missing is downloaded there with apt-get and unpacked: nothing is installed, no daemon is
// started, no root is needed. Elsewhere the command that installs it is named. Nothing is ever
// skipped silently.
//
// node scripts/servers.mjs prints one line per program, or says what is missing and exits with 1

import { execFileSync } from 'node:child_process'
import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const cache = fileURLToPath(new URL('../.cache/servers', import.meta.url))

const suites = [
  {
    name: 'redis',
    packages: ['redis-server', 'redis-tools'],
    programs: [
      { key: 'redisServer', file: 'redis-server', variable: 'REDIS_SERVER_BIN' },
      { key: 'redisCli', file: 'redis-cli', variable: 'REDIS_CLI_BIN' },
      {
        key: 'redisBenchmark',
        file: 'redis-benchmark',
        variable: 'REDIS_BENCHMARK_BIN',
        optional: true
      }
    ]
  },
  {
    name: 'etcd',
    packages: ['etcd-server'],
    programs: [{ key: 'etcd', file: 'etcd', variable: 'ETCD_BIN' }]
  }
]

/**
 * Finds every program, downloading what can be downloaded.
 * @returns {{ redisServer: string, redisCli: string, redisBenchmark: string | undefined, etcd:
 * string }} their paths
 * @throws {Error} naming the command to run, if a program is missing and cannot be obtained
 */
export function findServers () {
  for (const { variable } of suites.flatMap(({ programs }) => programs)) {
    const named = process.env[variable]
    if (named && !isExecutable(named)) {
      throw new Error(`${variable}=${named} cannot be run: correct it or unset it.`)
    }
  }
  const found = {}
  const missing = []
  for (const suite of suites) {
    const look = () => {
      for (const program of suite.programs) found[program.key] = locate(suite, program)
      return suite.programs.every(({ key, optional }) => found[key] || optional)
    }
    if (!look() && !(download(suite) && look())) missing.push(suite)
  }
  if (missing.length > 0) throw new Error(instruction(missing))
  return found
}

function locate (suite, { file, variable }) {
  const cached = join(cache, suite.name, 'bin', file)
  return (
    process.env[variable] || onPath(file) || [cached].find(isExecutable) || inHomebrew(suite, file)
  )
}

function onPath (file) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(Boolean)
  return folders.map((folder) => join(folder, file)).find(isExecutable)
}

function inHomebrew (suite, file) {
  if (process.platform !== 'darwin' || !onPath('brew')) return undefined
  const prefix = run('brew', ['--prefix']).trim()
  return [join(prefix, 'bin', file), join(prefix, 'opt', suite.name, 'bin', file)].find(
    isExecutable
  )
}

function isExecutable (file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Unpacks the Debian packages beside their place in the cache, then moves them there in one step.
 */
function download (suite) {
  if (!onPath('apt-get') || !onPath('dpkg-deb')) return false
  process.stderr.write(
    `${suite.name}: downloading ${suite.packages.join(', ')} into .cache/servers\n`
  )
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, `${suite.name}-`))
  try {
    const apt = fetchPackages(suite.packages, work)
    fetchLibraries(suite, apt, work)
    mkdirSync(join(work, 'bin'))
    for (const { file } of suite.programs) {
      writeFileSync(join(work, 'bin', file), wrapper(file, work), { mode: 0o755 })
      run(join(work, 'bin', file), ['--version'])
    }
    rmSync(join(work, 'apt'), { recursive: true })
    chmodSync(work, 0o755)
    moveIntoPlace(work, join(cache, suite.name))
    return true
  } catch (error) {
    process.stderr.write(`${suite.name}: ${error.stderr?.toString().trim() || error.message}\n`)
    return false
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/**
 * Fetches packages with the package lists of the system or, where those are absent or old, with
 * fresh private ones.
 */
function fetchPackages (packages, work) {
  const apt = join(work, 'apt')
  mkdirSync(join(apt, 'lists', 'partial'), { recursive: true })
  mkdirSync(join(apt, 'cache', 'archives', 'partial'), { recursive: true })
  const own = [
    '-o',
    `Dir::State::lists=${join(apt, 'lists')}`,
    '-o',
    `Dir::Cache=${join(apt, 'cache')}`
  ]
  try {
    unpack(packages, [], work)
    return []
  } catch {
    try {
      run('apt-get', [...own, 'update'])
    } catch {
      // One unreachable source does not matter if the packages come from another: the next step
      // tells.
    }
    unpack(packages, own, work)
    return own
  }
}

function unpack (packages, options, work) {
  const debs = join(work, 'apt')
  run('apt-get', [...options, 'download', ...packages], { cwd: debs })
  for (const name of readdirSync(debs).filter((name) => name.endsWith('.deb'))) {
    run('dpkg-deb', ['-x', join(debs, name), join(work, 'root')])
    rmSync(join(debs, name))
  }
}

/**
 * Adds the libraries that the programs need and the system lacks, following dependencies a few
 * levels deep.
 */
function fetchLibraries (suite, apt, work) {
  const seen = new Set(suite.packages)
  let level = suite.packages
  for (let depth = 0; depth < 4 && missingLibraries(suite, work).length > 0; depth++) {
    const listed = run('apt-cache', [...apt, 'depends', '--important', ...level])
    const names = [...listed.matchAll(/^\s*\|?(?:Pre)?Depends: ((?:lib|lua)[^\s:]+)/gm)].map(
      ([, name]) => name
    )
    level = [...new Set(names)].filter((name) => !seen.has(name) && !isInstalled(name))
    if (level.length === 0) break
    for (const name of level) seen.add(name)
    unpack(level, apt, work)
  }
  const lacking = missingLibraries(suite, work)
  if (lacking.length > 0) throw new Error(`shared libraries not found: ${lacking.join(', ')}`)
}

function missingLibraries (suite, work) {
  const files = suite.programs.map(({ file }) => realpathSync(join(work, 'root/usr/bin', file)))
  const folders = libraryFolders(work)
    .map((folder) => join(work, folder))
    .join(':')
  let listed
  try {
    listed = run('ldd', files, { env: { ...process.env, LD_LIBRARY_PATH: folders } })
  } catch (error) {
    listed = error.stdout // a program without any shared library is an error to ldd
  }
  return [...new Set([...listed.matchAll(/^\s*(\S+) => not found/gm)].map(([, name]) => name))]
}

function libraryFolders (work) {
  return ['root/lib', 'root/usr/lib'].flatMap((parent) => {
    try {
      const names = readdirSync(join(work, parent)).filter((name) => name.includes('-linux-'))
      return names.map((name) => join(parent, name))
    } catch {
      return []
    }
  })
}

function isInstalled (name) {
  try {
    return run('dpkg', ['--status', name]).includes('\nStatus: install ok installed')
  } catch {
    return false
  }
}

/**
 * A script that becomes the program, under the same process id, wherever the cache folder has been
 * moved.
 */
function wrapper (file, work) {
  const folders = libraryFolders(work)
    .map((folder) => `$suite/${folder}`)
    .join(':')
  return `#!/bin/sh
suite="\${0%/*}/.."
${folders && `export LD_LIBRARY_PATH="${folders}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"`}
exec "$suite/root/usr/bin/${file}" "$@"
`
}

function moveIntoPlace (work, place) {
  try {
    renameSync(work, place)
  } catch (error) {
    // Another process was faster: what it put there is as good.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  }
}

function instruction (missing) {
  const names = missing.map(({ name }) => name)
  const programs = missing.flatMap((suite) => suite.programs).filter(({ optional }) => !optional)
  const packages = missing.flatMap((suite) => suite.packages).join(' ')
  const installers = {
    'apt-get': `sudo apt-get update && sudo apt-get install --no-install-recommends ${packages}`,
    brew: `brew install ${names.join(' ')}`,
    dnf: `sudo dnf install ${names.join(' ')}`,
    apk: `sudo apk add ${names.join(' ')}`
  }
  const command = installers[Object.keys(installers).find((name) => onPath(name))]
  return (
    `The tests need ${names.join(' and ')}. ` +
    (command
      ? `Run: ${command}`
      : 'Install what is missing with the package manager of this system') +
    `\n(or name the programs in ${programs.map(({ variable }) => variable).join(', ')})`
  )
}

function run (command, args, options = {}) {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options
  })
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    const found = findServers()
    for (const { key, file } of suites.flatMap((suite) => suite.programs)) {
      console.log(`${file.padEnd(16)} ${found[key] ?? 'not found (not needed by the tests)'}`)
    }
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
