/** Background work in short steps, with a rest after each, so that requests are not held up. */
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Takes steps and rests after each, so that the work takes at most `share` of the time. After a
 * step that took long, because Redis was busy, the rest is long, too.
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
