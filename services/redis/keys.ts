/** The names of all Redis keys that the service reads or writes. */

/** The families of keys that belong to one user. */
export type UserFamily =
  | 'user-limit'
  | 'user-temporary-limit'
  | 'user-bar'
  | 'user-sessions'
  | 'user-leases'
  | 'user-ended'

/**
 * Hash tags whose slots are 1,024 apart, so that every master of a cluster that holds as many
 * consecutive slots has one of them.
 */
const TAGS_ALL_OVER = [18, 455, 333, 223, 553, 443, 95, 663, 265, 375, 908, 155, 985, 895, 405, 515]

/**
 * Names keys. In a Redis Cluster all keys of a user carry the hash tag `{user}`: they share a slot.
 */
export class RedisKeys {
  readonly prefix: string
  readonly cluster: boolean
  /** Hash: the policy. */
  readonly policy: string
  /** String: the generation of the data, by which the loss of all data is noticed. */
  readonly generation: string
  /** In a cluster the same for every master; otherwise the one `generation`. */
  readonly generations: string[]
  /** What the keys of probes begin with: one for each of the `generations`. */
  readonly probes: string[]
  /** String, expires: one replica is sweeping. */
  readonly sweepLock: string
  /** Hash: the records of the API keys, by id. */
  readonly apiKeys: string
  /** Hash: when each API key was last used. */
  readonly apiKeyUses: string

  /**
   * @param prefix - what every key begins with, `voice-ferry-c4:` for the switch
   * @param cluster - whether user keys carry a hash tag
   */
  constructor (prefix: string, cluster = false) {
    this.prefix = prefix
    this.cluster = cluster
    this.policy = `${prefix}session-policy`
    this.generation = `${prefix}session-generation`
    this.generations = cluster
      ? TAGS_ALL_OVER.map((tag) => this.generationIn(String(tag)))
      : [this.generation]
    const probe = `${prefix}session-probe`
    this.probes = cluster ? TAGS_ALL_OVER.map((tag) => this.probeIn(String(tag))) : [probe]
    this.sweepLock = `${prefix}session-sweep-lock`
    this.apiKeys = `${prefix}api-keys`
    this.apiKeyUses = `${prefix}api-key-uses`
  }

  /** String, expires: to when the data of a generation knows all that a replica does. */
  watermark (generation: string, replica: string): string {
    const rest = generation.slice(this.generation.length)
    return `${this.prefix}session-watermark${rest}:${replica}`
  }

  /** String, expires soon: shows beside a watermark that nothing has expired before its time. */
  recent (watermark: string): string {
    return `${watermark}:recent`
  }

  /** The key of a Cluster that tells of the data in the slot of a hash tag. */
  generationIn (tag: string): string {
    return `${this.generation}:{${tag}}`
  }

  /** What the keys of a probe begin with in the slot of a hash tag. */
  probeIn (tag: string): string {
    return `${this.prefix}session-probe:{${tag}}`
  }

  /** A key of one user: `voice-ferry-c4:user-limit:alice`. */
  user (family: UserFamily, username: string): string {
    return this.cluster
      ? `${this.prefix}${family}:{${username}}`
      : `${this.prefix}${family}:${username}`
  }

  /**
   * Whether the keys of a user lie in one slot. In a Cluster those of a name that begins with `}`
   * do not: their hash tag is empty. Such a name is not of our form, so that no lease is of it.
   */
  sharesSlot (username: string): boolean {
    return !this.cluster || (username !== '' && !username.startsWith('}'))
  }

  /** What stands before and after the username in a family's keys, for scripts. */
  aroundUser (family: UserFamily): [before: string, after: string] {
    return this.cluster ? [`${this.prefix}${family}:{`, '}'] : [`${this.prefix}${family}:`, '']
  }

  /** String, written by the switch: what the switch knows about a session. */
  session (sessionId: string): string {
    return `${this.prefix}session:${sessionId}`
  }

