/** Tells Redis, when it is back, what it missed: gently, in batches, a few at a time. */
import { setImmediate } from 'node:timers/promises'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { outcomeOf } from '../redis/script-outcomes.ts'
import type { HeldLease } from '../sessions/lease.ts'
import type { Outcome, Outcomes } from '../sessions/outcomes.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import { BATCH, batchesByUser, inBatches, restoreArguments } from './batches.ts'
import type { LeaseMirror } from './lease-mirror.ts'
import type { Message, Outbox } from './outbox.ts'

/** How many batches are under way at once. */
const CONCURRENCY = 2
/** The same in a cluster, where a batch is of one user and so a small one. */
const CLUSTER_CONCURRENCY = 16

/** How often what was decided meanwhile is caught up with before everybody has to wait for it. */
const CATCH_UP_ROUNDS = 20

/** Why a slot is given back that may have been taken for a caller who was refused. */
const UNANSWERED = 'acquire without an answer'
/** Why a session is ended that had ended before, as far as is known here. */
const ENDED_BEFORE = 'ended before'
/** Why a session lost its slot. */
const MISSING = 'missing on its node'

type Replayed = Extract<
  Outcome['what'],
  'restored' | 'conflict' | 'ended' | 'released' | 'terminated'
>

/** How many sessions Redis was told of. */
interface Told {
  ended: number
  restored: number
}

/** What a replay is made of. */
export interface ReplayParts {
  executor: RedisExecutor
  keys: RedisKeys
  store: RedisSessionStore
  mirror: LeaseMirror
  outbox: Outbox
  outcomes: Outcomes
}

/** Puts the mirror's leases and the outbox into Redis. */
export class Replay {
  #parts: ReplayParts

  constructor (parts: ReplayParts) {
    this.#parts = parts
  }

  /**
   * Ends first, so that what was released does not return; then every lease that is live here and
   * that Redis may not have as it is; then what was decided meanwhile, but for a little, which
   * `settle` tells. Where Redis has lost all of it, leases come before the ends of old: there may
   * be very many of those.
   * @param sinceMs - to when Redis knows all that this replica does, by the clock of the mirror
   * @returns how many of each were told
   * @throws ServiceError `store_unavailable`: what was not told yet is kept
   */
  async run (sinceMs: number): Promise<Told> {
    const told = { ended: 0, restored: 0 }
    this.#parts.outbox.trackUp()
    await this.#end(told)
    const isEmpty = sinceMs === -Infinity
    if (!isEmpty) await this.#endAgain(sinceMs, told)
    await this.#restoreSince(sinceMs, told)
    if (isEmpty) await this.#endAgain(sinceMs, told)
    for (let round = 0; round < CATCH_UP_ROUNDS; round++) {
      if ((await this.#catchUp(told)) < BATCH) break
    }
    return told
  }

  async #restoreSince (sinceMs: number, told: Told): Promise<void> {
    const { keys, mirror } = this.#parts
    const atOnce = keys.cluster ? CLUSTER_CONCURRENCY : CONCURRENCY
    await forEachLimit(this.#batches(mirror.untoldSince(sinceMs)), atOnce, async (batch) => {
      await this.#restore(batch)
      told.restored += batch.length
    })
  }

