/**
 * What a Redis Cluster cannot do within one script: find a session's user by its id, and a node's
 * sessions, for those keys lie in other slots than the user's. Kept beside the scripts: an id is
 * claimed before its slot is taken. Where the slot of an id or of a node is out, the user's script
 * decides alone.
 */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { EVERYWHERE, type Reach } from '../../redis/reach.ts'
import type { HeldLease, Lease } from '../lease.ts'
import { ENDED_MEMORY_MS, LONGEST_TTL_MS, RECORD_GRACE_MS } from '../timing.ts'
import type { Claim, Claimed } from './claims.ts'
import { decodeRecord, endedAttempt, endedOnNode } from './lease-record.ts'

/** Whose an id was, as claim.lua answers. */
const [NOBODYS, ANOTHERS] = [0, 2]

/** How often a claim is tried when others claim the same id at the same time. */
const TRIES = 3
/** How many sessions one command notes on a node. */
const ARRIVALS_AT_ONCE = 250

/** The index of sessions by id and by node. */
export class ClusterIndex {
  #executor: RedisExecutor
  #keys: RedisKeys
  #reach: Reach

  constructor (executor: RedisExecutor, keys: RedisKeys, reach = EVERYWHERE) {
    this.#executor = executor
    this.#keys = keys
    this.#reach = reach
  }

  /** Whose session an id is; null if it is nobody's, undefined where the index is out. */
  async holderOf (sessionId: string): Promise<string | null | undefined> {
    const holder = await this.#holder(sessionId)
    return endedAttempt(holder ?? '') === undefined ? holder : null
  }

