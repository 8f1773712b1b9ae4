/**
 * The script call that the service makes, captured as Redis receives it, so that measuring the bare
 * script follows the code as it changes.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { BenchRedis } from './redis.ts'
import { adopt } from './processes.ts'

/** Stand for a number of ten digits and a user of eight while a call is captured. */
export const SAMPLE = { n: '7531975319', u: '86428642' }

const PATIENCE_MS = 5000

/**
 * Watches Redis while `act` makes the service call a script about the sample.
 * @returns the words of the call; the sample's numbers are placeholders again
 */
export async function captureScriptCall (
  redis: BenchRedis,
  redisCli: string,
  act: () => Promise<unknown>
): Promise<string[]> {
  const monitor = spawn(redisCli, ['-p', String(redis.port), 'MONITOR'], {
    stdio: ['ignore', 'pipe', 'ignore']
  })
  adopt(monitor)
  let seen = ''
  monitor.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString()
  })
  const until = async (met: () => boolean) => {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    while (!met()) await once(monitor.stdout, 'data', { signal })
  }
  try {
    await until(() => seen.startsWith('OK'))
    await act()
    await until(() => scriptCall(seen) !== undefined)
    return (scriptCall(seen) ?? []).map((word) =>
      word.replaceAll(SAMPLE.n, '{n}').replaceAll(SAMPLE.u, '{u}')
    )
  } finally {
    monitor.kill()
  }
}

/** The last script call about the sample that a client made, not one that a script made. */
function scriptCall (seen: string): string[] | undefined {
  const line = seen
    .split('\n')
    .slice(0, -1)
    .findLast(
      (line) =>
        /^\S+ \[\d+ (?!lua)[^\]]*\] "(evalsha|fcall)"/i.test(line) && line.includes(SAMPLE.n)
    )
  return line
    ?.match(/"(?:[^"\\]|\\.)*"/g)
    ?.map(
      (word) =>
        JSON.parse(
          word.replaceAll(/\\x([0-9a-f]{2})/g, '\\u00$1').replaceAll('\\a', '\\u0007')
        ) as string
    )
}
