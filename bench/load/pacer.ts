/** A clock that strikes evenly many times a second: timers of Node are whole milliseconds, and all late. */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

/** Tells of every time that is due, by `performance.now()` of this thread; returns what stops it. */
export function startPacer (perSecond: number, due: (atMs: number) => void): () => void {
  const originMs = performance.timeOrigin + performance.now()
  const worker = new Worker(new URL(import.meta.url), { workerData: { perSecond, originMs } })
  let next = 0
  worker.on('message', (count: number) => {
    for (; next < count; next++) due(originMs - performance.timeOrigin + next * 1000 / perSecond)
  })
  return () => { void worker.terminate() }
}

if (!isMainThread) strike(workerData as { perSecond: number, originMs: number })

/** Sleeps until the next is due, by the microsecond, and says how many were due so far. */
function strike ({ perSecond, originMs }: { perSecond: number, originMs: number }): never {
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  for (let count = 1; ; count++) {
    const waitMs = originMs + (count - 1) * 1000 / perSecond - performance.timeOrigin - performance.now()
    if (waitMs > 0) Atomics.wait(sleeper, 0, 0, waitMs)
    parentPort?.postMessage(count)
  }
}
