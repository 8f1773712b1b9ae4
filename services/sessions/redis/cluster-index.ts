/**
 * What a Redis Cluster cannot do within one script: find a session's user by its id, and a node's
 * sessions, for those keys lie in other slots than the user's. Kept beside the scripts: an id is
 * claimed before its slot is taken.
 */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import type { Lease } from '../lease.ts'
import { ENDED_MEMORY_MS, LONGEST_TTL_MS, RECORD_GRACE_MS } from '../timing.ts'
import { decodeRecord, endedAttempt, endedOnNode } from './lease-record.ts'

/**
 * What came of a claim: the id is the user's now (`fresh`: it was nobody's before), or why it is
 * not.
 */
export type Claim = { outcome: 'claimed'; fresh: boolean } | { outcome: 'conflict' | 'ended' }

/** How often a claim is tried when others claim the same id at the same time. */
const TRIES = 3

/** The index of sessions by id and by node. */
export class ClusterIndex {
  #executor: RedisExecutor
  #keys: RedisKeys

  constructor (executor: RedisExecutor, keys: RedisKeys) {
    this.#executor = executor
    this.#keys = keys
  }

  /** Whose session an id is, as far as the index knows. */
  async holderOf (sessionId: string): Promise<string | undefined> {
    const { client } = this.#executor
    const holder = await this.#executor.run(client.get(this.#keys.holder(sessionId)))
    return holder === null || endedAttempt(holder) !== undefined ? undefined : holder
  }

  /** Claims an id for a user, unless another one holds it or this attempt has ended. */
  async claim (
    sessionId: string,
    username: string,
    ttlMs: number,
    attempt: number,
    node = ''
  ): Promise<Claim> {
    let replaceable = ''
    for (let i = 0; i < TRIES; i++) {
      const [holder, fresh] = (await this.#executor.run(
        this.#executor.scripts.claim(
          [this.#keys.holder(sessionId)],
          [username, ttlMs + RECORD_GRACE_MS, replaceable]
        )
      )) as [string, number]
      if (holder === username) return { outcome: 'claimed', fresh: fresh === 1 }
      const state = await this.stateOf(sessionId, holder, attempt, node)
      if (state === 'ended') await this.remindEnded(sessionId, holder)
      if (state !== 'free') return { outcome: state === 'ended' ? 'ended' : 'conflict' }
      replaceable = holder
    }
    return { outcome: 'conflict' }
  }

  /**
   * What an id is to an attempt of another user than its holder. Without a record the holder's
   * lease is about to be taken: between the claim and the lease lies a round trip.
   * @param holder - what the index names: a user, or the end of an id that nobody held
   */
  async stateOf (
    sessionId: string,
    holder: string,
    attempt: number,
    node = ''
  ): Promise<'held' | 'ended' | 'free'> {
    const endedUnheld = endedAttempt(holder)
    if (endedUnheld !== undefined) {
      const onlyNode = endedOnNode(holder)
      const isEnded = attempt <= endedUnheld && (onlyNode === '' || onlyNode === node)
      return isEnded ? 'ended' : 'free'
    }
    const { client } = this.#executor
    const [nowMs, record, end] = await this.#executor.run(
      Promise.all([
        this.#executor.nowMs(),
        this.#executor.or(null, client.get(this.#keys.lease(holder, sessionId))),
        this.#executor.or(null, client.zscore(this.#keys.user('user-leases', holder), sessionId))
      ])
    )
    const ended = endedAttempt(record ?? '')
    if (ended !== undefined) return attempt > ended ? 'free' : 'ended'
    if (end !== null && Number(end) > nowMs) return 'held'
    return decodeRecord(record ?? '') === undefined ? 'held' : 'free'
  }

  /**
   * Remembers that an id has ended which nobody holds.
   * @param boundTo - the node whose sessions alone it holds for; the empty text for all
   * @returns false when a user has claimed it meanwhile
   */
  async end (sessionId: string, attempt: number, boundTo = ''): Promise<boolean> {
    const { client, scripts } = this.#executor
    const key = this.#keys.holder(sessionId)
    const stored = (await this.#executor.run(client.get(key))) ?? ''
    const known = endedAttempt(stored) ?? -1
    if (known >= 0 && boundTo !== '' && endedOnNode(stored) !== boundTo) return true
    const only = boundTo === '' ? '' : `@${boundTo}`
    const end = `-|${Math.max(attempt, known)}${only} released`
    return (await this.#executor.run(scripts.endClaim([key], [end, LONGEST_TTL_MS]))) === 1
  }

  /** Gives up a claim that led to no lease. */
  async unclaim (sessionId: string): Promise<void> {
    await this.#executor.run(this.#executor.client.del(this.#keys.holder(sessionId)))
  }

  /** Remembers whose an id was that has ended, for as long as its end is remembered. */
  async remember (sessionId: string): Promise<void> {
    await this.#executor.run(
      this.#executor.client.pexpire(this.#keys.holder(sessionId), ENDED_MEMORY_MS, 'GT')
    )
  }

  /** A late try with an id that has ended starts the time anew for which that is remembered. */
  async remindEnded (sessionId: string, holder: string): Promise<void> {
    await Promise.all([
      this.remember(sessionId),
      this.#executor.run(
        this.#executor.client.pexpire(this.#keys.lease(holder, sessionId), ENDED_MEMORY_MS, 'GT')
      )
    ])
  }

  /** Notes on which node a session is, until its lease would end. */
  async arrive ({ sessionId, username, node, expiresMs }: Lease): Promise<void> {
    if (node === '') return
    await this.#executor.run(
      this.#executor.client.zadd(
        this.#keys.nodeLeases(node),
        expiresMs,
        `${username} ${sessionId}`
      )
    )
  }

  /** A session is no longer on its node. */
  async leave (sessionId: string, username: string, node: string): Promise<void> {
    if (node !== '') {
      await this.#executor.run(
        this.#executor.client.zrem(this.#keys.nodeLeases(node), `${username} ${sessionId}`)
      )
    }
  }
}
