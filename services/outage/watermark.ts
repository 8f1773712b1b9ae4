/**
 * To when Redis knows everything that this replica does. Each replica writes that to Redis with its
 * probes; what a Redis that is back says of it tells how much has to be told again. It may have
 * lost its last writes, or be a replica that was behind when it took over.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'

/** For how long a mark is kept that nobody renews, in milliseconds. */
const MARK_MEMORY_MS = 86_400_000

/** What a probe says of a mark: what to write, and what may stand there before. */
export interface Marking {
  /** The mark to write; empty to leave it as it is. */
  mark: string
  /** What was there when last seen, and what was written since without an answer. */
  before: [string, string]
  memoryMs: number
}

/** What is known of the mark at one key. */
interface Mark {
  seen: string
  sent: string
  losses: number
}

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
   * @param isAsked - whether Redis is asked: everything known here is in it, or on its way before
   * this probe
   */
  next (key: string, isAsked: boolean): Marking {
    const known = this.#marks.get(key) ?? { seen: '', sent: '', losses: 0 }
    const before: [string, string] = [known.seen, known.sent]
    const mark = isAsked ? String(this.#clock()) : ''
    if (isAsked) this.#marks.set(key, { ...known, sent: mark })
    return { mark, before, memoryMs: MARK_MEMORY_MS }
  }

  /**
   * Takes what a probe has found.
   * @param found - the mark before the probe; empty where there was none
   * @param isAsLeft - whether that is one that may stand there; only then was the mark written
   */
  note (key: string, { mark }: Marking, found: string, isAsLeft: boolean): void {
    const seen = isAsLeft && mark !== '' ? mark : found
    // The answer may come when the next probe has been sent.
    const { sent = '', losses = 0 } = this.#marks.get(key) ?? {}
    this.#marks.set(key, {
      seen,
      sent: isAsLeft && Number(sent) > Number(seen) ? sent : seen,
      losses: isAsLeft ? losses : losses + 1
    })
  }
}
