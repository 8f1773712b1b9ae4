/**
 * What a Redis Cluster cannot do within one script: find a session's user by its id, and a node's
 * sessions, for those keys lie in other slots than the user's. Kept beside the scripts: an id is
 * claimed before its slot is taken.
 */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import type { Lease } from '../lease.ts'
import { ENDED_MEMORY_MS, RECORD_GRACE_MS } from '../timing.ts'
import { decodeRecord } from './lease-record.ts'

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
    return (
      (await this.#executor.run(this.#executor.client.get(this.#keys.holder(sessionId)))) ??
      undefined
    )
  }

  /** Claims an id for a user, unless another one holds it or it has ended. */
  async claim (sessionId: string, username: string, ttlMs: number): Promise<Claim> {
    let replaceable = ''
    for (let i = 0; i < TRIES; i++) {
      const [holder, fresh] = (await this.#executor.run(
        this.#executor.scripts.claim(
          [this.#keys.holder(sessionId)],
          [username, ttlMs + RECORD_GRACE_MS, replaceable]
        )
      )) as [string, number]
      if (holder === username) return { outcome: 'claimed', fresh: fresh === 1 }
      const state = await this.stateOf(sessionId, holder)
      if (state === 'ended') await this.remindEnded(sessionId, holder)
      if (state !== 'expired') return { outcome: state === 'ended' ? 'ended' : 'conflict' }
      replaceable = holder
    }
    return { outcome: 'conflict' }
  }

  /**
   * What became of a holder's lease. Without a record it is about to be taken: between the claim
   * and the lease lies a round trip.
   */
  async stateOf (
    sessionId: string,
    holder: string
  ): Promise<'live' | 'expired' | 'ended' | 'claimed'> {
    const { client } = this.#executor
    const [nowMs, record, end] = await this.#executor.run(
      Promise.all([
        this.#executor.nowMs(),
        this.#executor.or(null, client.get(this.#keys.lease(holder, sessionId))),
        this.#executor.or(null, client.zscore(this.#keys.user('user-leases', holder), sessionId))
      ])
    )
    if (record?.startsWith('-') === true) return 'ended'
    if (end !== null && Number(end) > nowMs) return 'live'
    return decodeRecord(record ?? '') === undefined ? 'claimed' : 'expired'
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
