/** Tells Redis, when it is back, what it missed: gently, in batches, a few at a time. */
import type { RedisGate } from '../redis/redis-gate.ts'
import type { RedisKeys } from '../redis/redis-keys.ts'
import { encodeDetails } from '../sessions/lease-record.ts'
import type { MemorySessionStore, Mirrored } from '../sessions/memory-session-store.ts'
import type { RedisSessionStore } from '../sessions/redis-session-store.ts'
import { RECORD_GRACE_MS } from '../sessions/timing.ts'
import type { Outbox } from './outbox.ts'

/** How many sessions one batch holds. */
const BATCH = 200
/** How many batches are under way at once. */
const CONCURRENCY = 2

/** Puts the mirror's leases and the outbox into Redis. */
export class Replay {
  #gate: RedisGate
  #keys: RedisKeys
  #store: RedisSessionStore
  #mirror: MemorySessionStore
  #outbox: Outbox

  constructor (gate: RedisGate, keys: RedisKeys, store: RedisSessionStore, mirror: MemorySessionStore, outbox: Outbox) {
    this.#gate = gate
    this.#keys = keys
    this.#store = store
    this.#mirror = mirror
    this.#outbox = outbox
  }

  /**
   * Ends first, so that what was released does not return; then every lease that is live here.
   * @returns how many of each were told
   * @throws ServiceError `store_unavailable`: what was not told yet is kept
   */
  async run (): Promise<{ ended: number, restored: number }> {
    const told = { ended: 0, restored: 0 }
    while (this.#outbox.size > 0) {
      const messages = this.#outbox.take(BATCH)
      await Promise.all(messages.map(async ([sessionId, message]) => {
        await (message.kind === 'ended'
          ? this.#store.endUnknown(sessionId, message.username, message.reason)
          : this.#store.undoAcquire(sessionId, message.username, message.ttlMs))
        this.#outbox.settle(sessionId, message)
        told.ended++
      }))
    }
    const batches = inBatches(this.#mirror.mirrored(), BATCH, this.#keys.cluster)
    const worker = async () => {
      for (const batch of batches) {
        await this.#restore(batch)
        told.restored += batch.length
      }
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, worker))
    return told
  }

  async #restore (batch: Mirrored[]): Promise<void> {
    const keys: string[] = []
    const args: Array<string | number> = [RECORD_GRACE_MS, this.#keys.nodeLeasesPrefix]
    for (const { sessionId, lease, remainingMs } of batch) {
      keys.push(this.#keys.lease(lease.username, sessionId), this.#keys.user('user-leases', lease.username))
      args.push(lease.username, sessionId, Math.ceil(remainingMs), lease.startedMs, lease.node, encodeDetails(lease.details))
    }
    const codes = await this.#gate.ask(this.#gate.scripts.restore(keys, args)) as number[]
    codes.forEach((code, i) => { if (code !== 1) this.#mirror.forget(batch[i]?.sessionId ?? '') })
  }
}

/** Batches of sessions; in a cluster each is of one user, whose keys share a slot. */
function * inBatches (sessions: Iterable<Mirrored>, size: number, byUser: boolean): Generator<Mirrored[]> {
  let batch: Mirrored[] = []
  for (const session of sessions) {
    if (batch.length === size || (byUser && batch[0] !== undefined && batch[0].lease.username !== session.lease.username)) {
      yield batch
      batch = []
    }
    batch.push(session)
  }
  if (batch.length > 0) yield batch
}
