/** What became of many calls, seen by those who made them. */
import { type CallEvent } from './sipp.ts'

export interface Tally {
  /** Calls that were put through. */
  up: number
  hungUp: number
  /** Refused calls by their final answer. */
  refused: Record<number, number>
  /** The most calls that one user had up at once. */
  most: number
}

/**
 * Sums up calls. A caller logs `up` when it has the answer and `down` before it hangs up, so that
 * in between the call has its place: nobody may have more calls up than its limit.
 */
export function tally (events: CallEvent[]): Tally {
  const result: Tally = { up: 0, hungUp: 0, refused: {}, most: 0 }
  const up = new Map<string, number>()
  for (const { what, user, status = 0 } of events) {
    const before = up.get(user) ?? 0
    if (what === 'up') {
      result.up++
      result.most = Math.max(result.most, before + 1)
      up.set(user, before + 1)
    } else if (what === 'refused') {
      result.refused[status] = (result.refused[status] ?? 0) + 1
    } else {
      if (what === 'hung-up') result.hungUp++
      up.set(user, before - 1)
    }
  }
  return result
}

/** Calls of so many users in turn, each to the callee. */
export function callsOf (users: number, name: string): Array<[user: string, uri: string]> {
  return Array.from({ length: users }, (_, i) => [`${name}-${i}`, 'sip:bob@example.net'])
}
