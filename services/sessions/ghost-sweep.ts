/** Removes ghosts from the switch's sets: members whose session is gone, which would hold a slot for a day. */
import type { SweepResult } from '../../schemas/counts.ts'
import type { RedisGate } from '../redis/redis-gate.ts'
import type { RedisKeys } from '../redis/redis-keys.ts'
import { scanAll } from '../redis/redis-scan.ts'

/** The most members one script call looks at. */
const BATCH = 200

/** Walks over all users' sets; what one step holds in memory is bounded. */
export class GhostSweep {
  #gate: RedisGate
  #keys: RedisKeys

  constructor (gate: RedisGate, keys: RedisKeys) {
    this.#gate = gate
    this.#keys = keys
  }

  /** Sweeps every user once. */
  async run (): Promise<SweepResult> {
    const result = { users: 0, removed: 0 }
    const users = scanAll(this.#gate, {
      pattern: this.#keys.pattern('user-sessions'),
      nameOf: (key) => this.#keys.usernameOf('user-sessions', key),
      load: async (names) => await Promise.all(names.map((name) => this.sweepUser(name)))
    })
    for await (const removed of users) {
      result.users += removed.length
      result.removed += removed.reduce((sum, n) => sum + n, 0)
    }
    return result
  }

  /** Sweeps one user; returns how many ghosts were removed. A key of another type has no members. */
  async sweepUser (username: string): Promise<number> {
    const key = this.#keys.user('user-sessions', username)
    let [cursor, removed] = ['0', 0]
    try {
      do {
        const [next, members] = await this.#gate.ask(this.#gate.client.sscan(key, cursor, 'COUNT', BATCH))
        for (let i = 0; i < members.length; i += BATCH) removed += await this.#remove(key, members.slice(i, i + BATCH))
        cursor = next
      } while (cursor !== '0')
    } catch (error) {
      if (!this.#gate.isWrongType(error)) throw error
    }
    return removed
  }

  async #remove (key: string, members: string[]): Promise<number> {
    const sessions = members.map((member) => this.#keys.session(member))
    return await this.#gate.ask(this.#gate.scripts.sweepGhosts([key, ...sessions], members)) as number
  }
}
