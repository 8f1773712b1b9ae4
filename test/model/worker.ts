/** Runs sequences in a thread of its own: tap watches every promise in the main one, at a price. */
import { parentPort, workerData } from 'node:worker_threads'
import { Redis } from 'ioredis'
import { RedisExecutor } from '../../services/redis/executor.ts'
import { inSteps, toTheMillisecond } from './commands.ts'
import { Model } from './model.ts'
import { redisSubject } from './redis-subject.ts'
import { runSequences } from './run-sequences.ts'
import { memorySubject } from './subject.ts'

/** What the thread is told: on Redis where there is a URL, in memory otherwise. */
export interface Job {
  runs: number
  atMostSeconds: number
  seed: number
  redisUrl?: string
}

const { runs, atMostSeconds, seed, redisUrl } = workerData as Job
const { policy } = new Model()

async function inMemory () {
  return await runSequences({
    commands: toTheMillisecond,
    start: () => memorySubject(policy),
    runs,
    atMostSeconds,
    seed,
    atOnce: 1
  })
}

async function onRedis (url: string) {
  const client = new Redis(url, { enableAutoPipelining: true })
  const executor = new RedisExecutor(client, 10_000)
  let made = 0
  try {
    return await runSequences({
      commands: inSteps,
      start: async () => await redisSubject(executor, `${made++}:`, policy),
      runs,
      atMostSeconds,
      seed,
      atOnce: 32,
      cleanUp: async () => await client.flushall()
    })
  } finally {
    client.disconnect()
  }
}

parentPort?.postMessage(redisUrl === undefined ? await inMemory() : await onRedis(redisUrl))
