/**
 * What was asked, and what came of it. `unknown`: there was no answer, so it may have happened, or
 * may yet.
 */
export const KINDS = ['acquire', 'renew', 'release'] as const
export const OUTCOMES = [
  'unknown',
  'not sent',
  'admitted',
  'refreshed',
  'refused',
  'ended',
  'renewed',
  'reregistered',
  'released',
  'not up'
] as const
export type Kind = (typeof KINDS)[number]
export type Outcome = (typeof OUTCOMES)[number]

/** One operation; times in milliseconds by one monotonic clock. */
export interface Operation {
  kind: Kind
  session: number
  outcome: Outcome
  invoked: number
  completed: number
}

/** A history as it travels between threads. */
export interface HistoryData {
  length: number
  kinds: Uint8Array
  outcomes: Uint8Array
  sessions: Uint32Array
  invoked: Float64Array
  completed: Float64Array
  /** The user of each session. */
  users: Uint32Array
  sessionCount: number
}

/** All operations on all sessions, in little memory: a million of them take some 30 MB. */
export class History {
  readonly data: HistoryData

  constructor (data: HistoryData) {
    this.data = data
  }

  /** An empty one with room for so many operations. */
  static withRoomFor (operations: number): History {
    return new History({
      length: 0,
      kinds: new Uint8Array(operations),
      outcomes: new Uint8Array(operations),
      sessions: new Uint32Array(operations),
      invoked: new Float64Array(operations),
      completed: new Float64Array(operations),
      users: new Uint32Array(operations),
      sessionCount: 0
    })
  }

  get length (): number {
    return this.data.length
  }

  get isFull (): boolean {
    return this.data.length >= this.data.kinds.length
  }

  /** A new session of a user; returns its number. */
  addSession (user: number): number {
    this.data.users[this.data.sessionCount] = user
    return this.data.sessionCount++
  }

  /** Notes an operation that begins now; it is unknown until it has ended. */
  begin (kind: Kind, session: number, invoked: number): number {
    const at = this.data.length++
    this.data.kinds[at] = KINDS.indexOf(kind)
    this.data.sessions[at] = session
    this.data.invoked[at] = invoked
    this.data.completed[at] = Infinity
    return at
  }

  end (at: number, outcome: Outcome, completed: number): void {
    this.data.outcomes[at] = OUTCOMES.indexOf(outcome)
    this.data.completed[at] = completed
  }

  userOf (session: number): number {
    return this.data.users[session] ?? 0
  }

  operation (at: number): Operation {
    const { kinds, outcomes, sessions, invoked, completed } = this.data
    return {
      kind: KINDS[kinds[at] ?? 0] ?? 'acquire',
      session: sessions[at] ?? 0,
      outcome: OUTCOMES[outcomes[at] ?? 0] ?? 'unknown',
      invoked: invoked[at] ?? 0,
      completed: completed[at] ?? 0
    }
  }

  /** The operations of each session, in the order in which they were invoked. */
  bySession (): Operation[][] {
    const all: Operation[][] = Array.from({ length: this.data.sessionCount }, () => [])
    for (let at = 0; at < this.data.length; at++) {
      const operation = this.operation(at)
      all[operation.session]?.push(operation)
    }
    return all
  }

  /** How many operations had each outcome. */
  tally (): Record<string, number> {
    const tally: Record<string, number> = {}
    for (let at = 0; at < this.data.length; at++) {
      const { kind, outcome } = this.operation(at)
      tally[`${kind} ${outcome}`] = (tally[`${kind} ${outcome}`] ?? 0) + 1
    }
    return tally
  }
}
