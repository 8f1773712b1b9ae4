/** Unpacks Debian packages into a folder of the project, without root and without a daemon. */

import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs'
import { realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Unpacks the Debian packages of a suite beside their place in the cache, then moves them there in
 * one step, with a script in `bin/` that starts each of its programs.
 * @param {object} suite what to unpack: `name`, `packages` and `programs`; `libraries` are further
 * folders of shared libraries and `modules` further files that need some, both within the folder
 * of this machine's libraries; `variables` and the `options` of a program are set by its script,
 * where `$suite` is the unpacked suite and `$machine` that folder
 * @param {string} cache the folder that the suite's folder stands in
 * @returns {boolean} whether the programs are there and run; the reason is written to stderr if not
 */
export function unpackSuite (suite, cache) {
  process.stderr.write(
    `${suite.name}: downloading ${suite.packages.join(', ')} into .cache/servers\n`
  )
  mkdirSync(cache, { recursive: true })
  const work = mkdtempSync(join(cache, `${suite.name}-`))
  try {
    const apt = fetchPackages(suite.packages, work)
    fetchLibraries(suite, apt, work)
    mkdirSync(join(work, 'bin'))
    for (const program of suite.programs) {
      const file = join(work, 'bin', program.file)
      writeFileSync(file, wrapper(suite, program, work), { mode: 0o755 })
      tryOut(file, program)
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

/** Runs a program for its version: only what runs here goes into the cache. */
function tryOut (file, { version = '--version', status = 0 }) {
  const tried = spawnSync(file, [version], { encoding: 'utf8' })
  if (tried.status !== status) throw new Error(`${file} ${version}: ${tried.stderr}`)
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
  const programs = suite.programs.map(({ file, folder = 'usr/bin' }) => join('root', folder, file))
  const modules = (suite.modules ?? []).map((file) => join(machineFolder(work), file))
  const files = [...programs, ...modules].map((file) => realpathSync(join(work, file)))
  const folders = libraryFolders(suite, work)
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

function libraryFolders (suite, work) {
  const own = (suite.libraries ?? []).map((folder) => join(machineFolder(work), folder))
  const shared = ['root/lib', 'root/usr/lib'].flatMap((parent) => {
    try {
      const names = readdirSync(join(work, parent)).filter((name) => name.includes('-linux-'))
      return names.map((name) => join(parent, name))
    } catch {
      return []
    }
  })
  return [...shared, ...own]
}

/** The folder of this machine's libraries, such as `root/usr/lib/x86_64-linux-gnu`. */
function machineFolder (work) {
  const name = readdirSync(join(work, 'root/usr/lib')).find((name) => name.includes('-linux-'))
  return join('root/usr/lib', name ?? '')
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
function wrapper (suite, { file, folder = 'usr/bin', options = '' }, work) {
  const libraries = libraryFolders(suite, work)
    .map((folder) => `$suite/${folder}`)
    .join(':')
  const variables = Object.entries({
    ...(libraries && { LD_LIBRARY_PATH: `${libraries}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}` }),
    ...suite.variables
  })
  const here = (text) => text.replaceAll('$machine', () => `$suite/${machineFolder(work)}`)
  return `#!/bin/sh
suite="\${0%/*}/.."
${variables.map(([name, value]) => `export ${name}="${here(value)}"\n`).join('')}\
exec "$suite/root/${folder}/${file}" ${here(options)} "$@"
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

function run (command, args, options = {}) {
  return execFileSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options
  })
}
