/** Every Redis key that the service reads or writes, in one place. */

/** The key families that belong to one user. */
export type UserFamily = 'user-limit' | 'user-temporary-limit' | 'user-sessions' | 'user-leases'

/**
 * Hash tags whose slots lie 1,024 apart, so that every master of a cluster with as many slots in a
 * row has one of them.
 */
const TAGS_ALL_OVER = [18, 455, 333, 223, 553, 443, 95, 663, 265, 375, 908, 155, 985, 895, 405, 515]

/**
 * Names keys. In Redis Cluster all keys of a user carry the hash tag `{user}` and so share one
 * slot.
 */
export class RedisKeys {
  readonly prefix: string
  readonly cluster: boolean
  /** Hash: the policy. */
  readonly policy: string
  /** Hash: the switch nodes, each with its epoch and when it last reported. */
  readonly nodes: string
  /** String: tells this data from what an emptied Redis would hold. */
  readonly generation: string
  /** The same on every master of a cluster; elsewhere just that one. */
  readonly generations: string[]
  /** String: which replica sweeps now; expires by itself. */
  readonly sweepLock: string

  /**
   * @param prefix - what every key begins with, `voice-ferry-c4:` for the switch
   * @param cluster - whether user keys carry a hash tag
   */
  constructor (prefix: string, cluster = false) {
    this.prefix = prefix
    this.cluster = cluster
    this.policy = `${prefix}session-policy`
    this.nodes = `${prefix}session-nodes`
    this.generation = `${prefix}session-generation`
    this.generations = cluster
      ? TAGS_ALL_OVER.map((tag) => `${this.generation}:{${tag}}`)
      : [this.generation]
    this.sweepLock = `${prefix}session-sweep-lock`
  }

  /** A key of one user: `voice-ferry-c4:user-limit:alice`. */
  user (family: UserFamily, username: string): string {
    return this.cluster
      ? `${this.prefix}${family}:{${username}}`
      : `${this.prefix}${family}:${username}`
  }

  /** What stands before and behind the username in a family's keys, for scripts. */
  aroundUser (family: UserFamily): [before: string, behind: string] {
    return this.cluster ? [`${this.prefix}${family}:{`, '}'] : [`${this.prefix}${family}:`, '']
  }

  /** String, the switch's: what it knows of a session. */
  session (sessionId: string): string {
    return `${this.prefix}session:${sessionId}`
  }

  /**
   * What the records of a user's leases begin with. Outside a cluster ids are unique among all
   * users.
   */
  leasePrefix (username: string): string {
    return this.cluster
      ? `${this.prefix}session-lease:{${username}}:`
      : `${this.prefix}session-lease:`
  }

  /** String: the record of a lease, or the memory that its id has ended. */
  lease (username: string, sessionId: string): string {
    return this.leasePrefix(username) + sessionId
  }

  /** Sorted set: `user id` of the leases of one switch node, by their end. */
  nodeLeases (node: string): string {
    return `${this.prefix}node-leases:${node}`
  }

  /** String, expires: how many requests a caller has sent in its window. */
  requestCount (caller: string): string {
    return `${this.prefix}request-count:${caller}`
  }

  /**
   * What node-leases keys begin with, for scripts; empty in a cluster, where they lie in other
   * slots.
   */
  get nodeLeasesPrefix (): string {
    return this.cluster ? '' : this.nodeLeases('')
  }

  /**
   * What the switch's session keys begin with, for scripts; empty in a cluster, where they lie in
   * other slots.
   */
  get sessionPrefix (): string {
    return this.cluster ? '' : this.session('')
  }

  /** String, in a cluster only: whose session an id is. */
  holder (sessionId: string): string {
    return `${this.prefix}session-holder:${sessionId}`
  }

  /** The SCAN pattern for both families of keys that hold a user's sessions. */
  get userSessionsPattern (): string {
    return this.pattern('user-[sl]e[sa]s*')
  }

  /** The SCAN pattern for the records of leases and of the switch's sessions. */
  get sessionRecordsPattern (): string {
    return `${escapeGlob(this.prefix)}session[-:]*`
  }

  /**
   * The session id in the key of a lease record or of one of the switch's sessions, and which of
   * the two it is.
   */
  sessionIdOf (
    key: string
  ): { id: string; source: 'lease' | 'external'; username?: string } | undefined {
    const rest = key.slice(this.prefix.length)
    if (rest.startsWith('session:')) {
      return { id: rest.slice('session:'.length), source: 'external' }
    }
    const [, username, id] =
      (this.cluster ? /^session-lease:\{([^}]*)\}:([^]*)$/ : /^session-lease:()([^]*)$/).exec(
        rest
      ) ?? []
    return id === undefined
      ? undefined
      : { id, source: 'lease', ...(username !== '' && username !== undefined && { username }) }
  }

  /** The user that a key belongs to, or undefined when the key is of another family. */
  usernameOf (family: UserFamily, key: string): string | undefined {
    const head = `${this.prefix}${family}:`
    if (!key.startsWith(head)) return undefined
    const name = key.slice(head.length)
    if (!this.cluster) return name
    return name.startsWith('{') && name.endsWith('}') ? name.slice(1, -1) : undefined
  }

  /** The SCAN pattern for a family's keys of users whose name begins with `namePrefix`. */
  pattern (family: string, namePrefix = ''): string {
    return `${escapeGlob(this.prefix)}${family}:${this.cluster ? '{' : ''}${escapeGlob(namePrefix)}*`
  }
}

/** A text as a Redis glob that matches only itself. */
export function escapeGlob (text: string): string {
  return text.replace(/[\\*?[\]^]/g, '\\$&')
}
