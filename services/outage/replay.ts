/** Tells a part of Redis, when it is back, what it missed: gently, in batches, a few at a time. */
import { setImmediate } from 'node:timers/promises'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import type { Reach } from '../redis/reach.ts'
import type { HeldLease } from '../sessions/lease.ts'
import type { Outcomes } from '../sessions/outcomes.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import { forEachLimit } from '../util/for-each-limit.ts'
import { askRestore, BATCH, batchesByUser, batchesOf, inBatches, usersIn } from './batches.ts'
import type { LeaseMirror } from './lease-mirror.ts'
import type { Message, Outbox, SessionMessage } from './outbox.ts'
import type { Part } from './shard.ts'
import { ENDED_BEFORE, endUserAgain, keyFor, observe, tellEnd } from './tell-end.ts'
import { tellNode } from './tell-node.ts'
import { isUnavailable } from './unavailable.ts'

/** How many batches are under way at once. */
const CONCURRENCY = 2
/** The same in a cluster, where a batch is of one user and so a small one. */
const CLUSTER_CONCURRENCY = 16

/** How often what was decided meanwhile is caught up with before everybody has to wait for it. */
const CATCH_UP_ROUNDS = 20

/** How many sessions Redis was told of. */
interface Told {
  ended: number
  restored: number
}

