import type { History, Operation } from './history.ts'

/** Kinds of broken promises, each with what was seen; all empty where all were kept. */
export interface Violations {
  /** More leases than the limit, all of them certainly live. */
  overLimit: string[]
  /** An id that was admitted as new while it was held. */
  doubled: string[]
  /** An id that was held, and was refused or not known. */
  lost: string[]
  /** An id that came back after its release. */
  revived: string[]
  /** A refusal at a time when there was room, whatever became of all that is unknown. */
  refusedWithRoom: string[]
}

/**
 * How long a request without an answer may go on before it takes effect, and how finely the clocks
 * agree.
 */
const [LATE_MS, CLOCK_MS] = [15_000, 100]

interface Change {
  at: number
  by: 1 | -1
}

/**
 * Searches a history for broken promises. It finds only what is certain: a lease is certainly live
 * from the answer that grants it until its release is invoked, or its time has passed since the
 * grant was invoked.
 * @param limits - the limit of each user, the same at all times
 * @param ttlMs - how long each grant lasts
 */
export function checkHistory (
  history: History,
  limits: ArrayLike<number>,
  ttlMs: number
): Violations {
  const found: Violations = {
    overLimit: [],
    doubled: [],
    lost: [],
    revived: [],
    refusedWithRoom: []
  }
  const certain: Change[][] = Array.from(limits, () => [])
  const possible: Change[][] = Array.from(limits, () => [])
  const refusals: Operation[][] = Array.from(limits, () => [])
  for (const operations of history.bySession()) {
    const [first] = operations
    if (first === undefined) continue
    const user = history.userOf(first.session)
    certain[user]?.push(...certainlyLive(operations, ttlMs))
    possible[user]?.push(...possiblyLive(operations, ttlMs))
    refusals[user]?.push(...operations.filter(({ outcome }) => outcome === 'refused'))
    found.doubled.push(...doubled(operations, ttlMs))
    found.lost.push(...lost(operations, ttlMs))
    found.revived.push(...revived(operations))
  }
  for (const [user, limit] of Array.from(limits).entries()) {
    const named = (what: string) => `user ${user}: ${what}`
    found.overLimit.push(...over(certain[user] ?? [], limit).map(named))
    found.refusedWithRoom.push(
      ...withRoom(refusals[user] ?? [], possible[user] ?? [], limit).map(named)
    )
  }
  return found
}

function isGrant ({ outcome }: Operation): boolean {
  return outcome === 'admitted' || outcome === 'refreshed' || outcome === 'renewed'
}

function releaseInvoked (operations: Operation[]): number {
  const sent = operations.filter(
    ({ kind, outcome }) => kind === 'release' && outcome !== 'not sent'
  )
  return Math.min(Infinity, ...sent.map(({ invoked }) => invoked))
}

/** One that was registered again may be over the limit, as is promised: it does not count. */
function certainlyLive (operations: Operation[], ttlMs: number): Change[] {
  if (operations.some(({ outcome }) => outcome === 'reregistered')) return []
  const released = releaseInvoked(operations)
  const spans = operations
    .filter(isGrant)
    .map(({ invoked, completed }) => ({
      from: completed,
      to: Math.min(invoked + ttlMs - CLOCK_MS, released)
    }))
    .filter(({ from, to }) => from < to)
    .sort((a, b) => a.from - b.from)
  const changes: Change[] = []
  let until = -Infinity
  for (const { from, to } of spans) {
    if (from > until) changes.push({ at: from, by: 1 }, { at: to, by: -1 })
    else if (to > until) (changes.at(-1) as Change).at = to
    until = Math.max(until, to)
  }
  return changes
}

