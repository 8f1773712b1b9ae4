/** Tells Redis, when it is back, what it missed: gently, in batches, a few at a time. */
import { setImmediate } from 'node:timers/promises'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { encodeDetails } from '../sessions/redis/lease-record.ts'
import type { MemorySessionStore, Mirrored } from '../sessions/memory/memory-session-store.ts'
import type { RedisSessionStore } from '../sessions/redis/redis-session-store.ts'
import { RECORD_GRACE_MS } from '../sessions/timing.ts'
import type { Outbox } from './outbox.ts'

/** How many sessions one batch holds. */
const BATCH = 200
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

/** Puts the mirror's leases and the outbox into Redis. */
export class Replay {
  #executor: RedisExecutor
  #keys: RedisKeys
  #store: RedisSessionStore
  #mirror: MemorySessionStore
  #outbox: Outbox

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    store: RedisSessionStore,
    mirror: MemorySessionStore,
    outbox: Outbox
  ) {
    this.#executor = executor
    this.#keys = keys
    this.#store = store
    this.#mirror = mirror
    this.#outbox = outbox
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
    const told = { ended: 0, restored: 0 }
    this.#outbox.trackUp()
    await this.#end(told)
    for (const [id, username] of this.#mirror.endedIds(endedWithinMs)) {
      this.#outbox.put(id, { kind: 'ended', username, reason: 'ended before' })
    }
    const { cluster } = this.#keys
    const batches = cluster
      ? batchesByUser(this.#mirror.mirrored())
      : inBatches(this.#mirror.mirrored())
    const worker = async () => {
      for (const batch of batches) {
        await this.#restore(batch)
        told.restored += batch.length
      }
    }
    await Promise.all(Array.from({ length: cluster ? CLUSTER_CONCURRENCY : CONCURRENCY }, worker))
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
    this.#outbox.forgetUp()
  }

  async #catchUp (told: Told): Promise<number> {
    const before = told.ended + told.restored
    await this.#end(told)
    const up = this.#outbox.takeUp().flatMap((id) => this.#mirror.mirroredOf(id) ?? [])
    for (const batch of this.#keys.cluster ? batchesByUser(up) : inBatches(up)) {
      await this.#restore(batch)
      told.restored += batch.length
    }
    return told.ended + told.restored - before
  }

  async #end (told: Told): Promise<void> {
    while (this.#outbox.size > 0) {
      const messages = this.#outbox.take(BATCH)
      await Promise.all(
        messages.map(async ([sessionId, message]) => {
          await (message.kind === 'ended'
            ? this.#store.endUnknown(sessionId, message.username, message.reason)
            : this.#store.undoAcquire(sessionId, message.username, message.ttlMs))
          this.#outbox.settle(sessionId, message)
          told.ended++
        })
      )
    }
  }

  async #restore (batch: Mirrored[]): Promise<void> {
    const keys: string[] = []
    const args: Array<string | number> = [RECORD_GRACE_MS, this.#keys.nodeLeasesPrefix]
    for (const { sessionId, lease, remainingMs } of batch) {
      keys.push(
        this.#keys.lease(lease.username, sessionId),
        this.#keys.user('user-leases', lease.username)
      )
      args.push(
        lease.username,
        sessionId,
        Math.ceil(remainingMs),
        lease.startedMs,
        lease.node,
        encodeDetails(lease.details)
      )
    }
    const codes = (await this.#executor.run(this.#executor.scripts.restore(keys, args))) as number[]
    codes.forEach((code, i) => {
      if (code !== 1) this.#mirror.forget(batch[i]?.sessionId ?? '')
    })
    await this.#store.noteRestored(batch.filter((_one, i) => codes[i] === 1))
  }
}

function * inBatches (sessions: Iterable<Mirrored>): Generator<Mirrored[]> {
  let batch: Mirrored[] = []
  for (const session of sessions) {
    if (batch.push(session) < BATCH) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Batches of one user each, whose keys share a slot in a cluster. */
function * batchesByUser (sessions: Iterable<Mirrored>): Generator<Mirrored[]> {
  const byUser = new Map<string, Mirrored[]>()
  for (const session of sessions) {
    const { username } = session.lease
    const others = byUser.get(username)
    if (others === undefined) byUser.set(username, [session])
    else others.push(session)
  }
  for (const one of byUser.values()) yield * inBatches(one)
}
