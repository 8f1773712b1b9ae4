/** Lists of sessions, counts, users and nodes on Redis, in pages that can be resumed. */
import type { Page, PageRequest } from '../../../schemas/paging.ts'
import type { LimitsStore } from '../../limits/limits-store.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { keyspaces, scanAll, scanPage, type ScanList, type Source } from '../../redis/scan.ts'
import type {
  CountEntry,
  NodeState,
  SessionFilter,
  SessionLists,
  UserQuery
} from '../session-lists.ts'
import { rankUsers } from '../user-ranking.ts'
import { foundBy, nameOf } from './found-session.ts'
import type { RedisSessionReads } from './redis-session-reads.ts'

/** Goes over the keyspace; what one step holds in memory is bounded. */
export class RedisSessionLists implements SessionLists {
  #executor: RedisExecutor
  #keys: RedisKeys
  #reads: RedisSessionReads
  #limits: Pick<LimitsStore, 'getLimit'>

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    reads: RedisSessionReads,
    limits: Pick<LimitsStore, 'getLimit'>
  ) {
    this.#executor = executor
    this.#keys = keys
    this.#reads = reads
    this.#limits = limits
  }

  async listSessions ({ username, node }: SessionFilter, { cursor, count }: PageRequest) {
    const sources =
      username !== undefined
        ? this.#reads.ofUser(username)
        : node !== undefined
          ? this.#ofNode(node)
          : this.#all()
    const load = async (names: string[]) => {
      const sessions = await this.#reads.load(names.map(foundBy))
      return sessions.filter(
        (session) =>
          (username === undefined || session.username === username) &&
          (node === undefined || ('node' in session && session.node === node))
      )
    }
    return await scanPage({ sources, load }, cursor, count)
  }

  async listUsers ({ offset, limit, sort }: UserQuery) {
    const { entries, total } = await rankUsers(this.allCounts(), sort, offset, limit)
    const limits = await Promise.all(
      entries.map(async ([username]) => await this.#limits.getLimit(username))
    )
    const users = entries.map(([username, sessions], i) => {
      const { limit = 0, unlimited = false, source = 'default' } = limits[i] ?? {}
      return { username, sessions, limit, unlimited, source }
    })
    return { users, total }
  }

  async listCounts ({ cursor, count }: PageRequest): Promise<Page<CountEntry>> {
    return await scanPage(this.#counts(), cursor, count)
  }

  async * allCounts () {
    yield * scanAll(this.#counts())
  }

  async listNodes ({ cursor, count }: PageRequest) {
    const keys = this.#keys
    const sources = keyspaces(this.#executor, keys.nodeEpochsPattern, (key) => keys.nodeOf(key))
    const load = async (nodes: string[]) => await this.#nodeStates(nodes)
    return await scanPage({ sources, load }, cursor, count)
  }

  /** Every user once, whichever of the two families its sessions are in. */
  #counts (): ScanList<CountEntry> {
    const nameOfKey = (key: string) => {
      const external = this.#keys.usernameOf('user-sessions', key)
      if (external !== undefined) return `e${external}`
      const leases = this.#keys.usernameOf('user-leases', key)
      return leases === undefined ? undefined : `l${leases}`
    }
    return {
      sources: keyspaces(this.#executor, this.#keys.userSessionsPattern, nameOfKey),
      load: async (names) => {
        const counts = await Promise.all(names.map(async (name) => await this.#countEntry(name)))
        return counts.filter((entry) => entry !== null)
      }
    }
  }

  /**
   * A user with both keys is found twice: the switch's key stands for it where it has sessions to
   * count.
   */
  async #countEntry (name: string): Promise<CountEntry | null> {
    const username = name.slice(1)
    const { leases, external } = await this.#reads.count(username)
    const stands = name.startsWith('l') ? external === 0 && leases > 0 : external > 0
    return stands ? [username, leases + external] : null
  }

  #all (): Source[] {
    return keyspaces(this.#executor, this.#keys.sessionRecordsPattern, (key) => {
      const found = this.#keys.sessionIdOf(key)
      return found && nameOf(found)
    })
  }

  #ofNode (node: string): Source[] {
    const { client } = this.#executor
    const index = this.#keys.nodeLeases(node)
    return [
      async (cursor, look) => {
        const [next, pairs] = await this.#reads.scanned(client.zscan(index, cursor, 'COUNT', look))
        const members = pairs.filter((_text, i) => i % 2 === 0)
        const names = members.map((member) => {
          const [username = '', id = ''] = member.split(' ')
          return nameOf({ source: 'lease', id, username })
        })
        return [next, names]
      }
    ]
  }

  async #nodeStates (nodes: string[]): Promise<NodeState[]> {
    const executor = this.#executor
    const live = `(${await executor.nowMs()}`
    const [values, counts] = await executor.run(
      Promise.all([
        executor.getMany(nodes.map((node) => this.#keys.nodeEpoch(node))),
        Promise.all(
          nodes.map(
            async (node) =>
              await executor.or(
                0,
                executor.client.zcount(this.#keys.nodeLeases(node), live, '+inf')
              )
          )
        )
      ])
    )
    return nodes.flatMap((node, i) => {
      const [, epoch, seen] = /^(\d+) (\d+) \d+$/.exec(values[i] ?? '') ?? []
      if (seen === undefined) return []
      return { node, epoch: Number(epoch), lastSeenMs: Number(seen), sessions: counts[i] ?? 0 }
    })
  }
}
