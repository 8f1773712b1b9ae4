/** Lists over the keyspace: by SCAN, in pages that can be resumed, never holding more than a step in memory. */
import { Cluster, type Redis } from 'ioredis'
import type { Page } from '../../schemas/paging.ts'
import { decodeCursor, encodeCursor } from '../cursor.ts'
import type { RedisGate } from './redis-gate.ts'

/** What a list is made of: the keys it looks at, the names in them, and what is read for each name. */
export interface ScanList<T> {
  pattern: string
  /** The name that a key stands for, or undefined when the key is not of this list. */
  nameOf (key: string): string | undefined
  /** What the list says of each name; a name it has nothing to say of is left out. */
  load (names: string[]): Promise<T[]>
}

/** Which master is scanned, its SCAN cursor (null: that master is done), and names found but not read yet. */
type Position = [master: number, scanCursor: string | null, pending: string[]]

const START: Position = [0, '0', []]
/** The most keys one SCAN looks at, and the least: a page that wants few more entries must not find many. */
const [MOST_KEYS, LEAST_KEYS] = [1000, 16]
/** How many SCANs one page may take: over a huge keyspace with few matches a page is short rather than late. */
const STEPS_PER_PAGE = 200

/**
 * One page of a list. What one step found beyond the page travels in the cursor, so that nothing is skipped.
 * @throws ServiceError `invalid_input` for a foreign cursor, `store_unavailable`
 */
export async function scanPage<T> (gate: RedisGate, list: ScanList<T>, cursor: string, count: number): Promise<Page<T>> {
  const position = cursor === '' ? START : decodeCursor(cursor, isPosition)
  const walk = new ScanWalk(gate, list, position)
  const entries: T[] = []
  for (let step = 0; step < STEPS_PER_PAGE && entries.length < count && !walk.done; step++) {
    entries.push(...await walk.next(count - entries.length))
  }
  return { entries, next_cursor: walk.done ? null : encodeCursor(walk.position) }
}

/** A whole list in batches, each of what one SCAN found. @throws ServiceError `store_unavailable` */
export async function * scanAll<T> (gate: RedisGate, list: ScanList<T>): AsyncGenerator<T[]> {
  const walk = new ScanWalk(gate, list, START)
  while (!walk.done) {
    const batch = await walk.next(Infinity)
    if (batch.length > 0) yield batch
  }
}

class ScanWalk<T> {
  #gate: RedisGate
  #list: ScanList<T>
  #masters: Redis[]
  #master: number
  #scanCursor: string | null
  #pending: string[]
  /** Matches per key looked at, as seen so far: how far one SCAN should look. */
  #density = 1

  constructor (gate: RedisGate, list: ScanList<T>, [master, scanCursor, pending]: Position) {
    this.#gate = gate
    this.#list = list
    this.#masters = mastersOf(gate.client)
    this.#master = master
    this.#scanCursor = scanCursor
    this.#pending = pending
  }

  get done (): boolean {
    return this.#pending.length === 0 && this.#scanCursor === null && this.#master >= this.#masters.length - 1
  }

  get position (): Position {
    return [this.#master, this.#scanCursor, this.#pending]
  }

  /** Up to `wanted` further entries; none is no sign of the end. */
  async next (wanted: number): Promise<T[]> {
    if (this.#pending.length === 0) await this.#scan(wanted)
    const names = this.#pending.slice(0, wanted)
    const entries = names.length === 0 ? [] : await this.#list.load(names)
    this.#pending = this.#pending.slice(names.length)
    return entries
  }

  async #scan (wanted: number): Promise<void> {
    if (this.#scanCursor === null) {
      this.#master++
      this.#scanCursor = '0'
    }
    const master = this.#masters[this.#master]
    if (master === undefined) {
      this.#scanCursor = null
      return
    }
    const look = Math.min(MOST_KEYS, Math.max(LEAST_KEYS, Math.ceil(wanted / this.#density)))
    const [next, keys] = await this.#gate.ask(master.scan(this.#scanCursor, 'MATCH', this.#list.pattern, 'COUNT', look))
    this.#scanCursor = next === '0' ? null : next
    this.#density = Math.max(keys.length / look, 1 / MOST_KEYS)
    for (const key of new Set(keys)) {
      const name = this.#list.nameOf(key)
      if (name !== undefined) this.#pending.push(name)
    }
  }
}

function mastersOf (client: Redis | Cluster): Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client]
}

function isPosition (value: unknown): value is Position {
  if (!Array.isArray(value) || value.length !== 3) return false
  const [master, scanCursor, pending] = value as unknown[]
  return Number.isInteger(master) && (master as number) >= 0 &&
    (scanCursor === null || (typeof scanCursor === 'string' && /^\d{1,20}$/.test(scanCursor))) &&
    Array.isArray(pending) && pending.every((name) => typeof name === 'string')
}
