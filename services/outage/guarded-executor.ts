/**
 * An executor for what has to wait until Redis is back: lists, sweeps, the policy. While the
 * breaker is open, no command is sent. A failure here concerns nobody else: it does not open the
 * breaker.
 */
import { RedisExecutor } from '../redis/executor.ts'
import type { Breaker } from './breaker.ts'
import { redisAway } from './retry-once.ts'

/** Refuses with a ServiceError `store_unavailable` while the breaker is open. */
export class GuardedExecutor extends RedisExecutor {
  #breaker: Breaker

  constructor ({ client, deadlineMs }: RedisExecutor, breaker: Breaker) {
    super(client, deadlineMs)
    this.#breaker = breaker
  }

  override get client () {
    if (this.#breaker.open) throw redisAway()
    return super.client
  }

  override get scripts () {
    if (this.#breaker.open) throw redisAway()
    return super.scripts
  }
}
