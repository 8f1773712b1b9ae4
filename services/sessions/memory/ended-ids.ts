/** Ids that have ended: as many as a bound allows, each in little memory. */
import { BoundedMap } from '../../util/bounded-map.ts'

/** An id that has ended, remembered until `expiresMs`. */
export interface Ended {
  ended: true
  endedMs: number
  expiresMs: number
  /** Whose it was, where that is known. */
  username: string | undefined
  /** The last attempt that has ended; undefined for whichever was live then. */
  attempt: number | undefined
  /** The node that it was ended for: a session of another one is not meant. Undefined for any. */
  node: string | undefined
  /** The node whose sessions alone the end holds for; undefined for all. */
  onlyNode: string | undefined
}

/** What is kept of one: times count from when the memory was made, which makes them short. */
interface Kept {
  username: string | undefined
  attempt: number | undefined
  node: string | undefined
  onlyNode: string | undefined
  endedAt: number
  expiresAt: number
}

/** How many of the others each new one looks at, whether they can be forgotten. */
const LOOKS = 2

/**
 * Remembers ids until their time is over. When it is full, the id that was put longest ago is
 * forgotten before its time.
 */
export class EndedIds {
  /** How many ids were forgotten before their time. */
  forgotten = 0
  #kept: BoundedMap<string, Kept>
  #baseMs: number | undefined
  #hand: Iterator<[string, Kept]>

  /** @param most - how many ids are remembered */
  constructor (most: number) {
    this.#kept = new BoundedMap(most)
    this.#hand = this.#kept.entries()
  }

  /** How many ids take up memory. */
  get size (): number {
    return this.#kept.size
  }

  get (id: string, now: number): Ended | undefined {
    const kept = this.#kept.get(id)
    const ended = kept && this.#ended(kept)
    return ended !== undefined && ended.expiresMs > now ? ended : undefined
  }

  put (id: string, ended: Omit<Ended, 'ended'>, now: number): void {
    this.#baseMs ??= now
    for (let i = 0; i < LOOKS; i++) this.#look(now)
    const { username, attempt, node, onlyNode, endedMs, expiresMs } = ended
    const endedAt = endedMs - this.#baseMs
    const expiresAt = expiresMs - this.#baseMs
    const kept = { username, attempt, node, onlyNode, endedAt, expiresAt }
    const forgotten = this.#kept.put(id, kept)
    if (forgotten !== undefined) this.forgotten++
  }

  delete (id: string): void {
    this.#kept.delete(id)
  }

  /** Every id that has ended since then. */
  * since (sinceMs: number, now: number): Generator<[sessionId: string, ended: Ended]> {
    for (const [id, kept] of this.#kept) {
      const ended = this.#ended(kept)
      if (ended.endedMs >= sinceMs && ended.expiresMs > now) yield [id, ended]
    }
  }

  #ended ({ endedAt, expiresAt, username, attempt, node, onlyNode }: Kept): Ended {
    const base = this.#baseMs ?? 0
    const [endedMs, expiresMs] = [base + endedAt, base + expiresAt]
    return { ended: true, endedMs, expiresMs, username, attempt, node, onlyNode }
  }

  /** Forgets the next one in turn, if its time is over. */
  #look (now: number): void {
    const { value, done } = this.#hand.next()
    if (done === true) {
      this.#hand = this.#kept.entries()
      return
    }
    const [id, kept] = value
    if ((this.#baseMs ?? 0) + kept.expiresAt <= now) this.#kept.delete(id)
  }
}

/** The later of two attempts; undefined where neither is known. */
export function laterAttempt (
  one: number | undefined,
  other: number | undefined
): number | undefined {
  return one === undefined ? other : Math.max(one, other ?? 0)
}