  /** What the index says of an id: whose it is, or that it has ended; undefined if it is out. */
  async #holder (sessionId: string): Promise<string | null | undefined> {
    const key = this.#keys.holder(sessionId)
    return await this.#reach.ask(key, async () =>
      await this.#executor.run(this.#executor.or(null, this.#executor.client.get(key))))
  }

  /** Writes a key, which may be out. */
  async #ask<T>(key: string, question: () => Promise<T>): Promise<T | undefined> {
    return await this.#reach.ask(key, async () => await this.#executor.run(question()), true)
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
      const key = this.#keys.holder(sessionId)
      const args = [username, ttlMs + RECORD_GRACE_MS, replaceable]
      const claimed = await this.#ask(key, () => this.#executor.scripts.claim([key], args))
      if (claimed === undefined) return { outcome: 'claimed', fresh: false }
      const [holder, before, leftMs = 0] = claimed as [string, number, number?]
      if (holder === username) {
        const isReplaced = before === ANOTHERS && leftMs > 0
        const replaced = isReplaced && { replaced: { stored: replaceable, leftMs } }
        return { outcome: 'claimed', fresh: before === NOBODYS, ...replaced }
      }
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
    const found = await this.#reach.ask(
      this.#keys.user('user-leases', holder),
      async () => await this.#lookAt(sessionId, holder)
    )
    // Nobody can tell now whether the holder's lease is live.
    if (found === undefined) return 'held'
    const { record, isLive } = found
    const ended = endedAttempt(record ?? '')
    if (ended !== undefined) return attempt > ended ? 'free' : 'ended'
    return isLive || decodeRecord(record ?? '') === undefined ? 'held' : 'free'
  }

  /** Whether a user has a live lease of an id; undefined where nobody can tell. */
  async holds (sessionId: string, username: string): Promise<boolean | undefined> {
    const found = await this.#reach.ask(
      this.#keys.user('user-leases', username),
      async () => await this.#lookAt(sessionId, username)
    )
    return found?.isLive
  }

  /** The record of an id at its holder, and whether its lease is live. */
  async #lookAt (sessionId: string, holder: string) {
    const { client } = this.#executor
    const leases = this.#keys.user('user-leases', holder)
    const lease = this.#keys.lease(holder, sessionId)
    const [nowMs, record, end, keptMs] = await this.#executor.run(
      Promise.all([
        this.#executor.nowMs(leases),
        this.#executor.or(null, client.get(lease)),
        this.#executor.or(null, client.zscore(leases, sessionId)),
        client.pttl(lease)
      ])
    )
    // Where the lease itself was evicted, the record says how long it would last.
    const isLease = decodeRecord(record ?? '') !== undefined
    const isLive = Number(end ?? 0) > nowMs || (isLease && keptMs > RECORD_GRACE_MS)
    return { record, isLive }
  }

  /**
   * Remembers that an id has ended which nobody holds.
   * @param boundTo - the node whose sessions alone it holds for; the empty text for all
   * @returns false when a user has claimed it meanwhile, undefined where the index is out
   */
  async end (
    sessionId: string,
    attempt: number,
    boundTo = ''
  ): Promise<boolean | undefined> {
    const key = this.#keys.holder(sessionId)
    const stored = await this.#holder(sessionId)
    if (stored === undefined) return undefined
    const known = endedAttempt(stored ?? '') ?? -1
    if (known >= 0 && boundTo !== '' && endedOnNode(stored ?? '') !== boundTo) return true
    const only = boundTo === '' ? '' : `@${boundTo}`
    const end = `-|${Math.max(attempt, known)}${only} released`
    const args = [end, LONGEST_TTL_MS]
    const noted = await this.#ask(key, () => this.#executor.scripts.endClaim([key], args))
    return noted === undefined ? undefined : noted === 1
  }

  /** Gives up a claim that led to no lease: the index says what it said before. */
  async giveUp (sessionId: string, { fresh, replaced }: Claimed): Promise<void> {
    const key = this.#keys.holder(sessionId)
    const { client } = this.#executor
    if (fresh) await this.#ask(key, () => client.del(key))
    if (replaced === undefined) return
    const { stored, leftMs } = replaced
    await this.#ask(key, () => client.set(key, stored, 'PX', leftMs))
  }

  /** Remembers whose an id was that has ended, for as long as its end is remembered. */
  async remember (sessionId: string): Promise<void> {
    await this.#keepEnded(this.#keys.holder(sessionId))
  }

  /** The same if it has ended, and not only a later attempt of the user's was seen. */
  async rememberEnded (sessionId: string, username: string): Promise<void> {
    const key = this.#keys.lease(username, sessionId)
    const { client } = this.#executor
    const record = await this.#ask(key, () => this.#executor.or(null, client.get(key)))
    if (endedAttempt(record ?? '') !== undefined) await this.remember(sessionId)
  }

  /** A late try with an id that has ended starts the time anew for which that is remembered. */
  async remindEnded (sessionId: string, holder: string): Promise<void> {
    await Promise.all([
      this.remember(sessionId),
      this.#keepEnded(this.#keys.lease(holder, sessionId))
    ])
  }

  async #keepEnded (key: string): Promise<void> {
    await this.#ask(key, () => this.#executor.client.pexpire(key, ENDED_MEMORY_MS, 'GT'))
  }

  /** Notes on which nodes sessions are, until their leases would end. */
  async arrive (...leases: Lease[]): Promise<void> {
    for (const [node, onNode] of byNode(leases, (lease) => lease.node)) {
      await this.#arrive(node, onNode.map((lease) => [lease.expiresMs, lease]))
    }
  }

  /** The same for leases of which it is known how long they last yet. */
  async arriveAgain (leases: HeldLease[]): Promise<void> {
    for (const [node, onNode] of byNode(leases, ({ lease }) => lease.node)) {
      const key = this.#keys.nodeLeases(node)
      const nowMs = await this.#reach.ask(key, () => this.#executor.nowMs(key), true)
      if (nowMs === undefined) continue
      await this.#arrive(
        node,
        onNode.map(({ lease, remainingMs }) => [nowMs + remainingMs, lease])
      )
    }
  }

  async #arrive (
    node: string,
    ends: Array<[endMs: number, lease: Omit<Lease, 'expiresMs'>]>
  ): Promise<void> {
    const key = this.#keys.nodeLeases(node)
    for (let i = 0; i < ends.length; i += ARRIVALS_AT_ONCE) {
      const words = ends
        .slice(i, i + ARRIVALS_AT_ONCE)
        .flatMap(([endMs, { username, sessionId }]) => [endMs, `${username} ${sessionId}`])
      await this.#ask(key, () => this.#executor.client.zadd(key, ...words))
    }
  }

  /** A session is no longer on its node. */
  async leave (sessionId: string, username: string, node: string): Promise<void> {
    if (node === '') return
    const key = this.#keys.nodeLeases(node)
    await this.#ask(key, () => this.#executor.client.zrem(key, `${username} ${sessionId}`))
  }
}

/** What is on each node; what is on none is left out. */
function byNode<T> (items: T[], nodeOf: (item: T) => string): Map<string, T[]> {
  const found = new Map<string, T[]>()
  for (const item of items) {
    const node = nodeOf(item)
    const others = found.get(node)
    if (others !== undefined) others.push(item)
    else if (node !== '') found.set(node, [item])
  }
  return found
}
