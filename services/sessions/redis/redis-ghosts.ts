/** Ghosts: sessions that the switch's set of a user still names, and whose record is gone. */
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { EVERYWHERE, type Reach } from '../../redis/reach.ts'
import { BoundedMap } from '../../util/bounded-map.ts'

/** The most sessions that one script call looks at. */
const BATCH = 200
/** The most sessions that one refused call looks at. */
const MOST_A_REFUSAL = 100
/** The most steps in which it does: Redis may find few in a step, where a set has shrunk. */
const STEPS_A_REFUSAL = 4
/** How many users' places are remembered. Of others, a refusal looks at the first sessions. */
const PLACES = 10_000

/** How far somebody has looked at a set: the step of SSCAN, and how many of its members. */
interface Place {
  cursor: string
  seen: number
}

const START: Place = { cursor: '0', seen: 0 }

/** Removes the ghosts of one user. */
export class RedisGhosts {
  #executor: RedisExecutor
  #keys: RedisKeys
  /** Where the next refusal goes on; nothing where it begins at the start. */
  #places = new BoundedMap<string, Place>(PLACES)

  #reach: Reach

  constructor (executor: RedisExecutor, keys: RedisKeys, reach = EVERYWHERE) {
    this.#executor = executor
    this.#keys = keys
    this.#reach = reach
  }

  /** Removes all ghosts of a user; returns how many there were. A key of another type has none. */
  async remove (username: string): Promise<number> {
    const key = this.#keys.user('user-sessions', username)
    let [cursor, removed] = ['0', 0]
    do {
      const [next, members] = await this.#scan(key, cursor, BATCH)
      for (let i = 0; i < members.length; i += BATCH) {
        removed += await this.#remove(key, members.slice(i, i + BATCH))
      }
      cursor = next
    } while (cursor !== '0')
    return removed
  }

  /**
   * Removes ghosts among at most 100 of a user's external sessions, and goes on with the others the
   * next time. Where a user has no more than that, it looks at all of them.
   * @returns how many there were
   */
  async removeSome (username: string): Promise<number> {
    const key = this.#keys.user('user-sessions', username)
    let place = this.#places.get(username) ?? START
    // From the middle it goes to the end, and then from the start.
    let ends = place === START ? 1 : 2
    let [left, removed] = [MOST_A_REFUSAL, 0]
    for (let step = 0; step < STEPS_A_REFUSAL && left > 0 && ends > 0; step++) {
      const [next, found] = await this.#scan(key, place.cursor, MOST_A_REFUSAL)
      // A step may find more than it was asked for, and finds the same again with the same cursor.
      const members = found.slice(place.seen, place.seen + left)
      const gone = members.length === 0 ? 0 : await this.#remove(key, members)
      const seen = place.seen + members.length
      const isDone = seen >= found.length
      if (isDone && next === '0') ends--
      place = isDone ? { cursor: next, seen: 0 } : { cursor: place.cursor, seen: seen - gone }
      left -= members.length
      removed += gone
    }
    if (place.cursor === '0' && place.seen === 0) this.#places.delete(username)
    else this.#places.put(username, place)
    return removed
  }

  async #scan (key: string, cursor: string, count: number): Promise<[string, string[]]> {
    return await this.#executor.or<[string, string[]]>(
      ['0', []],
      this.#executor.run(this.#executor.client.sscan(key, cursor, 'COUNT', count))
    )
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

  /** The members whose sessions are gone; of one that cannot be asked, nobody knows. */
  async #gone (members: string[]): Promise<string[]> {
    const exist = await Promise.all(
      members.map(async (member) => {
        const key = this.#keys.session(member)
        return await this.#reach.ask(
          key,
          async () => await this.#executor.run(this.#executor.client.exists(key))
        )
      })
    )
    return members.filter((_member, i) => exist[i] === 0)
  }
}
