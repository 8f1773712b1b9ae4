/** Builds an earlier commit of this repository, to be compared with this tree. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'

/**
 * The archive of a commit is some MiB; the default of Node's would cut it off at one.
 */
const ARCHIVE_BYTES = 256 * 1024 * 1024

/**
 * Unpacks a commit below .cache/bench, where neither git nor the tools of this tree see it, and has
 * it build itself. It finds this tree's node_modules from there: what differs is the code alone.
 * @param commit - as git names it: a hash, a tag, `HEAD~3`
 * @returns its `server.js`
 * @throws Error where there is no such commit, as in a shallow clone, or it does not build
 */
export function buildCommit (commit: string): string {
  const id = git('rev-parse', '--verify', '--quiet', `${commit}^{commit}`).toString().trim()
  const folder = resolve('.cache/bench/before', id)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  execFileSync('tar', ['-x', '-C', folder], { input: git('archive', id) })
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: folder, stdio: 'inherit' })
  return `${folder}/dist/server.js`
}

function git (...args: string[]): Buffer {
  return execFileSync('git', args, { maxBuffer: ARCHIVE_BYTES })
}