  /** Tells what has ended since then. */
  async #endAgain (sinceMs: number, told: Told): Promise<void> {
    const { store, mirror } = this.#parts
    for (const [username, { ordinaryMs, allMs }] of mirror.userEnds.since(sinceMs, mirror.now())) {
      await store.endUser(username, ENDED_BEFORE, false, ordinaryMs)
      if (allMs > 0) await store.endUser(username, ENDED_BEFORE, true, allMs)
    }
    await forEachLimit(mirror.endedSince(sinceMs), BATCH, async ([sessionId, ended]) => {
      const { ended: _ended, expiresMs: _expiresMs, onlyNode: boundTo, ...about } = ended
      await this.#tellEnd(sessionId, { kind: 'ended', reason: ENDED_BEFORE, boundTo, ...about })
      told.ended++
    })
  }

  /** Tells what was decided since `run`, until there is nothing left. */
  async settle (): Promise<void> {
    // Whoever was let through before this began has noted what came of it by then.
    await setImmediate()
    const told = { ended: 0, restored: 0 }
    while ((await this.#catchUp(told)) > 0);
    this.#parts.outbox.forgetUp()
  }

  async #catchUp (told: Told): Promise<number> {
    const { mirror, outbox } = this.#parts
    const before = told.ended + told.restored
    await this.#end(told)
    const up = outbox.takeUp().flatMap((id) => mirror.mirroredOf(id) ?? [])
    for (const batch of this.#batches(up)) {
      await this.#restore(batch)
      told.restored += batch.length
    }
    return told.ended + told.restored - before
  }

  async #end (told: Told): Promise<void> {
    const { outbox } = this.#parts
    while (outbox.size > 0) {
      await Promise.all(
        outbox.take(BATCH).map(async ([sessionId, message]) => {
          await this.#tellEnd(sessionId, message)
          outbox.settle(sessionId, message)
          told.ended++
        })
      )
    }
  }

  async #tellEnd (sessionId: string, message: Message): Promise<void> {
    const { store } = this.#parts
    if (message.kind === 'ended') {
      const { kind: _kind, ...end } = message
      const request = { sessionId, attempt: undefined, node: undefined, ...end }
      const { reason } = end
      const result = await store.release(request)
      if (result.outcome === 'released') {
        this.#observe('released', sessionId, result.username, reason)
      }
      return
    }
    if (message.kind === 'user_ended') {
      const { username, reason, includeEmergency, atMs } = message
      const { leases } = await store.endUser(username, reason, includeEmergency, atMs)
      for (const one of leases) this.#observe('terminated', one.sessionId, username, reason)
      return
    }
    if (message.kind === 'lapsed') {
      const { username, node } = message
      await store.releaseFrom(username, sessionId, MISSING, { node, lapses: true })
      return
    }
    const { username, ttlMs } = message
    const { outcome } = await store.releaseFrom(username, sessionId, UNANSWERED, {
      untouchedTtlMs: ttlMs,
      lapses: true
    })
    if (outcome === 'released') this.#observe('released', sessionId, username, UNANSWERED)
  }

  async #restore (batch: HeldLease[]): Promise<void> {
    const { store, mirror } = this.#parts
    const refused = await store.claimForRestore(batch)
    const claimed = batch.filter((_one, i) => refused[i] === undefined)
    const outcomes = await this.#askRestore(claimed)
    const restored = claimed.filter((_one, i) => outcomes[i] === 'restored')
    for (const held of restored) mirror.told(held)
    const rest = batch.flatMap((_one, i) => refused[i] ?? [])
    const known = [...outcomes, ...rest]
    const inOrder = [...claimed, ...batch.filter((_one, i) => refused[i] !== undefined)]
    inOrder.forEach(({ lease: { sessionId, username, attempt } }, i) => {
      const what = known[i] ?? 'conflict'
      if (what !== 'restored') mirror.forget(sessionId, { username, attempt })
      this.#observe(what, sessionId, username, 'replay after an outage')
    })
    await store.noteRestored(restored)
  }

  async #askRestore (batch: HeldLease[]): Promise<Replayed[]> {
    if (batch.length === 0) return []
    const { executor, keys } = this.#parts
    const codes = (await executor.run(
      executor.scripts.restore(...restoreArguments(keys, batch))
    )) as number[]
    return codes.map((code) => outcomeOf(code) as Replayed)
  }

  #observe (what: Replayed, sessionId: string, username = '', reason = ''): void {
    const { outcomes } = this.#parts
    if (!outcomes.observed) return
    const about = { sessionId, username, node: undefined, by: 'replay' as const, reason }
    outcomes.tell({ what, ...about, degraded: false })
  }

  /** In a cluster each batch is of one user, whose keys share a slot. */
  #batches (sessions: Iterable<HeldLease>): Generator<HeldLease[]> {
    return this.#parts.keys.cluster ? batchesByUser(sessions) : inBatches(sessions)
  }
}
