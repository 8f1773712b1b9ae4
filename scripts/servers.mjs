#!/usr/bin/env node
// Finds the programs the tests start: Redis and etcd, and for the SIP tests Kamailio and SIPp.
//
// Looks at the environment variable, then PATH, then .cache/servers. On Debian and Ubuntu what is
// still missing is downloaded there with apt-get and unpacked: nothing is installed, no daemon is
// started, no root is needed. Elsewhere the command that installs it is named. Nothing is ever
// skipped silently.
//
// node scripts/servers.mjs prints one line per program. It exits with 1 if Redis or etcd is
// missing; a missing SIP program fails the SIP tests only.

import { execFileSync } from 'node:child_process'
import { accessSync, constants, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unpackSuite } from './debian-packages.mjs'

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

const sipSuites = [
  {
    name: 'kamailio',
    packages: ['kamailio', 'kamailio-lua-modules', 'lua-socket', 'lua-cjson'],
    programs: [
      {
        key: 'kamailio',
        file: 'kamailio',
        folder: 'usr/sbin',
        variable: 'KAMAILIO_BIN',
        options: '-L "$machine/kamailio/modules"'
      }
    ],
    libraries: ['kamailio'],
    modules: ['kamailio/modules/app_lua.so'],
    variables: {
      LUA_PATH: '$suite/root/usr/share/lua/5.1/?.lua;;',
      LUA_CPATH: '$machine/lua/5.1/?.so;;'
    }
  },
  {
    name: 'sipp',
    packages: ['sip-tester'],
    // SIPp exits with 99 after it has printed its version.
    programs: [{ key: 'sipp', file: 'sipp', variable: 'SIPP_BIN', version: '-v', status: 99 }]
  }
]

/**
 * Finds the programs that every run of the tests needs, downloading what can be downloaded.
 * @returns {{ redisServer: string, redisCli: string, redisBenchmark: string | undefined, etcd:
 * string }} their paths
 * @throws {Error} naming the command to run, if a program is missing and cannot be obtained
 */
export function findServers () {
  return find(suites)
}

/**
 * Finds the programs that the SIP tests need, downloading what can be downloaded.
 * @returns {{ kamailio: string, sipp: string }} their paths
 * @throws {Error} naming the command to run, if a program is missing and cannot be obtained
 */
export function findSipPrograms () {
  return find(sipSuites)
}

function find (wanted) {
  for (const { variable } of wanted.flatMap(({ programs }) => programs)) {
    const named = process.env[variable]
    if (named && !isExecutable(named)) {
      throw new Error(`${variable}=${named} cannot be run: correct it or unset it.`)
    }
  }
  const found = {}
  const missing = []
  for (const suite of wanted) {
    const look = () => {
      for (const program of suite.programs) found[program.key] = locate(suite, program)
      return suite.programs.every(({ key, optional }) => found[key] || optional)
    }
    if (!look() && !(download(suite) && look())) missing.push(suite)
  }
  if (missing.length > 0) throw new Error(instruction(missing))
  return found
}

function download (suite) {
  return onPath('apt-get') && onPath('dpkg-deb') && unpackSuite(suite, cache)
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
  const prefix = execFileSync('brew', ['--prefix'], { encoding: 'utf8' }).trim()
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

function print (wanted, found) {
  for (const { key, file } of wanted.flatMap((suite) => suite.programs)) {
    console.log(`${file.padEnd(16)} ${found[key] ?? 'not found (not needed by the tests)'}`)
  }
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    print(suites, findServers())
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
  try {
    print(sipSuites, findSipPrograms())
  } catch (error) {
    console.error(`${error.message}\nWithout them the SIP tests fail, and only those.`)
  }
}
