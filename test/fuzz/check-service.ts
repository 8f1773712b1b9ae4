/** Starts the fuzzing, says how far it is, and looks at what was reached. */
import { randomInt } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'
import { startRedis } from '../helpers/servers.ts'
import type { Fuzz, Tally } from './run-fuzz.ts'
import type { Watched } from './watch.ts'

/** The least share of requests that have to go well: others do not reach the stores. */
const LEAST_SHARE = 0.3

/**
 * Sends so many random requests. FUZZ_SEED replays a run, FUZZ_RUNS says how many requests there
 * are.
 * @param atMostSeconds - after how long it has been enough, on a machine that is busy
 * @param most - what requests may cost others, on a machine that does nothing else
 */
export async function checkService (
  t: Test,
  runs: number,
  atMostSeconds: number,
  most?: Pick<Watched, 'turnMs' | 'redisMs' | 'rssMiB'>
): Promise<void> {
  const { FUZZ_SEED, FUZZ_RUNS } = process.env
  const { url: redisUrl } = await startRedis(t)
  const fuzz: Fuzz = {
    runs: Number(FUZZ_RUNS ?? runs),
    atMostSeconds,
    seed: Number(FUZZ_SEED ?? randomInt(2 ** 30)),
    redisUrl
  }
  t.comment(`FUZZ_SEED=${fuzz.seed} FUZZ_RUNS=${fuzz.runs} replays this run`)

  const { done, seconds, asked, well, statuses, worst } = await finished(t, fuzz)
  t.comment(`the dearest: ${JSON.stringify(worst)}`)
  if (most !== undefined) {
    t.ok(worst.turnMs <= most.turnMs, `a turn of ${worst.turnMs} ms: ${worst.request}`)
    t.ok(worst.redisMs <= most.redisMs, `Redis was busy for ${worst.redisMs} ms: ${worst.command}`)
    t.ok(worst.rssMiB <= most.rssMiB, `the process had ${worst.rssMiB} MiB`)
  }
  t.comment(`answers by status: ${JSON.stringify(statuses)}`)
  t.comment(
    `by operation: ${Object.entries(asked)
      .map(([id, n]) => `${id} ${well[id] ?? 0}/${n}`)
      .join(', ')}`
  )
  const share = Object.values(well).reduce((sum, n) => sum + n, 0) / done
  t.ok(
    share >= LEAST_SHARE,
    `${done} requests in ${seconds.toFixed(1)} s are answered as described, ` +
      `${(share * 100).toFixed(0)} % of them went well`
  )
  t.strictSame(
    Object.keys(asked).filter((id) => well[id] === undefined),
    [],
    'every operation went well at least once'
  )
}

async function finished (t: Test, fuzz: Fuzz): Promise<Tally> {
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: fuzz })
  t.teardown(async () => await worker.terminate())
  return await new Promise((resolve, reject) => {
    worker.on('error', reject)
    worker.on('message', ({ tally, finished }: { tally: Tally; finished: boolean }) => {
      if (finished) resolve(tally)
      else t.comment(`${tally.done} requests after ${tally.seconds.toFixed(0)} s`)
    })
  })
}
