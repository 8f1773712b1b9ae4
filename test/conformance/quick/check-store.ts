import { deepStrictEqual } from 'node:assert/strict'
import type { RedisKeys } from '../../../services/redis/keys.ts'
import type { Details } from '../../../services/sessions/lease.ts'
import type { NodeReconciliation } from '../../../services/sessions/session-store.ts'
import { sessionView } from '../../../services/sessions/session-view.ts'
import type { Subject } from '../../model/subject.ts'
import { reported } from '../words.ts'
import { checks } from './checks.ts'

/** What a check may ask for beyond the defaults. */
interface Asked {
  attempt?: number
  ttlMs?: number
  node?: string
  details?: Details
  dryRun?: boolean
  boundTo?: string
}

/** What Redis holds, for checks of what only a switch writes, or only Redis shows. */
export interface Raw {
  keys: RedisKeys
  command(name: string, ...words: Array<string | number>): Promise<unknown>
}

/** A new store, and short words for what is done to it. Policy: 2 sessions, reject. */
export class World {
  readonly subject: Subject
  /** Null on a store without a Redis. */
  readonly raw: Raw | null

  constructor (subject: Subject, raw: Raw | null) {
    this.subject = subject
    this.raw = raw
  }

  /**
   * Asks for a slot; what came of it in a few words, such as `admitted 1/2` or `admitted 2/2 ending
   * s1 s2`.
   */
  async acquire (
    username: string,
    sessionId: string,
    { attempt = 0, ttlMs = 48_000, node, details = {}, dryRun = false, boundTo }: Asked = {}
  ): Promise<string> {
    const result = await this.subject.sessions.acquire({
      username,
      sessionId,
      attempt,
      ttlMs,
      node,
      details,
      dryRun,
      boundTo
    })
    if (!('count' in result)) return result.outcome
    const terminated = 'terminated' in result ? result.terminated : []
    const observed = 'observed' in result && result.observed
    const ending = terminated.length > 0 ? ` ending ${terminated.join(' ')}` : ''
    const remark = observed ? ' observed' : ''
    return `${result.outcome} ${result.count}/${result.limit}${ending}${remark}`
  }

  async renew (
    username: string,
    sessionId: string,
    { attempt, ttlMs = 48_000, node, boundTo }: Asked = {}
  ): Promise<string> {
    const request = { username, sessionId, attempt, node, boundTo }
    const [result] = await this.subject.sessions.renew([request], ttlMs)
    return result?.outcome ?? 'nothing'
  }

  async release (
    sessionId: string,
    username?: string,
    { attempt, node, boundTo }: Asked = {}
  ): Promise<string> {
    const request = { sessionId, username, attempt, node, reason: 'hangup', boundTo }
    return (await this.subject.sessions.release(request)).outcome
  }

  /**
   * A node's report, as `renewed/registered/released` and who is not up, or the epoch that is
   * known.
   */
  async report (
    node: string,
    epoch: number,
    sessions: Array<[user: string, id: string]>,
    more: Partial<NodeReconciliation> = {}
  ): Promise<string> {
    const result = await this.subject.sessions.reconcileNode(reported({
      node,
      epoch,
      ttlMs: 48_000,
      sessions: sessions.map(([username, sessionId]) => ({ username, sessionId })),
      ...more
    }))
    if (result.outcome === 'stale_epoch') return `stale, ${result.epoch} is known`
    if (result.outcome !== 'reconciled') return result.outcome
    const { renewed, registered, released, ended, conflicts } = result
    return [
      `${renewed}/${registered}/${released}`,
      ...ended.map((id) => `${id} ended`),
      ...conflicts.map((id) => `${id} conflict`)
    ].join(', ')
  }

  /** Leases plus external sessions, of the limit. */
  async count (username: string): Promise<string> {
    const { leases, external, limit } = await this.subject.sessions.getCount(username)
    return `${leases}+${external}/${limit}`
  }

  /** The ids of a user's sessions. */
  async sessions (username: string): Promise<string[]> {
    const { entries } = await this.subject.sessions.listSessions(
      { username },
      { cursor: '', count: 1000 }
    )
    return entries.map(({ sessionId }) => sessionId).sort()
  }

  /** How many sessions each node has. */
  async nodes (): Promise<Record<string, number>> {
    const { entries } = await this.subject.sessions.listNodes({ cursor: '', count: 1000 })
    return Object.fromEntries(entries.map(({ node, sessions }) => [node, sessions]))
  }

  /** A session as the API shows it. */
  async view (sessionId: string) {
    const session = await this.subject.sessions.getSession(sessionId)
    return session && sessionView(session)
  }

  /** When a session began, by the store's clock at the time it was made. */
  async start (sessionId: string): Promise<number | null> {
    const session = await this.subject.sessions.getSession(sessionId)
    return session === null ? null : this.subject.sinceStart(session.startedMs ?? NaN)
  }

  async pass (seconds: number): Promise<void> {
    await this.subject.pass(seconds * 1000)
  }
}

/** One promise and how it shows. Those that need a Redis pass over a store without one. */
export type Check = (world: World, is: (got: unknown, wanted: unknown) => void) => Promise<void>

/**
 * The first promise that a store breaks, or undefined.
 * @param newWorld - a new, empty store for each check
 */
export async function checkStore (newWorld: () => Promise<World>): Promise<string | undefined> {
  for (const [promise, check] of Object.entries(checks)) {
    try {
      await check(await newWorld(), deepStrictEqual)
    } catch (error) {
      return `${promise}: ${(error as Error).message.replaceAll(/\s+/g, ' ')}`
    }
  }
  return undefined
}
