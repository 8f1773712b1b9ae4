/** Lists and counts of sessions on Redis, in pages, pipelined. */
import type { Count } from '../../../schemas/counts.ts'
import type { Page, PageRequest } from '../../../schemas/paging.ts'
import type { Session } from '../../../schemas/sessions.ts'
import type { RedisLimitsStore } from '../../limits/redis-limits-store.ts'
import type { MalformedValues } from '../../util/malformed-values.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { keyspaces, scanAll, scanPage, type ScanList, type Source } from '../../redis/scan.ts'
import { toCount } from '../count.ts'
import { externalSession, externalUsername } from '../external-session.ts'
import { decodeLease, leaseToSession } from './lease-record.ts'
import type { CountEntry, SessionStore } from '../session-store.ts'
import { rankUsers } from '../user-ranking.ts'

/** A session as a list finds it: who recorded it, and whose it is, if that is known yet. */
interface Found {
  source: 'lease' | 'external'
  id: string
  username?: string
}

/**
 * A found session as a name that can travel in a cursor, and back; any text can be read back, for
 * cursors can be forged.
 */
function nameOf ({ source, id, username = '' }: Found): string {
  return `${source[0]}${username}\n${id}`
}

function foundBy (name: string): Found {
  const split = name.indexOf('\n')
  const username = name.slice(1, split)
  return {
    source: name.startsWith('l') ? 'lease' : 'external',
    id: name.slice(split + 1),
    ...(username !== '' && { username })
  }
}

