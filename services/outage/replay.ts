/** Tells Redis, when it is back, what it missed: gently, in batches, a few at a time. */
import { setImmediate } from 'node:timers/promises'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { outcomeOf } from '../redis/script-outcomes.ts'
import type { Script } from '../redis/scripts.ts'
import type { HeldLease } from '../sessions/lease.ts'
import type { Outcome, Outcomes } from '../sessions/outcomes.ts'
import { encodeRest } from '../sessions/redis/lease-record.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import { RECORD_GRACE_MS } from '../sessions/timing.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import type { LeaseMirror } from './lease-mirror.ts'
import type { Message, Outbox } from './outbox.ts'

/** How many sessions one batch holds. */
const BATCH = 200
/** How many batches are under way at once. */
const CONCURRENCY = 2
/** The same in a cluster, where a batch is of one user and so a small one. */
const CLUSTER_CONCURRENCY = 16

/** How often what was decided meanwhile is caught up with before everybody has to wait for it. */
const CATCH_UP_ROUNDS = 20

/** Why a slot is given back that may have been taken for a caller who was refused. */
const UNANSWERED = 'acquire without an answer'
/** Why a session lost its slot. */
const MISSING = 'missing on its node'

type Replayed = Extract<Outcome['what'], 'restored' | 'conflict' | 'ended' | 'released'>

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
   * Ends first, so that what was released does not return; then every lease that is live here; then
   * what was decided meanwhile, but for a little, which `settle` tells.
   * @param endedWithinMs - Redis is told again what ended within this time: it may have lost it, or
   * never have had it
   * @returns how many of each were told
   * @throws ServiceError `store_unavailable`: what was not told yet is kept
   */
  async run (endedWithinMs: number): Promise<Told> {
    const { keys, mirror, outbox } = this.#parts
    const told = { ended: 0, restored: 0 }
    outbox.trackUp()
    await this.#end(told)
    for (const [id, ended] of mirror.endedIds(endedWithinMs)) {
      const { username, attempt, onlyNode: boundTo } = ended
      outbox.put(id, { kind: 'ended', username, reason: 'ended before', attempt, boundTo })
    }
    const atOnce = keys.cluster ? CLUSTER_CONCURRENCY : CONCURRENCY
    await forEachLimit(this.#batches(mirror.mirrored()), atOnce, async (batch) => {
      await this.#restore(batch)
      told.restored += batch.length
    })
    for (let round = 0; round < CATCH_UP_ROUNDS; round++) {
      if ((await this.#catchUp(told)) < BATCH) break
    }
    return told
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
      const { username: known, attempt, node, reason, boundTo } = message
      const request = { sessionId, username: known, attempt, node, reason, boundTo }
      const result = await store.release(request)
      if (result.outcome === 'released') {
        this.#observe('released', sessionId, result.username, reason)
      }
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
    const { executor, store, mirror } = this.#parts
    const codes = (await executor.run(
      executor.scripts.restore(...restoreArguments(this.#parts.keys, batch))
    )) as number[]
    const outcomes = codes.map((code) => outcomeOf(code) as Replayed)
    batch.forEach(({ lease: { sessionId, username, attempt } }, i) => {
      const what = outcomes[i] ?? 'conflict'
      if (what !== 'restored') mirror.forget(sessionId, username, attempt)
      this.#observe(what, sessionId, username, 'replay after an outage')
    })
    await store.noteRestored(batch.filter((_one, i) => outcomes[i] === 'restored'))
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

/** Keys and arguments of restore.lua. */
function restoreArguments (keys: RedisKeys, batch: HeldLease[]): Parameters<Script> {
  const list: string[] = []
  const args: Array<string | number> = [RECORD_GRACE_MS, keys.nodeLeasesPrefix]
  for (const { lease, remainingMs } of batch) {
    const { sessionId, username, attempt, startedMs, node, details } = lease
    list.push(keys.lease(username, sessionId), keys.user('user-leases', username))
    args.push(username, sessionId, remainingMs, startedMs, node, encodeRest(details, attempt))
  }
  return [list, args]
}

function * inBatches (sessions: Iterable<HeldLease>): Generator<HeldLease[]> {
  let batch: HeldLease[] = []
  for (const session of sessions) {
    if (batch.push(session) < BATCH) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Batches of one user each. */
function * batchesByUser (sessions: Iterable<HeldLease>): Generator<HeldLease[]> {
  const byUser = new Map<string, HeldLease[]>()
  for (const session of sessions) {
    const { username } = session.lease
    const others = byUser.get(username)
    if (others === undefined) byUser.set(username, [session])
    else others.push(session)
  }
  for (const one of byUser.values()) yield * inBatches(one)
}
