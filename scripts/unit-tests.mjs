/**
 * Runs the test files that start no server and need no build: `npm run test:unit`. A file is one of
 * them when neither it nor what it imports from test/ looks for servers or starts a process; that
 * the helpers could start one does not count.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { filesBelow, reachableFrom } from './imports.mjs'

const LOOKS_FOR_SERVERS = /scripts\/(?:servers|tools)\.mjs/
const STARTS_PROCESSES = /node:child_process/

const files = filesBelow('test', '.test.ts').filter((file) =>
  [...reachableFrom(file)].filter((path) => path.startsWith('test/')).every(isQuiet)
)
const { status } = spawnSync('node_modules/.bin/tap', files, { stdio: 'inherit' })
process.exitCode = status ?? 1

function isQuiet (path) {
  const text = readFileSync(path, 'utf8')
  if (LOOKS_FOR_SERVERS.test(text)) return false
  return path.startsWith('test/helpers/') || !STARTS_PROCESSES.test(text)
}
