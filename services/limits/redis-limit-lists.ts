/** Lists of own limits in Redis. */
import type { PageRequest } from '../../schemas/paging.ts'
import type { RedisExecutor } from '../redis/executor.ts'
import type { RedisKeys } from '../redis/keys.ts'
import { keyspaces, scanAll, scanPage, type ScanList } from '../redis/scan.ts'
import type { LimitEntry, LimitLists } from './limits-store.ts'
import type { StoredLimits } from './stored-limits.ts'

/** Goes over the keyspace; what one step holds in memory is bounded. */
export class RedisLimitLists implements LimitLists {
  #executor: RedisExecutor
  #keys: RedisKeys
  #stored: StoredLimits

  constructor (executor: RedisExecutor, keys: RedisKeys, stored: StoredLimits) {
    this.#executor = executor
    this.#keys = keys
    this.#stored = stored
  }

  async listLimits (prefix: string, { cursor, count }: PageRequest) {
    return await scanPage(this.#list(prefix), cursor, count)
  }

  async * allLimits (prefix: string) {
    yield * scanAll(this.#list(prefix))
  }

  #list (prefix: string): ScanList<LimitEntry> {
    return {
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
