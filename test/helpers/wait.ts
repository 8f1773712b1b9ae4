import { setTimeout as sleep } from 'node:timers/promises'

/** How long to wait, and for what. */
export interface WaitOptions {
  /** Gives up after this long. Default: 30,000, which a busy machine may need. */
  deadlineMs?: number
  /** Pause between two looks. Default: 20. */
  everyMs?: number
  /** What is waited for, as it reads in "gave up waiting for …". */
  what: string
}

/**
 * Looks again and again until `check` gives something truthy, and returns that. A check that throws
 * counts as "not yet". Fails when the deadline passes, naming what was waited for and the last
 * thing seen; a check that hangs does not outlive the deadline.
 */
export async function waitFor<T> (
  check: () => T | Promise<T>,
  options: WaitOptions
): Promise<NonNullable<T>> {
  const { deadlineMs = 30_000, everyMs = 20, what } = options
  const deadline = performance.now() + deadlineMs
  let seen = 'the check did not answer'
  const giveUp = new AbortController()
  const late = sleep(deadlineMs, 'late' as const, { signal: giveUp.signal })
  late.catch(() => {})
  try {
    while (performance.now() < deadline) {
      const outcome = await Promise.race([attempt(check), late])
      if (outcome === 'late') break
      if (outcome.value) return outcome.value
      seen = outcome.seen
      await sleep(everyMs)
    }
  } finally {
    giveUp.abort()
  }
  throw new Error(`gave up waiting for ${what} after ${deadlineMs} ms; last seen: ${seen}`)
}

async function attempt<T> (check: () => T | Promise<T>): Promise<{ value?: T; seen: string }> {
  try {
    const value = await check()
    return { value, seen: String(value) }
  } catch (error) {
    return { seen: error instanceof Error ? error.message : String(error) }
  }
}
