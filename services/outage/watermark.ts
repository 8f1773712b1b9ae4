/**
 * To when Redis knows everything that this replica does. Each replica writes that to Redis with its
 * probes; what a Redis that is back says of it tells how much has to be told again. It may have
 * lost its last writes, or be a replica that was behind when it took over.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'

/** For how long a mark is kept that nobody renews, in milliseconds. */
const MARK_MEMORY_MS = 86_400_000

/**
 * In how long the key expires that shows that nothing has expired before its time, in milliseconds:
 * sooner than any record of a session.
 */
const RECENT_MS = 10_000

/** What a probe says of a mark: what to write, and what may stand there before. */
export interface Marking {
  /** The mark to write; empty to leave it as it is. */
  mark: string
  /** What was there when last seen, and what was written since without an answer. */
  before: [string, string]
  /** On which server processes it is written; none for any. */
  servers: string[]
  memoryMs: number
  /** In how long the key expires that is written beside the mark, in milliseconds. */
  recentMs: number
  /** When it is sent, by the clock. */
  sentMs: number
  /** Whether a probe was answered so short a time ago that what it has written is still there. */
  isRecent: boolean
}

/** What a probe has found of a mark. */
export interface Found {
  /** The mark before the probe; empty where there was none. */
  mark: string
  /** Whether that is one that may stand there. */
  isAsLeft: boolean
  /** Which server process answered; '' where it does not say. */
  server: string
}

/** What is known of the mark at one key. */
interface Mark {
  seen: string
  sent: string
  losses: number
  /** When the last probe was sent that was answered, by the clock. */
  answeredMs: number
}

const UNKNOWN: Mark = { seen: '', sent: '', losses: 0, answeredMs: -Infinity }

/** Keeps the marks of this replica: one for each key that is probed. */
export class Watermark {
  /** Tells the marks of this process from those of others: nobody else can use them. */
  readonly replica = randomUUID()
  #clock: Clock
  #marks = new Map<string, Mark>()

  /** @param clock - the one by which everything that can be told is noted */
  constructor (clock: Clock) {
    this.#clock = clock
  }

  /**
   * Since when everything has to be told where these keys lie, by the clock; -Infinity where nobody
   * knows that.
   */
  sinceMs (keys: string[]): number {
    const since = keys.map((key) => {
      const { seen = '' } = this.#marks.get(key) ?? {}
      return seen === '' ? -Infinity : Number(seen)
    })
    return since.length === 0 ? -Infinity : Math.min(...since)
  }

  /** How often the server of a key was found to have lost something. */
  losses (key: string): number {
    return this.#marks.get(key)?.losses ?? 0
  }

  /**
   * What the next probe of a key is to write.
   * @param asked - which server processes are asked, none for any: everything known here is there,
   * or on its way before this probe; undefined while none is asked
   */
  next (key: string, asked: string[] | undefined): Marking {
    const known = this.#marks.get(key) ?? UNKNOWN
    const before: [string, string] = [known.seen, known.sent]
    const sentMs = this.#clock()
    const mark = asked === undefined ? '' : String(sentMs)
    const isRecent = sentMs - known.answeredMs < RECENT_MS / 2
    if (mark !== '') this.#marks.set(key, { ...known, sent: mark })
    const times = { memoryMs: MARK_MEMORY_MS, recentMs: RECENT_MS, sentMs }
    return { mark, before, servers: asked ?? [], ...times, isRecent }
  }

  /**
   * Takes what a probe has found. It has written its mark over one that may stand there, but not on
   * a server process that was not asked before: one that came back with older data may have the
   * same mark, and lack what was told after it.
   */
  note (key: string, marking: Marking, { mark: found, isAsLeft, server }: Found): void {
    const { mark, servers, sentMs } = marking
    const isAsked = servers.length === 0 || servers.includes(server)
    const seen = isAsLeft && isAsked && mark !== '' ? mark : found
    // The answer may come when the next probe has been sent.
    const { sent, losses } = this.#marks.get(key) ?? UNKNOWN
    this.#marks.set(key, {
      seen,
      sent: isAsLeft && Number(sent) > Number(seen) ? sent : seen,
      losses: isAsLeft ? losses : losses + 1,
      answeredMs: sentMs
    })
  }
}