/** Reads sessions; changes nothing. */
export class RedisSessionLists {
  #executor: RedisExecutor
  #keys: RedisKeys
  #limits: RedisLimitsStore
  #malformed: MalformedValues

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    limits: RedisLimitsStore,
    malformed: MalformedValues
  ) {
    this.#executor = executor
    this.#keys = keys
    this.#limits = limits
    this.#malformed = malformed
  }

  async getCount (username: string): Promise<Count> {
    const [leases, external, own, temporary] = await this.#count(username)
    return toCount(this.#limits.inForce(username, own || null, temporary || null), leases, external)
  }

  async listCounts ({ cursor, count }: PageRequest): Promise<Page<CountEntry>> {
    return await scanPage(this.#counts(), cursor, count)
  }

  allCounts () {
    return scanAll(this.#counts())
  }

  async getSession (sessionId: string, username?: string): Promise<Session | null> {
    const [session] = await this.#load([
      { id: sessionId, source: 'lease', ...(username !== undefined && { username }) }
    ])
    if (session !== undefined) return session
    const [external] = await this.#load([{ id: sessionId, source: 'external' }])
    return external ?? null
  }

  async listSessions (
    { username, node }: { username?: string | undefined; node?: string | undefined },
    { cursor, count }: PageRequest
  ) {
    const sources =
      username !== undefined
        ? this.#ofUser(username)
        : node !== undefined
          ? this.#ofNode(node)
          : this.#all()
    return await scanPage(
      {
        sources,
        load: async (names) => {
          const sessions = await this.#load(names.map(foundBy))
          return sessions.filter(
            (session) =>
              (username === undefined || session.username === username) &&
              (node === undefined || session.node === node)
          )
        }
      },
      cursor,
      count
    )
  }

  /** The ids of all sessions of a user, in batches. */
  async * sessionIds (username: string): AsyncGenerator<string[]> {
    yield * scanAll({
      sources: this.#ofUser(username),
      load: async (names) => names.map((name) => foundBy(name).id)
    })
  }

  async listUsers ({ offset, limit, sort }: Parameters<SessionStore['listUsers']>[0]) {
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

  /** Every user once, whichever of the two families its sessions are in. */
  #counts (): ScanList<CountEntry> {
    return {
      sources: keyspaces(this.#executor, this.#keys.userSessionsPattern, (key) => {
        const external = this.#keys.usernameOf('user-sessions', key)
        const leases = this.#keys.usernameOf('user-leases', key)
        return external !== undefined
          ? `e${external}`
          : leases !== undefined
            ? `l${leases}`
            : undefined
      }),
      load: async (names) => {
        const counts = await Promise.all(
          names.map(async (name): Promise<CountEntry | null> => {
            const username = name.slice(1)
            const [leases, external] = await this.#count(username)
            // A user with both keys is found twice: the switch's key speaks for it where it has
            // sessions to count.
            const speaks = name.startsWith('l') ? external === 0 && leases > 0 : external > 0
            return speaks ? [username, leases + external] : null
          })
        )
        return counts.filter((entry) => entry !== null)
      }
    }
  }

  async #count (
    username: string
  ): Promise<[leases: number, external: number, own: string, temporary: string]> {
    const sessions = this.#keys.user('user-sessions', username)
    const [leases, external, own, temporary] = (await this.#executor.run(
      this.#executor.scripts.count(
        [
          this.#keys.user('user-leases', username),
          sessions,
          this.#keys.user('user-limit', username),
          this.#keys.user('user-temporary-limit', username)
        ],
        []
      )
    )) as [number, number, string, string]
    if (external < 0) this.#malformed.note('sessions_wrong_type', sessions)
    return [leases, Math.max(0, external), own, temporary]
  }

  #all (): Source[] {
    return keyspaces(this.#executor, this.#keys.sessionRecordsPattern, (key) => {
      const found = this.#keys.sessionIdOf(key)
      return found && nameOf(found)
    })
  }

  #ofUser (username: string): Source[] {
    return [
      async (cursor, look) => {
        const [next, pairs] = await this.#scanned(
          this.#executor.client.zscan(
            this.#keys.user('user-leases', username),
            cursor,
            'COUNT',
            look
          )
        )
        return [
          next,
          pairs
            .filter((_text, i) => i % 2 === 0)
            .map((id) => nameOf({ source: 'lease', id, username }))
        ]
      },
      async (cursor, look) => {
        const [next, ids] = await this.#scanned(
          this.#executor.client.sscan(
            this.#keys.user('user-sessions', username),
            cursor,
            'COUNT',
            look
          )
        )
        return [next, ids.map((id) => nameOf({ source: 'external', id, username }))]
      }
    ]
  }

  #ofNode (node: string): Source[] {
    return [
      async (cursor, look) => {
        const [next, pairs] = await this.#scanned(
          this.#executor.client.zscan(this.#keys.nodeLeases(node), cursor, 'COUNT', look)
        )
        return [
          next,
          pairs
            .filter((_text, i) => i % 2 === 0)
            .map((member) => {
              const [username = '', id = ''] = member.split(' ')
              return nameOf({ source: 'lease', id, username })
            })
        ]
      }
    ]
  }

  async #scanned (reply: Promise<[string, string[]]>): Promise<[string, string[]]> {
    return await this.#executor.or<[string, string[]]>(['0', []], this.#executor.run(reply))
  }

  /** What is found, as sessions; what is no longer up, or not what its key says, is left out. */
  async #load (found: Found[]): Promise<Session[]> {
    const [nowMs, records] = await Promise.all([
      this.#executor.nowMs(),
      this.#executor.getMany(
        found.map(({ id, source, username = '' }) =>
          source === 'lease' ? this.#keys.lease(username, id) : this.#keys.session(id)
        )
      )
    ])
    const sessions = await this.#executor.run(
      Promise.all(
        found.map(async (one, i) =>
          one.source === 'lease'
            ? await this.#lease(one, records[i], nowMs)
            : await this.#external(one, records[i], nowMs)
        )
      )
    )
    return sessions.filter((session) => session !== null)
  }

  async #lease (
    { id }: Found,
    record: string | null | undefined,
    nowMs: number
  ): Promise<Session | null> {
    const lease = decodeLease(record ?? '')
    const endMs = lease && (await this.#leaseEnd(lease.username, id))
    return endMs === undefined || endMs <= nowMs || lease === undefined
      ? null
      : leaseToSession(id, lease, endMs)
  }

  /**
   * An external session is one that is in its user's set, whatever a cursor says, and no live
   * lease.
   */
  async #external (
    { id, username }: Found,
    json: string | null | undefined,
    nowMs: number
  ): Promise<Session | null> {
    const holder = username ?? externalUsername(json ?? '')
    if (holder === undefined) return null
    const [endMs, member] = await Promise.all([
      this.#leaseEnd(holder, id),
      this.#executor.or(
        0,
        this.#executor.client.sismember(this.#keys.user('user-sessions', holder), id)
      )
    ])
    return member === 0 || (endMs !== undefined && endMs > nowMs)
      ? null
      : externalSession(id, holder, json)
  }

  async #leaseEnd (username: string, id: string): Promise<number | undefined> {
    const score = await this.#executor.or(
      null,
      this.#executor.client.zscore(this.#keys.user('user-leases', username), id)
    )
    return score === null ? undefined : Number(score)
  }
}
