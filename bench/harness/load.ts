/** Puts load on an HTTP server from a process of its own. */
import type { LoadOptions, LoadResult } from '../load/load-types.ts'
import { runLoadProcess } from './load-process.ts'

/** Above this share of a core the load process itself may be what was measured. */
const BUSY_SHARE = 0.9

/**
 * The share of answers that may differ: a request that was under way when the load before was cut
 * off has had no effect.
 */
const OTHERS_SHARE = 0.01
/** However few requests there were, this many answers may differ. */
const OTHERS_AT_LEAST = 3

/**
 * How many numbers a load may use. It is no multiple of any number of users, so that no two loads
 * begin with the same users.
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
  check(result, options, expect, countOthers)
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

/** @throws Error where an answer is not as it should be, or there is none */
function check (
  result: LoadResult,
  { answers }: LoadOptions,
  expect: number[],
  countOthers: boolean
): void {
  const such = `such as ${result.oddAnswer ?? ''}`
  const odd = Object.entries(result.statuses).filter(([status]) => !expect.includes(Number(status)))
  if (odd.length > 0) {
    const counts = odd.map(([status, n]) => `${n} × ${status}`).join(', ')
    throw new Error(`unexpected answers: ${counts}; ${such}`)
  }
  if (result.requests === 0) throw new Error('no request was answered while answers were counted')
  if (!countOthers && result.others > Math.max(OTHERS_AT_LEAST, result.requests * OTHERS_SHARE)) {
    const share = `${result.others} of ${result.requests} answers`
    throw new Error(`${share} without ${answers.join(' or ')}; ${such}`)
  }
}

/** The first of some numbers that no other load of this run uses: no session id comes twice. */
export function nextNumbers (): number {
  return (next += NUMBERS)
}

/** A remark where the load process was as busy as it can be, and so may be what was measured. */
export function loadRemark (loads: Load[]): string {
  return loads.some(({ loadBound }) => loadBound) ? 'The load process was at its own limit.' : ''
}
