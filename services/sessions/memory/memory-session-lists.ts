/** Lists of the sessions in memory, and a sweep that has little to do. */
import type { PageRequest } from '../../../schemas/paging.ts'
import type { MemoryLimitsStore } from '../../limits/memory-limits-store.ts'
import { sortedPage } from '../../util/sorted-page.ts'
import type {
  CountEntry,
  SessionFilter,
  SessionLists,
  Sweeper,
  UserQuery
} from '../session-lists.ts'
import { NODE_MEMORY_MS } from '../timing.ts'
import { rankUsers } from '../user-ranking.ts'
import type { Live } from './entries.ts'
import type { LeaseTable } from './lease-table.ts'
import { leaseOf } from './live-leases.ts'

/** Reads a table of leases. */
export class MemorySessionLists implements SessionLists, Sweeper {
  #table: LeaseTable
  #limits: MemoryLimitsStore

  constructor (table: LeaseTable, limits: MemoryLimitsStore) {
    this.#table = table
    this.#limits = limits
  }

  async listSessions ({ username, node }: SessionFilter, { cursor, count }: PageRequest) {
    const now = this.#table.now()
    const live =
      username !== undefined
        ? this.#table.ofUser(username, now)
        : node !== undefined
          ? this.#table.ofNode(node, now)
          : this.#table.all(now)
    const wanted = live.filter((lease) => node === undefined || lease.node === node)
    const byId = wanted.map((lease): [string, Live] => [lease.sessionId, lease])
    const page = sortedPage(byId, cursor, count)
    return { ...page, entries: page.entries.map(([, lease]) => leaseOf(lease)) }
  }

  async listUsers ({ offset, limit, sort }: UserQuery) {
    const { total, ...ranked } = await rankUsers(this.allCounts())
    const entries = ranked[sort].slice(offset, offset + limit)
    const users = entries.map(([username, sessions]) => {
      const { limit, unlimited, source } = this.#limits.limitNow(username)
      return { username, sessions, limit, unlimited, source }
    })
    return { users, total }
  }

  async listNodes ({ cursor, count }: PageRequest) {
    const now = this.#table.now()
    const heard = [...this.#table.reports].filter(
      ([, { lastSeenMs }]) => now - lastSeenMs < NODE_MEMORY_MS
    )
    const page = sortedPage(heard, cursor, count)
    const entries = page.entries.map(([node, report]) => ({
      node,
      ...report,
      sessions: this.#table.ofNode(node, now).length
    }))
    return { ...page, entries }
  }

  async listCounts ({ cursor, count }: PageRequest) {
    return sortedPage(this.#counts(), cursor, count)
  }

  async * allCounts () {
    yield [...this.#counts()]
  }

  async sweep () {
    this.#table.now()
    return { users: 0, removed: 0 }
  }

  async claimSweep () {
    return true
  }

  async keepSweep () {}

  * #counts (): Generator<CountEntry> {
    const now = this.#table.now()
    for (const username of this.#table.usernames()) {
      const count = this.#table.ofUser(username, now).length
      if (count > 0) yield [username, count]
    }
  }
}
