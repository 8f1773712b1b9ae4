/** Ghosts: sessions that the switch's set of a user still names, and whose record is gone. */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'

/** The most sessions that one script call looks at. */
const BATCH = 200

/** Removes the ghosts of one user. */
export class RedisGhosts {
  #executor: RedisExecutor
  #keys: RedisKeys

  constructor (executor: RedisExecutor, keys: RedisKeys) {
    this.#executor = executor
    this.#keys = keys
  }

  /** Removes a user's ghosts; returns how many there were. A key of another type has none. */
  async remove (username: string): Promise<number> {
    const key = this.#keys.user('user-sessions', username)
    let [cursor, removed] = ['0', 0]
    do {
      const [next, members] = await this.#executor.or<[string, string[]]>(
        ['0', []],
        this.#executor.run(this.#executor.client.sscan(key, cursor, 'COUNT', BATCH))
      )
      for (let i = 0; i < members.length; i += BATCH) {
        removed += await this.#remove(key, members.slice(i, i + BATCH))
      }
      cursor = next
    } while (cursor !== '0')
    return removed
  }

  async #remove (key: string, members: string[]): Promise<number> {
    if (this.#keys.cluster) return await this.#removeInCluster(key, members)
    const sessions = members.map((member) => this.#keys.session(member))
    return (await this.#executor.run(
      this.#executor.scripts.sweepGhosts([key, ...sessions], members)
    )) as number
  }

  /**
   * A session lies in another slot than its user's set, so that looking and removing are two steps:
   * what is gone twice is gone.
   */
  async #removeInCluster (key: string, members: string[]): Promise<number> {
    const once = await this.#gone(members)
    const twice = once.length === 0 ? [] : await this.#gone(once)
    if (twice.length === 0) return 0
    return await this.#executor.run(this.#executor.client.srem(key, ...twice))
  }

  async #gone (members: string[]): Promise<string[]> {
    const exist = await this.#executor.run(
      Promise.all(
        members.map(
          async (member) => await this.#executor.client.exists(this.#keys.session(member))
        )
      )
    )
    return members.filter((_member, i) => exist[i] === 0)
  }
}
