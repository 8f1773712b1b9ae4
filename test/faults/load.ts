import { setTimeout as sleep } from 'node:timers/promises'
import { type HttpClient, type Reply, HANG_MS } from './http-client.ts'

/** What a request was for. */
export type Verb = 'acquire' | 'renew' | 'release'

/** One admission, renewal or release of the load, in the order of the answers. */
export interface Recorded extends Omit<Reply, 'body' | 'retryAfter'> {
  verb: Verb
  degraded: boolean
  code: string | undefined
}

/** What the caller knows of a session: only what it was told. */
interface Known {
  id: string
  username: string
  /**
   * `refused` was never admitted, `ended` was released; of an `unknown` one an answer is missing.
   */
  state: 'live' | 'ended' | 'refused' | 'unknown'
  /** Whether a request about it is under way. */
  busy: boolean
  changedMs: number
}

/** How to load the service. */
export interface LoadOptions {
  /** How many users call. Default: 20. */
  users?: number
  /** The limit that each of them has. Default: 5. */
  limit?: number
  /** Requests a second, sent whether or not the ones before are answered. Default: 200. */
  perSecond?: number
  /** Time to live of a lease, in seconds. Default: 90. */
  ttl?: number
  /** What the ids and users begin with. */
  name?: string
}

/** The most requests under way at once: a service that hangs must not make the test grow. */
const MOST_IN_FLIGHT = 600
const TICK_MS = 5

/**
 * A steady load of admissions, renewals and releases, by callers who remember what they were told.
 */
export class Load {
  readonly records: Recorded[] = []
  readonly options: Required<LoadOptions>
  /** Admissions that gave a user more live sessions than its limit, by what the caller was told. */
  over = 0
  /** Sessions that were live, and of which a renewal or release said otherwise. */
  vanished = 0
  /** Requests that were not sent, because too many were under way. */
  skipped = 0
  #client: HttpClient
  #sessions = new Map<string, Known>()
  #live = new Map<string, Set<Known>>()
  #inFlight = 0
  #running: Promise<void> | undefined
  #stopping = false
  #next = 0

  constructor (client: HttpClient, options: LoadOptions = {}) {
    this.#client = client
    this.options = { users: 20, limit: 5, perSecond: 200, ttl: 90, name: 'load', ...options }
  }

  /** The names of the users that call. */
  get usernames (): string[] {
    return Array.from({ length: this.options.users }, (_, i) => `${this.options.name}-user-${i}`)
  }

  start (): void {
    this.#stopping = false
    this.#running = this.#run()
  }

  /** Sends nothing more and waits for what is under way. */
  async stop (): Promise<void> {
    this.#stopping = true
    await this.#running
    const until = performance.now() + 2 * HANG_MS
    while (this.#inFlight > 0 && performance.now() < until) await sleep(TICK_MS)
  }

  /** Sessions nothing is under way for, as `user id`, with when the caller last heard of them. */
  known (state: Known['state']): Map<string, number> {
    const found = new Map<string, number>()
    for (const session of this.#sessions.values()) {
      if (session.state === state && !session.busy) {
        found.set(`${session.username} ${session.id}`, session.changedMs)
      }
    }
    return found
  }

  /** Takes one slot, for this user. */
  async acquire (username: string, id = `${this.options.name}-${this.#next++}`): Promise<Reply> {
    const session: Known = { id, username, state: 'unknown', busy: true, changedMs: 0 }
    this.#sessions.set(id, session)
    const reply = await this.#send('acquire', session, 'POST', '/api/sessions', {
      username,
      session_id: id,
      ttl: this.options.ttl
    })
    if (reply.body?.allowed === true) {
      for (const gone of reply.body.terminated as string[]) {
        this.#set(this.#sessions.get(gone), 'ended')
      }
      this.#set(session, 'live')
      const unasked = [...this.#liveOf(username)].filter(
        ({ id, busy }) => id === session.id || !busy || this.#renewing.has(id)
      )
      if (unasked.length > this.options.limit) this.over++
    } else if (reply.status === 409 || reply.status === 503) {
      this.#set(session, 'refused')
    }
    return reply
  }

  #renewing = new Set<string>()

  async #renew (session: Known): Promise<void> {
    this.#renewing.add(session.id)
    const { id, username } = session
    const reply = await this.#send('renew', session, 'POST', `/api/sessions/${id}/renew`, {
      username,
      ttl: this.options.ttl
    })
    this.#renewing.delete(session.id)
    if (reply.status === 410 || reply.status === 409) {
      if (session.state === 'live') this.vanished++
      this.#set(session, 'ended')
    }
  }

  async #release (session: Known): Promise<void> {
    const reply = await this.#send(
      'release',
      session,
      'DELETE',
      `/api/sessions/${session.id}?username=${session.username}`
    )
    this.#set(session, reply.status === 200 ? 'ended' : 'unknown')
  }

  async #send (
    verb: Verb,
    session: Known,
    method: string,
    path: string,
    body?: object
  ): Promise<Reply> {
    session.busy = true
    this.#inFlight++
    const reply = await this.#client.ask(method, path, body)
    this.#inFlight--
    session.busy = false
    session.changedMs = performance.now()
    const { atMs, ms, status, failure } = reply
    this.records.push({
      verb,
      atMs,
      ms,
      status,
      degraded: reply.body?.degraded === true,
      code: reply.body?.code,
      ...(failure !== undefined && { failure })
    })
    return reply
  }

  #set (session: Known | undefined, state: Known['state']): void {
    if (session === undefined) return
    session.state = state
    session.changedMs = performance.now()
    if (state === 'live') this.#liveOf(session.username).add(session)
    else this.#liveOf(session.username).delete(session)
  }

  #liveOf (username: string): Set<Known> {
    const live = this.#live.get(username) ?? new Set()
    this.#live.set(username, live)
    return live
  }

  async #run (): Promise<void> {
    const startMs = performance.now()
    let sent = 0
    while (!this.#stopping) {
      const due = Math.floor(((performance.now() - startMs) / 1000) * this.options.perSecond)
      for (; sent < due; sent++) {
        if (this.#inFlight >= MOST_IN_FLIGHT) this.skipped++
        else void this.#one()
      }
      await sleep(TICK_MS)
    }
  }

  /** Users hover around their limit, so that many an admission is refused. */
  async #one (): Promise<void> {
    const username = `${this.options.name}-user-${Math.floor(Math.random() * this.options.users)}`
    const idle = [...this.#liveOf(username)].filter(({ busy }) => !busy)
    const one = idle[Math.floor(Math.random() * idle.length)]
    const dice = Math.random()
    if (one !== undefined && dice < 0.35) await this.#renew(one)
    else if (one !== undefined && dice < 0.6 && idle.length >= this.options.limit - 1) {
      await this.#release(one)
    } else await this.acquire(username)
  }
}
