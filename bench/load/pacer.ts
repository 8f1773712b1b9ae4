/**
 * A clock that strikes many times a second at even intervals. Node's timers cannot: they count
 * whole milliseconds, and are late.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

/** A strike: when the clock began, in ms since the epoch, and how many strikes were due so far. */
interface Strike {
  originMs: number
  count: number
}

/** Calls `due` with each instant, in terms of this thread's `performance.now()`. Returns a stop. */
export function startPacer (perSecond: number, due: (atMs: number) => void): () => void {
  const worker = new Worker(new URL(import.meta.url), { workerData: perSecond })
  let next = 0
  worker.on('message', ({ originMs, count }: Strike) => {
    for (; next < count; next++) due(originMs - performance.timeOrigin + (next * 1000) / perSecond)
  })
  return () => {
    void worker.terminate()
  }
}

if (!isMainThread) strike(workerData as number)

/** Sleeps until the next strike, to the microsecond, and says how many were due so far. */
function strike (perSecond: number): never {
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  const now = () => performance.timeOrigin + performance.now()
  const originMs = now()
  for (let count = 1; ; count++) {
    const waitMs = originMs + ((count - 1) * 1000) / perSecond - now()
    if (waitMs > 0) Atomics.wait(sleeper, 0, 0, waitMs)
    parentPort?.postMessage({ originMs, count } satisfies Strike)
  }
}
