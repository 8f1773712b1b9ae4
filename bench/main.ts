/**
 * Runs the comparisons that were asked for, prints their figures and, after a full run without a
 * failure, writes docs/performance.md.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Bench, type Comparison } from './bench.ts'
import { COMPARISONS } from './comparisons/all.ts'
import { killAll } from './harness/processes.ts'
import type { Programs } from './harness/redis.ts'
import { loadBefore, machine } from './machine.ts'
import { topFunctions } from './profile.ts'
import { asMarkdown, asText, verdict, type Outcome } from './report.ts'

const DOCUMENT = 'docs/performance.md'
/** A comparison that takes longer than this has gone wrong. */
const DEADLINE_MS = 5 * 60_000

/**
 * @returns the exit code: 1 when a comparison failed; a goal that is missed is a figure, not a
 * failure
 */
export async function main (args: string[], programs: Programs): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean' },
      only: { type: 'string', multiple: true },
      list: { type: 'boolean' },
      profile: { type: 'boolean' }
    }
  })
  const { only } = values
  const unknown = only?.find((asked) => !COMPARISONS.some(({ name }) => name === asked))
  if (values.list === true || unknown !== undefined) {
    if (unknown !== undefined) console.error(`There is no comparison ${unknown}, but these:`)
    console.log(COMPARISONS.map(({ name, title }) => `${name.padEnd(20)} ${title}`).join('\n'))
    return unknown === undefined ? 0 : 1
  }
  const chosen = COMPARISONS.filter(({ name }) => only?.includes(name) ?? true)
  const cwd = resolve('.cache/bench/run')
  mkdirSync(cwd, { recursive: true })

  const conditions = [...machine(programs.redisServer), loadBefore()]
  console.log(`${conditions.join('\n')}\n`)
  const outcomes: Outcome[] = []
  const failed: string[] = []
  for (const comparison of chosen) {
    const profileTo =
      values.profile === true ? resolve('.cache/bench/profiles', comparison.name) : undefined
    if (profileTo !== undefined) rmSync(profileTo, { recursive: true, force: true })
    const outcome = await runOne(
      comparison,
      new Bench(programs, cwd, values.quick ?? false, profileTo)
    )
    if (outcome === undefined) {
      failed.push(comparison.name)
      continue
    }
    outcomes.push(outcome)
    console.log(`${asText(outcome)}\n`)
    if (profileTo !== undefined) printProfiles(profileTo)
  }
  if (failed.length > 0) {
    console.error(`Failed: ${failed.join(', ')}. Nothing was written.`)
    return 1
  }
  if (values.quick !== true && only === undefined && values.profile !== true) {
    mkdirSync('docs', { recursive: true })
    writeFileSync(DOCUMENT, asMarkdown(outcomes, conditions, new Date()))
    console.log(`Written to ${DOCUMENT}.`)
  }
  const short = outcomes
    .flatMap(({ figures }) => figures)
    .filter((figure) => verdict(figure) === 'short').length
  console.log(
    short === 0 ? 'Every goal is met.' : `Short of ${short} goal${short === 1 ? '' : 's'}.`
  )
  return 0
}

/**
 * Runs a comparison and ends what it started; says why where it fails, so that the others can still
 * run.
 */
async function runOne (comparison: Comparison, bench: Bench): Promise<Outcome | undefined> {
  const deadline = setTimeout(() => {
    console.error(`${comparison.name} did not end within ${DEADLINE_MS / 1000} s`)
    killAll()
    process.exit(1)
  }, DEADLINE_MS)
  const startedMs = performance.now()
  try {
    const figures = await comparison.run(bench)
    return { comparison, figures, tookS: (performance.now() - startedMs) / 1000 }
  } catch (error) {
    console.error(`${comparison.name} failed:`, error, `\n${bench.outputs()}\n`)
    return undefined
  } finally {
    clearTimeout(deadline)
    await bench.end()
    // What a comparison that failed has left: it would keep this process waiting.
    killAll()
  }
}

/** Prints what the profiles of each process say, and leaves it as text beside them. */
function printProfiles (folder: string): void {
  for (const side of readdirSync(folder)) {
    const functions = topFunctions(`${folder}/${side}`)
    writeFileSync(`${folder}/${side}.txt`, `${functions}\n`)
    console.log(
      `${side}: functions by their own CPU time, also in ${folder}/${side}.txt\n${functions}\n`
    )
  }
}