  /** What the records of a user's leases begin with. Without a cluster it is the same for all. */
  leasePrefix (username: string): string {
    return this.cluster
      ? `${this.prefix}session-lease:{${username}}:`
      : `${this.prefix}session-lease:`
  }

  /** String, expires: the record of a lease, or of an id that has ended. */
  lease (username: string, sessionId: string): string {
    return this.leasePrefix(username) + sessionId
  }

  /** Sorted set: the leases of one switch node as `<user> <id>`, by their end. */
  nodeLeases (node: string): string {
    return `${this.prefix}node-leases:${node}`
  }

  /** The switch node that an index of leases is of. */
  leasesNodeOf (key: string): string | undefined {
    const head = this.nodeLeases('')
    return key.startsWith(head) ? key.slice(head.length) : undefined
  }

  /** String, expires: the epoch of a switch node, and when it last reported. */
  nodeEpoch (node: string): string {
    return `${this.prefix}node-epoch:${node}`
  }

  /** The switch node that an epoch is of. */
  nodeOf (key: string): string | undefined {
    const head = this.nodeEpoch('')
    return key.startsWith(head) ? key.slice(head.length) : undefined
  }

  /** String, expires: how far a report has come that is sent in parts. */
  nodeReport (node: string): string {
    return `${this.prefix}node-report:${node}`
  }

  /** Set, expires: `user id` of what such a report has listed so far. */
  nodeListed (node: string): string {
    return `${this.prefix}node-listed:${node}`
  }

  /** String, expires: how many requests a caller has sent in the current window. */
  requestCount (caller: string): string {
    return `${this.prefix}request-count:${caller}`
  }

  /**
   * What node-leases keys begin with, for scripts; '' in a cluster, where they are in other slots.
   */
  get nodeLeasesPrefix (): string {
    return this.cluster ? '' : this.nodeLeases('')
  }

  /**
   * What the switch's session keys begin with, for scripts; '' in a cluster, for the same reason.
   */
  get sessionPrefix (): string {
    return this.cluster ? '' : this.session('')
  }

  /** String, expires, only in a cluster: the user that holds a session id. */
  holder (sessionId: string): string {
    return `${this.prefix}session-holder:${sessionId}`
  }

  /** The SCAN pattern for both families that hold a user's sessions: leases and external ones. */
  get userSessionsPattern (): string {
    return this.pattern('user-[sl]e[sa]s*')
  }

  /** The SCAN pattern for both kinds of limits: own and temporary ones. */
  get limitsPattern (): string {
    return this.pattern('user-*[tr]')
  }

  /** The SCAN pattern for all that is swept: both families, and the indexes of the switch nodes. */
  get sweptPattern (): string {
    return `${escapeGlob(this.prefix)}[un][so][ed][re]-[sl]e[sa]s*`
  }

  /** The SCAN pattern for the records of leases and of external sessions. */
  get sessionRecordsPattern (): string {
    return `${escapeGlob(this.prefix)}session[-:]*`
  }

  /** The session id in the key of a lease record or of an external session, and which it is. */
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

  /** The user that a key belongs to; undefined where the key is of another family. */
  usernameOf (family: UserFamily, key: string): string | undefined {
    const head = `${this.prefix}${family}:`
    if (!key.startsWith(head)) return undefined
    const name = key.slice(head.length)
    if (!this.cluster) return name
    return name.startsWith('{') && name.endsWith('}') ? name.slice(1, -1) : undefined
  }

  /** The SCAN pattern for the epochs of all switch nodes. */
  get nodeEpochsPattern (): string {
    return `${escapeGlob(this.nodeEpoch(''))}*`
  }

  /** The SCAN pattern for a family's keys of users whose name begins with `namePrefix`. */
  pattern (family: string, namePrefix = ''): string {
    const tag = this.cluster ? '{' : ''
    return `${escapeGlob(this.prefix)}${family}:${tag}${escapeGlob(namePrefix)}*`
  }
}

/** A Redis glob pattern that matches only the given text. */
export function escapeGlob (text: string): string {
  return text.replace(/[\\*?[\]^]/g, '\\$&')
}
