/** Sends requests in a thread of its own: tap watches every promise in the main one, at a price. */
import { parentPort, workerData } from 'node:worker_threads'
import { type Fuzz, runFuzz } from './run-fuzz.ts'

const tally = await runFuzz(workerData as Fuzz, (tally) =>
  parentPort?.postMessage({ tally, finished: false })
)
parentPort?.postMessage({ tally, finished: true })
