import { performance } from 'node:perf_hooks'
import fc from 'fast-check'
import type { Command } from './commands.ts'
import { runSequence } from './driver.ts'
import type { Subject } from './subject.ts'

/** How many sequences are made at a time. */
const BATCH = 500

/** What to run. */
export interface Sequences {
  commands: fc.Arbitrary<Command[]>
  /** A new, empty store for each sequence. */
  start(): Subject | Promise<Subject>
  runs: number
  /** After how long to be content with fewer. */
  atMostSeconds: number
  /** Batch i is made from seed + i. */
  seed: number
  /** How many run at the same time. */
  atOnce: number
  /** After a batch. */
  cleanUp?(): Promise<unknown>
}

/**
 * Runs random sequences against model and store. Rejects with the shortest sequence that shows the
 * difference, and with what replays it.
 */
export async function runSequences ({
  commands,
  start,
  runs,
  atMostSeconds,
  seed,
  atOnce,
  cleanUp
}: Sequences) {
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  let [done, steps] = [0, 0]
  while (done < runs && seconds() < atMostSeconds) {
    const batchSeed = seed + done / BATCH
    const batch = fc.sample(commands, { seed: batchSeed, numRuns: Math.min(BATCH, runs - done) })
    let next = 0
    let failed: number | undefined
    const work = async () => {
      while (next < batch.length && failed === undefined) {
        const at = next++
        const sequence = batch[at] ?? []
        steps += sequence.length
        await runSequence(sequence, await start()).catch(() => {
          failed ??= at
        })
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    if (failed !== undefined) throw new Error(await shortest(commands, start, batchSeed, failed))
    done += batch.length
    await cleanUp?.()
  }
  return { done, steps, seconds: seconds() }
}

async function shortest (
  commands: fc.Arbitrary<Command[]>,
  start: Sequences['start'],
  seed: number,
  at: number
): Promise<string> {
  const property = fc.asyncProperty(
    commands,
    async (sequence) => await runSequence(sequence, await start())
  )
  const { failed, counterexample, errorInstance } = await fc.check(property, {
    seed,
    path: String(at),
    interruptAfterTimeLimit: 30_000
  })
  const replay = `Replay with MODEL_SEED=${seed} MODEL_RUNS=${BATCH}; it is sequence ${at}.`
  if (!failed) return `A sequence differs only when others run at the same time. ${replay}`
  const [sequence = []] = counterexample ?? []
  const list = sequence.map((command, i) => `  ${i}: ${JSON.stringify(command)}`).join('\n')
  return `${(errorInstance as Error).message}\n\n${list}\n\n${replay}`
}
