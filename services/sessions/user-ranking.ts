/** Users in the order of their sessions, out of a stream of any length, in bounded memory. */
import { MAX_USERS_DEPTH } from '../../schemas/sessions.ts'
import type { CountEntry } from './session-lists.ts'

/** The first users in both orders, and how many there are in all. */
export interface Ranking {
  sessions_desc: CountEntry[]
  sessions_asc: CountEntry[]
  total: number
}

/** Ranks all entries in the stream. Each order holds its first 10,000. */
export async function rankUsers (batches: AsyncIterable<CountEntry[]>): Promise<Ranking> {
  const [most, fewest] = [new Best(-1), new Best(1)]
  let total = 0
  for await (const batch of batches) {
    total += batch.length
    most.add(batch)
    fewest.add(batch)
  }
  return { sessions_desc: most.first(), sessions_asc: fewest.first(), total }
}

/**
 * The first entries in one order. Holds at most twice as many: whenever there are more, those that
 * can no longer be among the first are dropped.
 */
class Best {
  #entries: CountEntry[] = []
  #order: (a: CountEntry, b: CountEntry) => number

  /** @param sign - 1 for the fewest sessions first, -1 for the most */
  constructor (sign: 1 | -1) {
    this.#order = ([nameA, a], [nameB, b]) =>
      a !== b ? sign * (a - b) : nameA < nameB ? -1 : 1
  }

  add (batch: CountEntry[]): void {
    for (const entry of batch) {
      this.#entries.push(entry)
      if (this.#entries.length > 2 * MAX_USERS_DEPTH) this.#entries = this.first()
    }
  }

  first (): CountEntry[] {
    return this.#entries.sort(this.#order).slice(0, MAX_USERS_DEPTH)
  }
}
