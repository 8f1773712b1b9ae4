/**
 * Runs the fault matrix, one test file after the other, and writes its table: `npm run test:faults
 * [part of a name …]`. A run of some files only replaces their rows; those of the others stay as
 * they were.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const folder = '.cache/faults'
const rowsFile = `${folder}/rows.jsonl`
const wanted = process.argv.slice(2)

mkdirSync(folder, { recursive: true })
if (wanted.length === 0) rmSync(rowsFile, { force: true })
const files = readdirSync('test/faults')
  .sort()
  .filter(
    (file) =>
      file.endsWith('.test.ts') &&
      (wanted.length === 0 || wanted.some((part) => file.includes(part)))
  )
let failed = files.length === 0
for (const file of files) {
  const { status } = spawnSync(
    'node_modules/.bin/tap',
    ['--jobs=1', '--timeout=600', '--reporter=terse', `test/faults/${file}`],
    {
      stdio: 'inherit',
      env: { ...process.env, FAULT_ROWS: `${process.cwd()}/${rowsFile}` }
    }
  )
  failed ||= status !== 0
}

const rows = new Map()
for (const line of existsSync(rowsFile) ? readFileSync(rowsFile, 'utf8').split('\n') : []) {
  if (line !== '') rows.set(JSON.parse(line).fault, JSON.parse(line))
}
const table = [
  '| fault | requests | p50 ms | p99 ms | slowest ms | errors | slots over the limit ' +
    '| sessions lost | noticed after ms | all well after ms | |',
  '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |',
  ...[...rows.values()].map(
    (row) =>
      `| ${[
        row.fault,
        ...(row.note?.startsWith('not run') ? Array(9).fill('–') : figures(row)),
        row.note ?? ''
      ].join(' | ')} |`
  )
].join('\n')
writeFileSync(
  'docs/faults.md',
  `# Faults, measured

\`npm run test:faults\` starts real servers, loads the service with admissions, renewals and
releases, causes the fault that each row names, and compares the outcome with the promises in
[operations.md](operations.md). A row that breaks a promise fails the run.

The latencies are those of all requests from the fault until recovery. "Noticed" is the first answer
with \`degraded: true\`, the first 503, or the first change of the health probe. "All well" is the
time at which answers come from Redis again and Redis holds every session that a caller was told of,
and no other. A dash means that there was nothing to measure.

${machine()}.

${table}
`
)
console.log(
  `\n${table}\n\nAlso in docs/faults.md.${failed ? ' Some promises were broken: see above.' : ''}`
)
process.exitCode = failed ? 1 : 0

function figures (row) {
  const { requests, p50, p99, slowest, errors, over, lost, detectMs, recoverMs } = row
  return [requests, p50, p99, slowest, errors, over, lost, detectMs ?? '–', recoverMs ?? '–']
}

function machine () {
  const [cpu] = cpus()
  const memory = Math.round(totalmem() / 2 ** 30)
  const date = new Date().toISOString().slice(0, 10)
  const cores = `${cpus().length} × ${cpu?.model.trim()}`
  return `${date}, ${cores}, ${memory} GB, Node ${process.versions.node}`
}
