/**
 * Runs the test files that start no server and need no build: `npm run test:unit`. A file counts as
 * one when neither it nor anything that it imports from test/ looks for a program to start.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { filesBelow, reachableFrom } from './imports.mjs'

const LOOKS_FOR_PROGRAMS = /scripts\/(?:servers|tools)\.mjs/

const files = filesBelow('test', '.test.ts').filter((file) =>
  [...reachableFrom(file)].every(
    (path) => !path.startsWith('test/') || !LOOKS_FOR_PROGRAMS.test(readFileSync(path, 'utf8'))
  )
)
const { status } = spawnSync('node_modules/.bin/tap', files, { stdio: 'inherit' })
process.exitCode = status ?? 1
