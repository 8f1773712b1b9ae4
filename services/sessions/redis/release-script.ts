/** What release.lua is given: which session is ended, how, and when it is left alone. */
import type { RedisKeys } from '../../redis/keys.ts'
import type { BoundTo } from '../session-store.ts'
import { ENDED_MEMORY_MS, RECORD_GRACE_MS } from '../timing.ts'

/** Which session is ended, how, and when it is left alone. */
export interface ReleaseOptions {
  /** Which attempt has ended; undefined for whichever is live. */
  attempt?: number | undefined
  /** Only a session of this node. */
  node?: string | undefined
  /** Only a session that started at or before this time. */
  startedByMs?: number
  /** Only a lease that was taken for so long and never renewed since. */
  untouchedTtlMs?: number
  /** An emergency session is left alone. */
  sparesEmergency?: boolean
  /** The lease lapses: its slot is free, and nothing has ended. */
  lapses?: boolean
  /** A session that is not up is left alone. */
  onlyLive?: boolean
  boundTo?: BoundTo
}

/** What became of a user's session. */
export interface ReleasedFrom {
  outcome: 'released' | 'unknown' | 'conflict' | 'spared' | 'forbidden'
  /** The record of the lease, where there was one. */
  record?: string
}

export function releaseKeys (keys: RedisKeys, username: string, sessionId: string): string[] {
  return [
    keys.lease(username, sessionId),
    keys.user('user-leases', username),
    keys.user('user-sessions', username)
  ]
}

export function releaseArgs (
  keys: RedisKeys,
  username: string,
  sessionId: string,
  reason: string,
  options: ReleaseOptions
): Array<string | number> {
  return [
    username,
    sessionId,
    reason,
    ENDED_MEMORY_MS,
    keys.nodeLeasesPrefix,
    RECORD_GRACE_MS,
    options.node ?? '',
    options.startedByMs ?? '',
    options.untouchedTtlMs ?? '',
    options.attempt ?? '',
    options.sparesEmergency === true ? '1' : '',
    options.lapses === true ? '1' : '',
    options.onlyLive === true ? '1' : '',
    options.boundTo ?? ''
  ]
}
