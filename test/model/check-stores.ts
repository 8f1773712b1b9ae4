import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'
import { startRedis } from '../helpers/servers.ts'
import type { Job } from './worker.ts'

/** A number for each store. */
interface PerStore {
  memory: number
  redis: number
}

/**
 * Checks both stores against the model. MODEL_SEED replays a run; MODEL_RUNS, or MODEL_RUNS_MEMORY
 * and MODEL_RUNS_REDIS, say how many sequences there are.
 * @param atMostSeconds - after how long a store has been checked enough, on a machine that is busy
 */
export async function checkStores (
  t: Test,
  runs: PerStore,
  atMostSeconds: PerStore
): Promise<void> {
  const {
    MODEL_SEED,
    MODEL_RUNS,
    MODEL_RUNS_MEMORY = MODEL_RUNS,
    MODEL_RUNS_REDIS = MODEL_RUNS
  } = process.env
  const seed = Number(MODEL_SEED ?? randomInt(2 ** 30))

  await t.test('the store in memory does what the model does', async (t) => {
    await check(t, {
      runs: Number(MODEL_RUNS_MEMORY ?? runs.memory),
      atMostSeconds: atMostSeconds.memory,
      seed
    })
  })

  await t.test('the store on Redis does what the model does', async (t) => {
    const redis = await startRedis(t)
    await check(t, {
      runs: Number(MODEL_RUNS_REDIS ?? runs.redis),
      atMostSeconds: atMostSeconds.redis,
      seed,
      redisUrl: redis.url
    })
  })
}

async function check (t: Test, job: Job): Promise<void> {
  t.comment(`MODEL_SEED=${job.seed} MODEL_RUNS=${job.runs} replays this run`)
  const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: job })
  t.teardown(async () => await worker.terminate())
  const [{ done, steps, seconds }] = (await once(worker, 'message')) as [
    { done: number; steps: number; seconds: number }
  ]
  t.ok(done > 0, `${done} sequences, ${steps} commands, ${seconds.toFixed(1)} s, no difference`)
}
