/** What a stored limit means, and which of a user's limits is in force. */

import type { Bar } from './bar.ts'

/** The limit that holds for a user now, and where it comes from. */
export interface LimitInForce {
  username: string
  limit: number
  source: 'user' | 'temporary' | 'default'
  unlimited: boolean
  /** When a temporary limit ends, in milliseconds since the epoch. */
  expiresAtMs?: number
  /** Why there is a temporary limit. */
  reason?: string
  /** Present while the user is barred. */
  bar?: Bar
  /** Whether it was found without the store, because that is away. */
  degraded?: boolean
  /** How old the knowledge is then, in milliseconds. */
  staleMs?: number
}

/** A limit that ends by itself. */
export interface TemporaryLimit {
  limit: number
  expiresAtMs: number
  reason: string
}

/**
 * The own limit that a stored text stands for, or undefined when it stands for none: only decimal
 * integers of up to ten digits do, with or without a sign, as the switch itself reads them. A
 * negative one means unlimited.
 */
export function parseLimit (text: string): number | undefined {
  return /^[+-]?\d{1,10}$/.test(text) ? Number(text) : undefined
}

/**
 * A temporary limit as it is stored: `<limit> <end in ms> <reason>`; undefined when it is not of
 * that form.
 */
export function parseTemporaryLimit (text: string): TemporaryLimit | undefined {
  const parts = /^(\d{1,9}) (\d{1,15}) ([^]*)$/.exec(text)
  if (parts === null) return undefined
  return { limit: Number(parts[1]), expiresAtMs: Number(parts[2]), reason: parts[3] ?? '' }
}

/** The limit in force: the temporary one, else the user's own, else the policy's. */
export function limitInForce (
  username: string,
  own: number | undefined,
  temporary: TemporaryLimit | undefined,
  policyLimit: number
): LimitInForce {
  if (temporary !== undefined) {
    return {
      ...limit(username, temporary.limit, 'temporary'),
      expiresAtMs: temporary.expiresAtMs,
      ...(temporary.reason === '' ? {} : { reason: temporary.reason })
    }
  }
  return own !== undefined ? limit(username, own, 'user') : limit(username, policyLimit, 'default')
}

function limit (username: string, value: number, source: LimitInForce['source']): LimitInForce {
  return { username, limit: value, source, unlimited: value <= 0 }
}
