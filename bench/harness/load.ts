/** Puts load on an HTTP server from a process of its own. */
import type { LoadOptions, LoadResult } from '../load/load-types.ts'
import { runLoadProcess } from './load-process.ts'

/** Above this share of a core the load process itself may be what was measured. */
const BUSY_SHARE = 0.9

/**
 * So few answers may differ: a request that was under way when the load before was cut off has had
 * no effect.
 */
const OTHERS_SHARE = 0.01

/**
 * How many numbers a load may use: none to be divided evenly, so that no two begin, and none is cut
 * off, with the same users.
 */
const NUMBERS = 10_001_237
let next = 0

/** What a comparison says of a load; the rest has defaults. */
export type LoadRequest = Pick<LoadOptions, 'port' | 'templates'> &
  Partial<LoadOptions> & {
    /** The only statuses that may come back. */
    expect: number[]
    /**
     * Only counts the answers that have not in them what they should; otherwise more than a few are
     * an error.
     */
    countOthers?: boolean
  }

/** What came back, with figures that the comparisons need. */
export interface Load extends LoadResult {
  perSecond: number
  /** CPU per request in microseconds, by the names given to `pids`. */
  cpuUs: Record<string, number>
  /** Whether the load process was about as busy as it can be. */
  loadBound: boolean
}

/** Runs one load. @throws Error when an answer has another status, or the connection breaks */
export async function load ({
  expect,
  countOthers = false,
  ...request
}: LoadRequest): Promise<Load> {
  const options: LoadOptions = {
    connections: 64,
    pipelining: 1,
    perSecond: 0,
    warmupMs: 1000,
    durationMs: 5000,
    answers: [],
    users: 1000,
    pids: {},
    firstNumber: nextNumbers(),
    numbers: NUMBERS,
    ...request
  }
  const deadlineMs = options.warmupMs + options.durationMs + 30_000
  const result = await runLoadProcess<LoadResult>('http-load.js', options, deadlineMs)
  const odd = Object.entries(result.statuses).filter(([status]) => !expect.includes(Number(status)))
  if (odd.length > 0) {
    throw new Error(
      `unexpected answers: ${odd.map(([status, n]) => `${n} × ${status}`).join(', ')}; such as ${result.oddAnswer ?? ''}`
    )
  }
  if (result.requests === 0) throw new Error('no request was answered while answers were counted')
  if (!countOthers && result.others > result.requests * OTHERS_SHARE) {
    const wanted = options.answers.join(' or ')
    throw new Error(
      `${result.others} of ${result.requests} answers without ${wanted}; such as ${result.oddAnswer ?? ''}`
    )
  }
  const cpuUs = Object.fromEntries(
    Object.entries(result.cpuMs).map(([name, ms]) => [name, (ms * 1000) / result.requests])
  )
  return {
    ...result,
    perSecond: result.requests / result.seconds,
    cpuUs,
    loadBound: result.loadCpuMs / 1000 / result.seconds > BUSY_SHARE
  }
}

/** The first of some numbers that no other load of this run uses: session ids never come twice. */
export function nextNumbers (): number {
  return (next += NUMBERS)
}
