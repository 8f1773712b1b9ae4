/** What release.lua is given: which session is ended, how, and when it is left alone. */
import type { RedisKeys } from '../../redis/keys.ts'
import type { BoundTo, ReleaseResult } from '../session-store.ts'
import { ENDED_MEMORY_MS, LONGEST_TTL_MS, RECORD_GRACE_MS } from '../timing.ts'
import { attemptOf } from './lease-record.ts'

/** Which session is ended, how, and when it is left alone. */
export interface ReleaseOptions {
  /** Which attempt has ended; undefined for whichever is live. */
  attempt?: number | undefined
  /** Only a session of this node. */
  node?: string | undefined
  /**
   * Only a session that started at or before this time; where one id is ended, a later start counts
   * only for a later attempt.
   */
  startedByMs?: number | undefined
  /** Only a lease that was taken for so long and never renewed since. */
  untouchedTtlMs?: number
  /** An emergency session is left alone. */
  sparesEmergency?: boolean
  /** The lease lapses: its slot is free, and nothing has ended. */
  lapses?: boolean
  /**
   * A session that is not up is left alone; with `recorded` also a lease whose record is gone,
   * because nobody can tell when it began.
   */
  onlyLive?: 'any' | 'recorded' | undefined
  boundTo?: BoundTo
}

/** What became of a user's session. */
export interface ReleasedFrom {
  outcome: 'released' | 'unknown' | 'conflict' | 'spared' | 'forbidden' | 'unmet'
  /** The record of the lease, empty where there was none; undefined for an id that had ended. */
  record?: string | undefined
  /** How much longer the lease would have been live, in milliseconds. */
  leaseMs?: number | undefined
}

/** What is known of a session that has ended. */
export interface EndedLease {
  sessionId: string
  attempt: number | undefined
  /** For how much longer the lease would have been live, in milliseconds. */
  leaseMs: number | undefined
}

/** What became of all sessions of a user. */
export interface EndedUser {
  /** When that was, by the clock of the store, in milliseconds since the epoch. */
  atMs: number
  leases: EndedLease[]
  spared: string[]
}

/** What a release tells of what it has ended. */
export function releaseResult (
  username: string | undefined,
  { outcome, record, leaseMs }: ReleasedFrom
): ReleaseResult {
  if (outcome === 'released') {
    return { outcome, username, attempt: attemptOf(record ?? ''), leaseMs }
  }
  if (outcome === 'conflict' || outcome === 'forbidden') return { outcome }
  if (outcome === 'unknown') return { outcome, wasEnded: record === undefined }
  return { outcome: 'unknown', unmet: true }
}

export function releaseKeys (keys: RedisKeys, username: string, sessionId: string): string[] {
  return [
    keys.lease(username, sessionId),
    keys.user('user-leases', username),
    keys.user('user-sessions', username)
  ]
}

/** The arguments of release.lua, but for the last one, the deadline. */
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
    options.onlyLive ?? '',
    options.boundTo ?? '',
    LONGEST_TTL_MS
  ]
}

/** What ends one user's session, or lets it lapse, if the conditions hold. */
export interface ReleasesFrom {
  releaseFrom(
    username: string,
    sessionId: string,
    reason: string,
    options: ReleaseOptions
  ): Promise<ReleasedFrom>
}