function possiblyLive (operations: Operation[], ttlMs: number): Change[] {
  const maybe = operations.filter(
    (one) =>
      one.kind !== 'release' &&
      (isGrant(one) || one.outcome === 'unknown' || one.outcome === 'reregistered')
  )
  if (maybe.length === 0) return []
  const ends = maybe.map(
    ({ outcome, invoked, completed }) =>
      (outcome === 'unknown' ? invoked + LATE_MS : completed) + ttlMs + CLOCK_MS
  )
  const released = operations
    .filter(({ outcome }) => outcome === 'released')
    .map(({ completed }) => completed)
  return [
    { at: Math.min(...maybe.map(({ invoked }) => invoked)), by: 1 },
    { at: Math.min(Math.max(...ends), ...released), by: -1 }
  ]
}

function inOrder (changes: Change[]): Change[] {
  return [...changes].sort((a, b) => a.at - b.at || a.by - b.by)
}

function over (changes: Change[], limit: number): string[] {
  const seen: string[] = []
  let count = 0
  for (const { at, by } of inOrder(changes)) {
    count += by
    if (by > 0 && count > limit) {
      seen.push(`${count} live leases of ${limit} at ${at.toFixed(3)} ms`)
    }
  }
  return seen
}

function withRoom (refusals: Operation[], changes: Change[], limit: number): string[] {
  const ordered = inOrder(changes)
  const counts: number[] = []
  for (const { by } of ordered) counts.push((counts.at(-1) ?? 0) + by)
  return refusals
    .filter(({ invoked, completed }) => {
      let at = firstAfter(ordered, invoked)
      let most = counts[at - 1] ?? 0
      for (; at < ordered.length && (ordered[at]?.at ?? Infinity) <= completed; at++) {
        most = Math.max(most, counts[at] ?? 0)
      }
      return most < limit
    })
    .map(
      ({ session, invoked }) =>
        `session ${session} refused at ${invoked.toFixed(3)} ms ` +
        `though there were fewer than ${limit}`
    )
}

/** The place of the first change after a time. */
function firstAfter (changes: Change[], time: number): number {
  let [low, high] = [0, changes.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((changes[middle]?.at ?? Infinity) > time) high = middle
    else low = middle + 1
  }
  return low
}

/** Whether the session was live, by that grant, all the while that another operation took. */
function heldDuring (grant: Operation, other: Operation, ttlMs: number): boolean {
  return (
    grant !== other &&
    isGrant(grant) &&
    grant.completed <= other.invoked &&
    other.completed < grant.invoked + ttlMs - CLOCK_MS
  )
}

function doubled (operations: Operation[], ttlMs: number): string[] {
  const admissions = operations.filter(({ outcome }) => outcome === 'admitted')
  return admissions
    .filter(
      (admission, i) =>
        operations.some((grant) => heldDuring(grant, admission, ttlMs)) ||
        admissions
          .slice(0, i)
          .some(
            (other) =>
              Math.max(other.completed, admission.completed) <
              Math.min(other.invoked, admission.invoked) + ttlMs - CLOCK_MS
          )
    )
    .map(
      ({ session, invoked }) => `session ${session} admitted once more at ${invoked.toFixed(3)} ms`
    )
}

function lost (operations: Operation[], ttlMs: number): string[] {
  return operations
    .filter((one) => {
      if (!['refused', 'ended', 'reregistered', 'not up'].includes(one.outcome)) return false
      const releasedBefore = operations.some(
        (other) => other !== one && other.kind === 'release' && other.invoked <= one.completed
      )
      return !releasedBefore && operations.some((grant) => heldDuring(grant, one, ttlMs))
    })
    .map(
      ({ session, kind, outcome, invoked }) =>
        `session ${session}, which was held: ${kind} ${outcome} at ${invoked.toFixed(3)} ms`
    )
}

function revived (operations: Operation[]): string[] {
  const released = Math.min(
    Infinity,
    ...operations.filter(({ outcome }) => outcome === 'released').map(({ completed }) => completed)
  )
  return operations
    .filter((one) => (isGrant(one) || one.outcome === 'reregistered') && one.invoked > released)
    .map(
      ({ session, outcome, invoked }) =>
        `session ${session} ${outcome} at ${invoked.toFixed(3)} ms after its release`
    )
}
