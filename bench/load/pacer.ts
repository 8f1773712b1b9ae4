/**
 * A clock that strikes evenly many times a second: timers of Node are whole milliseconds, and all
 * late.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

/** What the clock says: when it began, in ms since the epoch, and how many have been due. */
interface Strike {
  originMs: number
  count: number
}

/**
 * Tells of every time that is due, by `performance.now()` of this thread; returns what stops it.
 */
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

/**
 * Sleeps until the next is due, by the microsecond, and says how many were due so far. It begins
 * when it is ready to.
 */
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
