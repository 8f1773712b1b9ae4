/** Sessions in Redis: the switch's own sets, read and swept but never written otherwise. */
import type { LimitsStore, PageRequest } from '../limits/limits-store.ts'
import type { Oddities } from '../oddities.ts'
import type { RedisGate } from '../redis/redis-gate.ts'
import type { RedisKeys } from '../redis/redis-keys.ts'
import { scanAll, scanPage, type ScanList } from '../redis/redis-scan.ts'
import { toCount } from './count.ts'
import { GhostSweep } from './ghost-sweep.ts'
import type { CountEntry, SessionStore } from './session-store.ts'

/** Knows sessions from Redis. */
export class RedisSessionStore implements SessionStore {
  #gate: RedisGate
  #keys: RedisKeys
  #limits: LimitsStore
  #oddities: Oddities
  #sweep: GhostSweep

  constructor (gate: RedisGate, keys: RedisKeys, limits: LimitsStore, oddities: Oddities) {
    this.#gate = gate
    this.#keys = keys
    this.#limits = limits
    this.#oddities = oddities
    this.#sweep = new GhostSweep(gate, keys)
  }

  async getCount (username: string) {
    const [limit, external] = await Promise.all([this.#limits.getLimit(username), this.#external(username)])
    return toCount(limit, 0, external)
  }

  async listCounts ({ cursor, count }: PageRequest) {
    return await scanPage(this.#gate, this.#list(), cursor, count)
  }

  allCounts () {
    return scanAll(this.#gate, this.#list())
  }

  async sweepGhosts () {
    return await this.#sweep.run()
  }

  async claimSweep (forMs: number) {
    // Held a little shorter than the interval, so that the same replica can claim it again next time.
    return await this.#gate.ask(this.#gate.client.set(this.#keys.sweepLock, '1', 'PX', Math.ceil(forMs * 0.9), 'NX')) === 'OK'
  }

  #list (): ScanList<CountEntry> {
    return {
      pattern: this.#keys.pattern('user-sessions'),
      nameOf: (key) => this.#keys.usernameOf('user-sessions', key),
      load: async (names) => {
        const counts = await Promise.all(names.map((name) => this.#external(name)))
        return names.map((name, i): CountEntry => [name, counts[i] ?? 0]).filter(([, count]) => count > 0)
      }
    }
  }

  async #external (username: string): Promise<number> {
    const key = this.#keys.user('user-sessions', username)
    try {
      return await this.#gate.ask(this.#gate.client.scard(key))
    } catch (error) {
      if (!this.#gate.isWrongType(error)) throw error
      this.#oddities.note('sessions_wrong_type', key)
      return 0
    }
  }
}
