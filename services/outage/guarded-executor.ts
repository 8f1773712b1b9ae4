/**
 * An executor for what has to wait until Redis is back: lists, sweeps, the policy. While all of
 * Redis is out, no command is sent. A failure here concerns nobody else: it opens no breaker.
 */
import { RedisExecutor } from '../redis/executor.ts'
import { redisAway } from './retry-once.ts'
import type { Shards } from './shards.ts'

/** Refuses with a ServiceError `store_unavailable` while every part of Redis is out. */
export class GuardedExecutor extends RedisExecutor {
  #shards: Pick<Shards, 'allOpen'>

  constructor ({ client, deadlineMs, clock }: RedisExecutor, shards: Pick<Shards, 'allOpen'>) {
    super(client, deadlineMs, clock)
    this.#shards = shards
  }

  override get client () {
    if (this.#shards.allOpen) throw redisAway()
    return super.client
  }

  override get scripts () {
    if (this.#shards.allOpen) throw redisAway()
    return super.scripts
  }
}
