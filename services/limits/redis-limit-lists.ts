/** Lists of own limits in Redis. */
import type { PageRequest } from '../../schemas/paging.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys, UserFamily } from '../redis/keys.ts'
import { keyspaces, scanAll, scanPage, type ScanList } from '../redis/scan.ts'
import type { IsGone, WalkTurns } from '../redis/walk-turns.ts'
import { parseBar } from './bar.ts'
import { parseTemporaryLimit } from './limit-value.ts'
import type { LimitEntry, LimitLists, StoredLimit } from './limits-store.ts'
import type { StoredLimits } from './stored-limits.ts'

/** Goes over the keyspace; what one step holds in memory is bounded. */
export class RedisLimitLists implements LimitLists {
  #executor: RedisExecutor
  #keys: RedisKeys
  #stored: StoredLimits
  #turns: WalkTurns

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    stored: StoredLimits,
    turns: WalkTurns
  ) {
    this.#executor = executor
    this.#keys = keys
    this.#stored = stored
    this.#turns = turns
  }

  async listLimits (prefix: string, page: PageRequest) {
    return await scanPage(this.#list(prefix), page)
  }

  async * allLimits (prefix: string, isGone?: IsGone) {
    yield * scanAll(this.#list(prefix), isGone)
  }

  async * allStored () {
    yield * scanAll(this.#allKeys())
  }

  async temporaryLimits (usernames: string[]) {
    const values = await this.#texts('user-temporary-limit', usernames)
    return values.map((text) => parseTemporaryLimit(text ?? ''))
  }

  async bars (usernames: string[]) {
    const values = await this.#texts('user-bar', usernames)
    return values.map((text) => (text === null ? undefined : parseBar(text)))
  }

  /** What is stored of some users in one family of keys; null where there is nothing. */
  async #texts (family: UserFamily, usernames: string[]): Promise<Array<string | null>> {
    return await this.#executor.getMany(usernames.map((name) => this.#keys.user(family, name)))
  }

  /** Both kinds of limits and the bars, in one walk over the keyspace; a name is a key here. */
  #allKeys (): ScanList<StoredLimit> {
    const own = (key: string) => this.#keys.usernameOf('user-limit', key)
    const temporary = (key: string) => this.#keys.usernameOf('user-temporary-limit', key)
    const barred = (key: string) => this.#keys.usernameOf('user-bar', key)
    const isOurs = (key: string) => (own(key) ?? temporary(key) ?? barred(key)) !== undefined
    return {
      turns: this.#turns,
      sources: keyspaces(this.#executor, this.#keys.limitsPattern, (key) =>
        isOurs(key) ? key : undefined
      ),
      load: async (keys) => {
        const values = await this.#executor.getMany(keys)
        return keys.flatMap((key, i): StoredLimit[] => {
          const [username, text] = [own(key), values[i]]
          const barredUser = barred(key)
          if (barredUser !== undefined) {
            return text ? [{ username: barredUser, bar: parseBar(text) }] : []
          }
          if (username === undefined) {
            const limit = parseTemporaryLimit(text ?? '')
            return limit ? [{ username: temporary(key) ?? '', temporary: limit }] : []
          }
          const limit = this.#stored.own(username, text)
          return limit === undefined ? [] : [{ username, limit }]
        })
      }
    }
  }

  #list (prefix: string): ScanList<LimitEntry> {
    return {
      turns: this.#turns,
      sources: keyspaces(this.#executor, this.#keys.pattern('user-limit', prefix), (key) =>
        this.#keys.usernameOf('user-limit', key)
      ),
      load: async (names) => {
        const values = await this.#executor.getMany(
          names.map((name) => this.#keys.user('user-limit', name))
        )
        return names.flatMap((name, i) => {
          const limit = this.#stored.own(name, values[i])
          return limit === undefined ? [] : [[name, limit] satisfies LimitEntry]
        })
      }
    }
  }
}
