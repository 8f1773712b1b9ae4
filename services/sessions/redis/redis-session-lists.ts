/** Lists of sessions, counts, users and nodes on Redis, in pages that can be resumed. */
import type { Page, PageRequest } from '../../../schemas/paging.ts'
import type { LimitsStore } from '../../limits/limits-store.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import type { IsGone, WalkTurns } from '../../redis/walk-turns.ts'
import { keyspaces, scanAll, scanPage, type ScanList, type Source } from '../../redis/scan.ts'
import type {
  CountEntry,
  NodeState,
  SessionFilter,
  SessionLists,
  UserQuery
} from '../session-lists.ts'
import { forEachLimit } from '../../util/for-each-limit.ts'
import { SharedWork } from '../../util/shared-work.ts'
import { rankUsers } from '../user-ranking.ts'
import { foundBy, nameOf } from './found-session.ts'
import type { RedisSessionReads } from './redis-session-reads.ts'

/** How many users are counted at once: the commands of others go between them. */
const COUNTS_AT_ONCE = 50

/** Goes over the keyspace; what one step holds in memory is bounded. */
export class RedisSessionLists implements SessionLists {
  #executor: RedisExecutor
  #keys: RedisKeys
  #reads: RedisSessionReads
  #limits: Pick<LimitsStore, 'getLimit'>
  #turns: WalkTurns
  #ranking = new SharedWork(async (isGone) => await rankUsers(this.allCounts(isGone)))

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    reads: RedisSessionReads,
    limits: Pick<LimitsStore, 'getLimit'>,
    turns: WalkTurns
  ) {
    this.#executor = executor
    this.#keys = keys
    this.#reads = reads
    this.#limits = limits
    this.#turns = turns
  }

  async listSessions ({ username, node }: SessionFilter, page: PageRequest) {
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
    return await scanPage({ sources, load, turns: this.#turns }, page)
  }

  /** One walk over all users at a time, whatever each caller wants of it. */
  async listUsers ({ offset, limit, sort, isGone }: UserQuery) {
    const { total, ...ranked } = await this.#ranking.result(isGone)
    const entries = ranked[sort].slice(offset, offset + limit)
    const limits = await Promise.all(
      entries.map(async ([username]) => await this.#limits.getLimit(username))
    )
    const users = entries.map(([username, sessions], i) => {
      const { limit = 0, unlimited = false, source = 'default' } = limits[i] ?? {}
      return { username, sessions, limit, unlimited, source }
    })
    return { users, total }
  }

  async listCounts (page: PageRequest): Promise<Page<CountEntry>> {
    return await scanPage(this.#counts(), page)
  }

  async * allCounts (isGone?: IsGone) {
    yield * scanAll(this.#counts(), isGone)
  }

  async listNodes (page: PageRequest) {
    const keys = this.#keys
    const sources = keyspaces(this.#executor, keys.nodeEpochsPattern, (key) => keys.nodeOf(key))
    const load = async (nodes: string[]) => await this.#nodeStates(nodes)
    return await scanPage({ sources, load, turns: this.#turns }, page)
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
        const counts: Array<CountEntry | null> = []
        await forEachLimit(names.entries(), COUNTS_AT_ONCE, async ([i, name]) => {
          counts[i] = await this.#countEntry(name)
        })
        return counts.filter((entry) => entry !== null)
      },
      turns: this.#turns
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
    const live = `(${await executor.nowMs(this.#keys.nodeEpoch(nodes[0] ?? ''))}`
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
