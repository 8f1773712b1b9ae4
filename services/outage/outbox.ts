/** What was decided while Redis was away and has to be told to it when it is back. */
import { BoundedMap } from '../util/bounded-map.ts'

/** Why a node's sessions lapse: its report of this epoch lacks them, or it was forgotten then. */
export type NodeWord = { epoch: number } | { forgottenMs: number }

/** What a node has said of itself, or an operator of it. */
export interface NodeMessage {
  kind: 'node'
  node: string
  /** The epoch of its last report, and its time to live; undefined where it has sent none. */
  reported: { epoch: number; ttlMs: number } | undefined
  /** When it was forgotten, by the clock of the mirror; undefined if it was not. */
  forgottenMs: number | undefined
}

/**
 * One thing to be told: a session that ended, all sessions of a user that did, a slot that may have
 * been taken for a caller who was refused, a session that its node no longer lists, or what is
 * known of a node.
 */
export type Message =
  | {
    kind: 'ended'
    username: string | undefined
    reason: string
    /** Which attempt has ended; undefined for whichever is live. */
    attempt?: number | undefined
    /** Only a lease of this node; undefined for any. */
    node?: string | undefined
    /** The only node whose sessions the caller might touch; undefined for any. */
    boundTo?: string | undefined
    /** When it has ended. */
    endedMs: number
  }
  | {
    kind: 'user_ended'
    username: string
    reason: string
    includeEmergency: boolean
    /** When all sessions of the user were ended, by the clock of the store as it was then. */
    atMs: number
    /** The same by the clock of the mirror. */
    notedMs: number
  }
  | { kind: 'undo'; username: string; ttlMs: number; boundTo?: string | undefined }
  | { kind: 'lapsed'; username: string; node: string; why: NodeWord }
  | NodeMessage

/** One that is about a session, or all sessions of a user. */
export type SessionMessage = Exclude<Message, NodeMessage>

/**
 * The most messages that are kept; past that the oldest is given up, and its lease ends by its time
 * to live.
 */
const MOST_MESSAGES = 200_000

/**
 * Holds the last message about each session id; and of callers that are bound to a node, the last
 * one of each node, for none of them speaks for the others.
 */
export class Outbox {
  #messages = new BoundedMap<string, [sessionId: string, message: Message]>(MOST_MESSAGES)
  /** Bounded, because a replay that fails leaves it until there is another one. */
  #up: BoundedMap<string, true> | undefined

  get size (): number {
    return this.#messages.size
  }

  /** The sessions that were admitted though Redis, which was asked, refused to note them. */
  readonly refused = new BoundedMap<string, true>(MOST_MESSAGES)

  put (sessionId: string, message: Message): void {
    const key = keyOf(sessionId, message)
    if (key === sessionId) this.#up?.delete(sessionId)
    this.#messages.put(key, [sessionId, message])
  }

  /** Notes that all sessions of a user have ended that began by now. */
  putUser (message: Extract<Message, { kind: 'user_ended' }>): void {
    const { username, includeEmergency } = message
    // No session id has a space in it.
    this.put(` ${includeEmergency ? 'all' : 'ordinary'} ${username}`, message)
  }

  /** Notes what is known of a node, beside what was noted before. */
  putNode (node: string, said: Partial<Pick<NodeMessage, 'reported' | 'forgottenMs'>>): void {
    const key = ` node ${node}`
    const [, before] = this.#messages.get(key) ?? []
    const { reported, forgottenMs } = before?.kind === 'node' ? before : {}
    this.put(key, { kind: 'node', node, reported, forgottenMs, ...said })
  }

  /**
   * This attempt is up on a node: that it ended is not to be told any more, but that earlier ones
   * did, and what other nodes have ended.
   */
  up (sessionId: string, attempt: number, node: string): void {
    for (const key of [sessionId, `${sessionId} ${node}`]) {
      const [, message] = this.#messages.get(key) ?? []
      if (message?.kind === 'ended' && attempt > 0) {
        const before = Math.min(message.attempt ?? Infinity, attempt - 1)
        this.#messages.set(key, [sessionId, { ...message, attempt: before }])
      } else {
        this.#messages.delete(key)
      }
    }
    if (this.#up?.has(sessionId) === false) this.#up.put(sessionId, true)
  }

  /** That an id has ended, for all nodes or for this one, where nobody could tell whose it was. */
  unnamedEnd (
    sessionId: string,
    node = ''
  ): Extract<Message, { kind: 'ended' }> | undefined {
    if (this.size === 0) return undefined
    for (const key of [sessionId, `${sessionId} ${node}`]) {
      const [, message] = this.#messages.get(key) ?? []
      if (message?.kind === 'ended' && message.username === undefined) return message
    }
    return undefined
  }

  /** From now on remembers which sessions were found to be up, until they are taken. */
  trackUp (): void {
    this.#up = new BoundedMap(MOST_MESSAGES)
  }

  /** The sessions that were found to be up since the last call. */
  takeUp (): string[] {
    const ids = [...(this.#up?.keys() ?? [])]
    this.#up?.clear()
    return ids
  }

  /** Nobody needs to know any more which sessions are up. */
  forgetUp (): void {
    this.#up = undefined
  }

  /**
   * Up to so many messages, of those that are wanted; they stay until they are settled.
   * @param isWanted - all by default
   */
  take (
    count: number,
    isWanted: (sessionId: string, message: Message) => boolean = () => true
  ): Array<[sessionId: string, message: Message]> {
    const taken: Array<[string, Message]> = []
    for (const [, entry] of this.#messages) {
      if (isWanted(...entry) && taken.push(entry) === count) break
    }
    return taken
  }

  /** A message was told; unless there is a newer one about the same session, it is done with. */
  settle (sessionId: string, message: Message): void {
    const key = keyOf(sessionId, message)
    if (this.#messages.get(key)?.[1] === message) this.#messages.delete(key)
  }
}

/** No session id has a space in it. */
function keyOf (sessionId: string, message: Message): string {
  const { boundTo } = message.kind === 'ended' ? message : {}
  return boundTo === undefined ? sessionId : `${sessionId} ${boundTo}`
}
