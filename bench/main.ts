/**
 * Runs the comparisons that were asked for, prints their figures and, after a full run without a
 * failure, writes docs/performance.md.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Bench, THOROUGH, type Comparison } from './bench.ts'
import { COMPARISONS } from './comparisons/all.ts'
import { BEFORE, compareWith } from './comparisons/before.ts'
import { killAll } from './harness/processes.ts'
import { loadBefore, machine } from './machine.ts'
import { topFunctions } from './profile.ts'
import { asMarkdown, asText, summary, type Outcome } from './report.ts'

const DOCUMENT = 'docs/performance.md'
/** A comparison that takes longer than this has gone wrong. */
const DEADLINE_MS = 10 * 60_000

/**
 * @returns the exit code: 1 when a comparison failed; a goal that is missed is a figure, not a
 * failure
 */
export async function main (args: string[]): Promise<number> {
  const wishes = parse(args)
  const { only, before } = wishes
  const known = [...(before === undefined ? [] : [compareWith(before)]), ...COMPARISONS]
  const unknown = only?.find((name) => !known.some((comparison) => comparison.name === name))
  if (wishes.list || unknown !== undefined) {
    if (unknown !== undefined) console.error(`There is no comparison ${unknown}. There are:`)
    console.log(known.map(({ name, title }) => `${name.padEnd(20)} ${title}`).join('\n'))
    if (before === undefined) console.log(`${BEFORE.padEnd(20)} With --before <commit>`)
    return unknown === undefined ? 0 : 1
  }
  const conditions = [...machine(), loadBefore()]
  console.log(`${conditions.join('\n')}\n`)
  const chosen = known.filter(({ name }) => only?.includes(name) ?? true)
  const outcomes = await runAll(chosen, wishes)
  if (outcomes === undefined) return 1
  if (!wishes.quick && !wishes.profile && only === undefined) {
    const rounds = `${THOROUGH.rounds} rounds unless said otherwise`
    writeFileSync(DOCUMENT, asMarkdown(outcomes, [...conditions, rounds], new Date()))
    console.log(`Written to ${DOCUMENT}.`)
  }
  console.log(summary(outcomes))
  return 0
}

type Wishes = ReturnType<typeof parse>

function parse (args: string[]) {
  return parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      list: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      before: { type: 'string' }
    }
  }).values
}

/** Runs one after the other; nothing is returned where one has failed. */
async function runAll (
  chosen: Comparison[],
  { quick, profile }: Wishes
): Promise<Outcome[] | undefined> {
  const cwd = resolve('.cache/bench/run')
  mkdirSync(cwd, { recursive: true })
  const outcomes: Outcome[] = []
  const failed: string[] = []
  for (const comparison of chosen) {
    const profileTo = profile ? resolve('.cache/bench/profiles', comparison.name) : undefined
    if (profileTo !== undefined) rmSync(profileTo, { recursive: true, force: true })
    const outcome = await runOne(comparison, new Bench(cwd, quick, profileTo))
    if (outcome === undefined) {
      failed.push(comparison.name)
      continue
    }
    outcomes.push(outcome)
    console.log(`${asText(outcome)}\n`)
    if (profileTo !== undefined) printProfiles(profileTo)
  }
  if (failed.length === 0) return outcomes
  console.error(`Failed: ${failed.join(', ')}. Nothing was written.`)
  return undefined
}

/** Runs a comparison and stops what it started; says why where it fails. */
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
    // What a failed comparison has left running would keep this process from ending.
    killAll()
  }
}

/** Prints what the profile of each process says, and leaves it as text beside the profile. */
function printProfiles (folder: string): void {
  for (const side of readdirSync(folder)) {
    const functions = topFunctions(`${folder}/${side}`)
    writeFileSync(`${folder}/${side}.txt`, `${functions}\n`)
    console.log(
      `${side}: functions by their own CPU time, also in ${folder}/${side}.txt\n${functions}\n`
    )
  }
}
