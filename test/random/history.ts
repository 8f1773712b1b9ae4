/** How long a request without an answer may go on, in milliseconds. */
export const LATE_MS = 10_000

/** What was asked about one session: by its own request, or as one of many. */
export type Kind = 'acquire' | 'renew' | 'report' | 'release' | 'terminate'

/**
 * `failed`: it certainly did nothing. `unknown`: there was no answer, or one that says so; it may
 * have happened, or may yet. `ended` and `conflict` are what the service said of the session.
 */
export type Outcome = 'ok' | 'refused' | 'ended' | 'conflict' | 'failed' | 'unknown'

/** One operation; times in milliseconds by one monotonic clock. */
export interface Operation {
  kind: Kind
  id: string
  /** The process that was asked: a replica that was killed comes back as another one. */
  process: string
  invokedMs: number
  /** Infinity until it has ended. */
  completedMs: number
  outcome: Outcome
  degraded: boolean
  ttlMs: number
  /** Whether the answer is about this session by its name; of an end of all it may not be. */
  isNamed: boolean
  /** The answer, in short. */
  note: string
}

/** What was asked about one session, in the order in which it was asked. */
export interface Call {
  readonly id: string
  readonly username: string
  readonly node: string | undefined
  readonly ttlMs: number
  readonly operations: Operation[]
}

/** Whether it holds a session's slot, or would. */
export function isGrant ({ kind }: Operation): boolean {
  return kind === 'acquire' || kind === 'renew' || kind === 'report'
}

/** Whether it ends a session. */
export function isEnd ({ kind }: Operation): boolean {
  return kind === 'release' || kind === 'terminate'
}

/** The last operations on a session, as one line each, to find out what happened. */
export function told ({ id, username, operations }: Call, zeroMs = 0): string {
  const lines = operations.slice(-14).map((one) => {
    const at = (ms: number) => ((ms - zeroMs) / 1000).toFixed(3)
    const by = one.degraded ? ' degraded' : ''
    return `${at(one.invokedMs)}–${at(one.completedMs)} ${one.kind} at ${one.process}: ` +
      `${one.outcome}${by} ${one.note}`
  })
  return `${username} ${id}\n    ${lines.join('\n    ')}`
}
