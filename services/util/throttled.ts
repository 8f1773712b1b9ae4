/**
 * Work in the background that others do not feel: short steps, each with a rest in proportion
 * behind it.
 */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Goes through steps and rests after each, so that they take at most `share` of the time. A step
 * that had to wait for others took longer, and so rests longer.
 * @param share - above 0, at most 1
 */
export async function * throttled<T> (steps: AsyncIterable<T>, share: number): AsyncGenerator<T> {
  let startedMs = performance.now()
  for await (const step of steps) {
    const tookMs = performance.now() - startedMs
    yield step
    await sleep(tookMs * (1 / share - 1))
    startedMs = performance.now()
  }
}
