/** Sessions that live as long as the process. No switch writes here, so there are no external ones and no ghosts. */
import type { MemoryLimitsStore } from '../limits/memory-limits-store.ts'
import type { PageRequest } from '../limits/limits-store.ts'
import { sortedPage } from '../sorted-page.ts'
import { toCount } from './count.ts'
import type { CountEntry, SessionStore } from './session-store.ts'

/** Keeps sessions in memory. */
export class MemorySessionStore implements SessionStore {
  #limits: MemoryLimitsStore

  constructor (limits: MemoryLimitsStore) {
    this.#limits = limits
  }

  async getCount (username: string) {
    return toCount(this.#limits.limitNow(username), 0, 0)
  }

  async listCounts ({ cursor, count }: PageRequest) {
    return sortedPage<number>([], cursor, count)
  }

  async * allCounts (): AsyncGenerator<CountEntry[]> {}

  async sweepGhosts () {
    return { users: 0, removed: 0 }
  }

  async claimSweep () {
    return true
  }
}
