/**
 * What a Redis Cluster cannot do within one script: find a session's user by its id, and a node's sessions, for those
 * keys lie in other slots than the user's. Kept beside the scripts, in the same round trip, and never decided by alone.
 */
import type { RedisGate } from '../redis/redis-gate.ts'
import type { RedisKeys } from '../redis/redis-keys.ts'
import { RECORD_GRACE_MS } from './timing.ts'

/** The index of sessions by id and by node. */
export class ClusterIndex {
  #gate: RedisGate
  #keys: RedisKeys

  constructor (gate: RedisGate, keys: RedisKeys) {
    this.#gate = gate
    this.#keys = keys
  }

  /** Whose session an id is, as far as the index knows. */
  async holderOf (sessionId: string): Promise<string | undefined> {
    return await this.#gate.ask(this.#gate.client.get(this.#keys.holder(sessionId))) ?? undefined
  }

  /** Notes an id for a user unless it is another's; returns whose it was before, if anybody's. */
  async claim (sessionId: string, username: string, ttlMs: number): Promise<string | undefined> {
    const { client } = this.#gate
    return await this.#gate.ask(client.set(this.#keys.holder(sessionId), username, 'PX', ttlMs + RECORD_GRACE_MS, 'NX', 'GET')) ?? undefined
  }

  /** Notes whose a session is and on which node, until its lease would end. */
  async note (sessionId: string, username: string, node: string, ttlMs: number): Promise<void> {
    const { client } = this.#gate
    await this.#gate.ask(Promise.all([
      client.set(this.#keys.holder(sessionId), username, 'PX', ttlMs + RECORD_GRACE_MS),
      node === '' ? undefined : this.#gate.nowMs().then(async (now) => await client.zadd(this.#keys.nodeLeases(node), now + ttlMs, `${username} ${sessionId}`))
    ]))
  }

  /** A session is no longer on its node. */
  async leave (sessionId: string, username: string, node: string): Promise<void> {
    if (node !== '') await this.#gate.ask(this.#gate.client.zrem(this.#keys.nodeLeases(node), `${username} ${sessionId}`))
  }
}
