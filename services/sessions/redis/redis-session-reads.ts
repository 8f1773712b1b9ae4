/** Reads sessions and counts from Redis, pipelined; changes nothing. */
import type { Count } from '../../../schemas/counts.ts'
import type { StoredLimits } from '../../limits/stored-limits.ts'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { scanAll, type Source } from '../../redis/scan.ts'
import type { MalformedValues } from '../../util/malformed-values.ts'
import { toCount } from '../count.ts'
import { externalSession, externalUsername } from '../external-session.ts'
import type { ExternalSession, KnownSession, Lease } from '../lease.ts'
import type { SessionReader } from '../session-store.ts'
import { type Found, foundBy, nameOf } from './found-session.ts'
import { decodeRecord, type LeaseRecord } from './lease-record.ts'

/** What count.lua answers: leases, external sessions, and the texts of both limits. */
type Counted = [leases: number, external: number, own: string, temporary: string]

/** Reads one session, the sessions of one user, and counts. */
export class RedisSessionReads implements SessionReader {
  #executor: RedisExecutor
  #keys: RedisKeys
  #limits: StoredLimits
  #malformed: MalformedValues

  constructor (
    executor: RedisExecutor,
    keys: RedisKeys,
    limits: StoredLimits,
    malformed: MalformedValues
  ) {
    this.#executor = executor
    this.#keys = keys
    this.#limits = limits
    this.#malformed = malformed
  }

  async getCount (username: string): Promise<Count> {
    const { leases, external, own, temporary } = await this.count(username)
    return toCount(this.#limits.inForce(username, own || null, temporary || null), leases, external)
  }

  /** A user's sessions and the texts of its limits, empty where there are none. */
  async count (username: string) {
    const sessions = this.#keys.user('user-sessions', username)
    const keys = [
      this.#keys.user('user-leases', username),
      sessions,
      this.#keys.user('user-limit', username),
      this.#keys.user('user-temporary-limit', username)
    ]
    const [leases, external, own, temporary] = await this.#executor.run(
      this.#keys.sharesSlot(username)
        ? (this.#executor.scripts.count(keys, []) as Promise<Counted>)
        : this.#countApart(keys)
    )
    if (external < 0) this.#malformed.note('sessions_wrong_type', sessions)
    return { leases, external: Math.max(0, external), own, temporary }
  }

  /** The same where no script reaches all keys. */
  async #countApart ([, sessions = '', own = '', temporary = '']: string[]): Promise<Counted> {
    const { client } = this.#executor
    const textAt = async (key: string) => (await this.#executor.or(null, client.get(key))) ?? ''
    const external = this.#executor.or(-1, client.scard(sessions))
    return [0, ...(await Promise.all([external, textAt(own), textAt(temporary)]))]
  }

  /** @param username - whose session it is, where that is known and needed to find it */
  async getSession (sessionId: string, username?: string): Promise<KnownSession | null> {
    // In a Cluster a lease is found by its user only.
    if (username !== undefined || !this.#keys.cluster) {
      const [lease] = await this.load([
        { id: sessionId, source: 'lease', ...(username !== undefined && { username }) }
      ])
      if (lease !== undefined) return lease
    }
    const [external] = await this.load([{ id: sessionId, source: 'external' }])
    return external ?? null
  }

  /** The ids of all sessions of a user, or of its leases only, in batches. */
  async * sessionIds (username: string, leasesOnly = false): AsyncGenerator<string[]> {
    yield * scanAll({
      sources: this.ofUser(username).slice(0, leasesOnly ? 1 : 2),
      load: async (names) => names.map((name) => foundBy(name).id)
    })
  }

  /** A user's leases, then its external sessions, as sources of names. */
  ofUser (username: string): Source[] {
    const { client } = this.#executor
    const leases = this.#keys.user('user-leases', username)
    const external = this.#keys.user('user-sessions', username)
    return [
      async (cursor, look) => {
        const [next, pairs] = await this.scanned(client.zscan(leases, cursor, 'COUNT', look))
        const ids = pairs.filter((_text, i) => i % 2 === 0)
        return [next, ids.map((id) => nameOf({ source: 'lease', id, username }))]
      },
      async (cursor, look) => {
        const [next, ids] = await this.scanned(client.sscan(external, cursor, 'COUNT', look))
        return [next, ids.map((id) => nameOf({ source: 'external', id, username }))]
      }
    ]
  }

  /** One step through a key; a key of another type has nothing in it. */
  async scanned (reply: Promise<[string, string[]]>): Promise<[string, string[]]> {
    return await this.#executor.or<[string, string[]]>(['0', []], this.#executor.run(reply))
  }

  /** What is found, as sessions; what is no longer up, or not what its key says, is left out. */
  async load (found: Found[]): Promise<KnownSession[]> {
    const keys = found.map(({ id, source, username = '' }) =>
      source === 'lease' ? this.#keys.lease(username, id) : this.#keys.session(id)
    )
    const [nowMs, records] = await Promise.all([
      this.#executor.nowMs(keys[0] ?? ''),
      this.#executor.getMany(keys)
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
    { id: sessionId, username }: Found,
    record: string | null | undefined,
    nowMs: number
  ): Promise<Lease | null> {
    const lease = record === null ? withoutRecord(username, nowMs) : decodeRecord(record ?? '')
    if (lease === undefined) return null
    const expiresMs = await this.#leaseEnd(lease.username, sessionId)
    return expiresMs === undefined || expiresMs <= nowMs ? null : { sessionId, ...lease, expiresMs }
  }

  /**
   * An external session is one that is in its user's set, whatever a cursor says, and no live
   * lease.
   */
  async #external (
    { id, username }: Found,
    json: string | null | undefined,
    nowMs: number
  ): Promise<ExternalSession | null> {
    const holder = username ?? externalUsername(json ?? '')
    if (holder === undefined) return null
    const [endMs, member] = await Promise.all([
      this.#leaseEnd(holder, id),
      this.#executor.or(
        0,
        this.#executor.client.sismember(this.#keys.user('user-sessions', holder), id)
      )
    ])
    const isLive = endMs !== undefined && endMs > nowMs
    return member === 0 || isLive ? null : externalSession(id, holder, json)
  }

  async #leaseEnd (username: string, id: string): Promise<number | undefined> {
    const score = await this.#executor.or(
      null,
      this.#executor.client.zscore(this.#keys.user('user-leases', username), id)
    )
    return score === null ? undefined : Number(score)
  }
}

/** What is known of a lease whose record was evicted or deleted: whose it is, and that it began. */
function withoutRecord (username: string | undefined, nowMs: number): LeaseRecord | undefined {
  if (username === undefined || username === '') return undefined
  return { username, startedMs: nowMs, node: '', attempt: 0, details: {} }
}
