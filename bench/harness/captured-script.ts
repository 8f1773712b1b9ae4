/**
 * The script call that the service makes, captured as Redis receives it, so that measuring the bare
 * script follows the code as it changes.
 */
import { monitorRedis } from '../../test/helpers/redis-monitor.ts'
import type { BenchRedis } from './redis.ts'

/** Stand for a number of ten digits and a user of eight while a call is captured. */
export const SAMPLE = { n: '7531975319', u: '86428642' }

/**
 * Watches Redis while `act` makes the service call a script about the sample.
 * @returns the words of the call; the sample's numbers are placeholders again
 */
export async function captureScriptCall (
  redis: BenchRedis,
  act: () => Promise<unknown>
): Promise<string[]> {
  const closes: Array<() => unknown> = []
  const monitor = await monitorRedis({ teardown: (close) => closes.push(close) }, redis)
  try {
    await act()
    const call = (await monitor.take()).findLast(
      ([name, ...args]) => name === 'EVALSHA' && args.some((arg) => arg.includes(SAMPLE.n))
    )
    if (call === undefined) throw new Error('the service has called no script about the sample')
    return call.map((word) => word.replaceAll(SAMPLE.n, '{n}').replaceAll(SAMPLE.u, '{u}'))
  } finally {
    for (const close of closes) close()
  }
}