/** What a replay is made of. */
export interface ReplayParts {
  executor: RedisExecutor
  keys: RedisKeys
  /** Reaches a part that is being told what it missed, too. */
  reach: Reach
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
   * @param part - what is back
   * @param sinceMs - to when it knows all that this replica does, by the clock of the mirror
   * @returns how many of each were told
   * @throws ServiceError `store_unavailable`: what was not told yet is kept
   */
  async run (part: Part, sinceMs: number): Promise<Told> {
    const told = { ended: 0, restored: 0 }
    this.#parts.outbox.trackUp()
    await this.#end(part, told)
    const isEmpty = sinceMs === -Infinity
    if (!isEmpty) await this.#endAgain(part, sinceMs, told)
    await this.#restoreSince(part, sinceMs, told)
    if (isEmpty) await this.#endAgain(part, sinceMs, told)
    if (this.#parts.keys.cluster) await this.#index(part, sinceMs)
    for (let round = 0; round < CATCH_UP_ROUNDS; round++) {
      if ((await this.#catchUp(part, told)) < BATCH) break
    }
    return told
  }

  async #restoreSince (part: Part, sinceMs: number, told: Told): Promise<void> {
    const { keys, mirror } = this.#parts
    const isHere = (username: string) => part.holds(this.#userKey(username))
    const users = keys.cluster ? await usersIn(mirror, isHere) : []
    const batches = keys.cluster
      ? batchesOf(users, (username) => mirror.untoldOf(username, sinceMs))
      : inBatches(mirror.untoldSince(sinceMs))
    await forEachLimit(batches, keys.cluster ? CLUSTER_CONCURRENCY : CONCURRENCY, async (batch) => {
      await this.#restore(part, batch)
      told.restored += batch.length
    })
  }

  /** Tells what has ended since then. */
  async #endAgain (part: Part, sinceMs: number, told: Told): Promise<void> {
    const { keys, mirror } = this.#parts
    for (const [user, { ordinary, all }] of mirror.userEnds.since(sinceMs, mirror.now())) {
      const key = this.#userKey(user)
      if (!part.holds(key)) continue
      await this.#at(part, key, async () => {
        await endUserAgain(this.#parts, user, ordinary, false)
        if (all !== undefined) await endUserAgain(this.#parts, user, all, true)
      })
    }
    const ends: Array<[sessionId: string, message: Message]> = []
    for (const [sessionId, ended] of mirror.endedSince(sinceMs)) {
      const { ended: _ended, expiresMs: _expiresMs, onlyNode: boundTo, ...about } = ended
      const message = { kind: 'ended' as const, reason: ENDED_BEFORE, boundTo, ...about }
      if (part.holds(keyFor(keys, sessionId, message))) ends.push([sessionId, message])
    }
    await forEachLimit(ends, BATCH, async ([sessionId, message]) => {
      await this.#tellEndIn(part, sessionId, message)
      told.ended++
    })
  }

  /**
   * Notes in the index of a part which sessions are up: those of all users, whose own parts need
   * not have been out.
   */
  async #index (part: Part, sinceMs: number): Promise<void> {
    const { keys, mirror, store } = this.#parts
    const others = await usersIn(mirror, (username) => !part.holds(this.#userKey(username)))
    for (const batch of batchesOf(others, (username) => mirror.untoldOf(username, sinceMs))) {
      const found = batch.filter(({ lease: { sessionId, node } }) =>
        part.holds(keys.holder(sessionId)) || part.holds(keys.nodeLeases(node)))
      if (found.length === 0) continue
      const refused = await store.claimForRestore(found)
      for (const [i, held] of found.entries()) {
        if (refused[i] === 'ended') await this.#endRefused(part, held)
      }
      await store.noteRestored(found.filter((_one, i) => refused[i] === undefined))
    }
  }

  /** Ends a session that was ended by its id alone, when nobody could tell whose it was. */
  async #endRefused (part: Part, { lease: { sessionId, username, attempt }, boundTo }: HeldLease) {
    const { mirror } = this.#parts
    mirror.forget(sessionId, { username, attempt }, boundTo)
    const end = { kind: 'ended' as const, username, attempt, reason: ENDED_BEFORE }
    const bound = boundTo !== '' && { boundTo }
    await this.#tellEndIn(part, sessionId, { ...end, ...bound, endedMs: mirror.now() })
  }

  /** Tells what was decided since `run`, until there is nothing left. */
  async settle (part: Part): Promise<void> {
    // Whoever was let through before this began has noted what came of it by then.
    await setImmediate()
    const told = { ended: 0, restored: 0 }
    while ((await this.#catchUp(part, told)) > 0);
    this.#parts.outbox.forgetUp()
  }

  /** Tells what Redis refused before though it was not away: a right may have been missing. */
  async tellRefused (part: Part): Promise<void> {
    const { refused } = this.#parts.outbox
    const ids = [...refused.keys()]
    await this.#catchUp(part, { ended: 0, restored: 0 }, ids)
    for (const id of ids) refused.delete(id)
  }

  async #catchUp (part: Part, told: Told, ids?: string[]): Promise<number> {
    const { keys, mirror, outbox } = this.#parts
    const before = told.ended + told.restored
    await this.#end(part, told)
    const up = (ids ?? outbox.takeUp()).flatMap((id) => mirror.mirroredOf(id) ?? [])
    const held = up.filter(({ lease }) => part.holds(this.#userKey(lease.username)))
    for (const batch of keys.cluster ? batchesByUser(held) : inBatches(held)) {
      await this.#restore(part, batch)
      told.restored += batch.length
    }
    return told.ended + told.restored - before
  }

  async #end (part: Part, told: Told): Promise<void> {
    const { keys, outbox } = this.#parts
    const isFor = (id: string, message: Message) => part.holds(keyFor(keys, id, message))
    for (;;) {
      const batch = outbox.take(BATCH, isFor)
      if (batch.length === 0) return
      await Promise.all(
        batch.map(async ([sessionId, message]) => {
          await this.#tellEndIn(part, sessionId, message)
          told.ended++
        })
      )
    }
  }

  #userKey (username: string): string {
    return this.#parts.keys.user('user-leases', username)
  }

  /** Works on a key. Where it turns out not to lie in this part any more, another tells it. */
  async #at (part: Part, key: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!isUnavailable(error)) throw error
      part.failed(key, error)
      if (part.holds(key) || !part.serves) throw error
    }
  }

  /** Tells an end, or leaves it for the part that its user turns out to lie in. */
  async #tellEndIn (part: Part, sessionId: string, message: Message): Promise<void> {
    const { keys, outbox } = this.#parts
    await this.#at(part, keyFor(keys, sessionId, message), async () => {
      if (message.kind === 'node') await tellNode(this.#parts, part, message)
      else if (!(await this.#tellEnd(part, sessionId, message))) return
      outbox.settle(sessionId, message)
    })
  }

  /** @returns false where it is left */
  async #tellEnd (part: Part, sessionId: string, message: SessionMessage): Promise<boolean> {
    const { store, outbox } = this.#parts
    const holder = message.username ?? ((await store.holderOf(sessionId)) || undefined)
    if (holder !== undefined && part.isOut(this.#userKey(holder))) {
      if (message.kind === 'ended') outbox.put(sessionId, { ...message, username: holder })
      return false
    }
    await tellEnd(this.#parts, sessionId, message)
    return true
  }

  async #restore (part: Part, batch: HeldLease[]): Promise<void> {
    const key = this.#userKey(batch[0]?.lease.username ?? '')
    await this.#at(part, key, async () => await this.#restoreBatch(part, batch))
  }

  async #restoreBatch (part: Part, batch: HeldLease[]): Promise<void> {
    const { executor, keys, store, mirror } = this.#parts
    const refused = await store.claimForRestore(batch)
    const claimed = batch.filter((_one, i) => refused[i] === undefined)
    const outcomes = await askRestore(executor, keys, claimed)
    const restored = claimed.filter((_one, i) => outcomes[i] === 'restored')
    for (const held of restored) mirror.told(held)
    const rest = batch.flatMap((_one, i) => refused[i] ?? [])
    const known = [...outcomes, ...rest]
    const inOrder = [...claimed, ...batch.filter((_one, i) => refused[i] !== undefined)]
    inOrder.forEach(({ lease: { sessionId, username, attempt }, boundTo }, i) => {
      const what = known[i] ?? 'conflict'
      if (what === 'ended') mirror.forget(sessionId, { username, attempt }, boundTo)
      // It is somebody else's, and has not ended.
      if (what === 'conflict') mirror.lapse(sessionId)
      observe(this.#parts, what, sessionId, username, 'replay after an outage')
    })
    for (const [i, held] of batch.entries()) {
      if (refused[i] === 'ended') await this.#endRefused(part, held)
    }
    await store.noteRestored(restored)
  }
}
