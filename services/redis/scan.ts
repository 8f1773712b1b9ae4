/**
 * Lists that are read with SCAN, in pages that can be resumed. No more than the names of one step
 * are held in memory.
 */
import { Cluster, type Redis } from 'ioredis'
import type { Page, PageRequest } from '../../schemas/paging.ts'
import { decodeCursor, encodeCursor } from '../util/cursor.ts'
import { storeUnavailable } from '../errors.ts'
import type { RedisExecutor } from './executor.ts'
import type { IsGone, WalkTurns } from './walk-turns.ts'

/**
 * What is scanned, the keyspace of a master or one big key. A step begins at a SCAN cursor and
 * looks at about `look` entries.
 * @returns the next cursor, which is '0' at the end, and the names that were found
 */
export type Source = (cursor: string, look: number) => Promise<[cursor: string, names: string[]]>

/** A list: what is scanned for it, and how an entry is made from each name. */
export interface ScanList<T> {
  sources: Source[]
  /** The entries of the names. A name may have no entry. */
  load(names: string[]): Promise<T[]>
  /** Where the steps wait for their turn; they do not where there is none. */
  turns?: WalkTurns
}

/** The keyspaces of all masters, as sources of the names in the keys that match a pattern. */
export function keyspaces (
  executor: RedisExecutor,
  pattern: string,
  nameOf: (key: string) => string | undefined
): Source[] {
  return mastersOf(executor.client).map((master): Source => async (cursor, look) => {
    const [next, keys] = await executor.run(master.scan(cursor, 'MATCH', pattern, 'COUNT', look))
    const names = new Set(keys.map(nameOf))
    names.delete(undefined)
    return [next, [...names] as string[]]
  })
}

/**
 * How far a list was read: the source, the SCAN cursor in it (null at its end) and the names that
 * were found but not read yet. If those are too many for a cursor, the position has none of them
 * but the last name that was read (`after`), and the step is repeated for the names after that one.
 * This works because Redis finds so many names in one step only in a small collection, of which
 * every step returns all names.
 */
type Position = [source: number, scanCursor: string | null, pending: string[], after?: string]

const START: Position = [0, '0', []]
/**
 * The most keys that one SCAN looks at, so that other callers of Redis and of this process wait for
 * a millisecond at most; and the fewest, so that a page which needs few more entries does not find
 * many.
 */
const [MOST_KEYS, LEAST_KEYS] = [500, 16]
/** The most bytes of names, as JSON, in a cursor. A query parameter may be longer than that. */
const MOST_PENDING = 6000
/** Redis reads cursors as unsigned 64-bit integers. */
const CURSORS_END = 2n ** 64n
/**
 * The most SCANs for one page. In a huge keyspace with few matches a page has few entries, rather
 * than taking long.
 */
const STEPS_PER_PAGE = 400

/**
 * One page of a list. Names that a step found beyond the page are kept in the cursor, so that none
 * is skipped.
 * @throws ServiceError `invalid_input` for a cursor of another list, `store_unavailable`
 */
export async function scanPage<T> (
  list: ScanList<T>,
  { cursor, count, isGone }: PageRequest
): Promise<Page<T>> {
  const walk = new ScanWalk(list, cursor === '' ? START : decodeCursor(cursor, isPosition))
  const entries: T[] = []
  for (let step = 0; step < STEPS_PER_PAGE && entries.length < count && !walk.done; step++) {
    entries.push(...(await inTurn(list, () => walk.next(count - entries.length), isGone)))
  }
  return { entries, next_cursor: walk.done ? null : encodeCursor(walk.position) }
}

/** A whole list, in batches that are not empty. @throws ServiceError `store_unavailable` */
export async function * scanAll<T> (list: ScanList<T>, isGone?: IsGone): AsyncGenerator<T[]> {
  for await (const batch of scanSteps(list, MOST_KEYS, isGone)) if (batch.length > 0) yield batch
}

/**
 * A whole list, step by step. A step may find nothing.
 * @param stepKeys - about how many keys each step looks at
 * @throws ServiceError `store_unavailable`
 */
export async function * scanSteps<T> (
  list: ScanList<T>,
  stepKeys = MOST_KEYS,
  isGone?: IsGone
): AsyncGenerator<T[]> {
  const walk = new ScanWalk(list, START, stepKeys)
  while (!walk.done) yield await inTurn(list, () => walk.next(Infinity), isGone)
}

async function inTurn<T> (
  { turns }: ScanList<unknown>,
  step: () => Promise<T>,
  isGone: IsGone | undefined
): Promise<T> {
  return turns === undefined ? await step() : await turns.step(step, isGone)
}

class ScanWalk<T> {
  #list: ScanList<T>
  #mostKeys: number
  #source: number
  #scanCursor: string | null
  #pending: string[]
  /** The last name read of those that the current step found, and where that step began. */
  #after: string | undefined
  #stepCursor: string | null = null
  /** Names found per key looked at, as in the last step: how many keys a step should look at. */
  #density = 1

  constructor (
    list: ScanList<T>,
    [source, scanCursor, pending, after]: Position,
    mostKeys = MOST_KEYS
  ) {
    this.#list = list
    this.#mostKeys = mostKeys
    this.#source = source
    this.#scanCursor = scanCursor
    this.#pending = pending
    this.#after = after
  }

  get done (): boolean {
    return (
      this.#pending.length === 0 &&
      this.#scanCursor === null &&
      this.#source >= this.#list.sources.length - 1
    )
  }

  get position (): Position {
    if (fitInCursor(this.#pending) || this.#after === undefined) {
      return [this.#source, this.#scanCursor, this.#pending]
    }
    return [this.#source, this.#stepCursor, [], this.#after]
  }

  /** Up to `wanted` further entries. There may be more after a step that returns none. */
  async next (wanted: number): Promise<T[]> {
    if (this.#pending.length === 0) await this.#scan(wanted)
    const names = this.#pending.slice(0, wanted)
    const entries = names.length === 0 ? [] : await this.#list.load(names)
    this.#pending = this.#pending.slice(names.length)
    this.#after = this.#pending.length === 0 ? undefined : names.at(-1)
    return entries
  }

  async #scan (wanted: number): Promise<void> {
    if (this.#scanCursor === null) {
      this.#source++
      this.#scanCursor = '0'
    }
    const source = this.#list.sources[this.#source]
    if (source === undefined) {
      this.#scanCursor = null
      return
    }
    let look = Math.min(this.#mostKeys, Math.max(LEAST_KEYS, Math.ceil(wanted / this.#density)))
    let [next, names] = await source(this.#scanCursor, look)
    while (look > 1 && !fitInCursor(names.slice(wanted))) {
      look = look > LEAST_KEYS ? LEAST_KEYS : 1
      ;[next, names] = await source(this.#scanCursor, look)
    }
    this.#stepCursor = this.#scanCursor
    this.#scanCursor = next === '0' ? null : next
    this.#density = Math.max(names.length / look, 1 / MOST_KEYS)
    const after = this.#after
    this.#pending = names.sort().filter((name) => after === undefined || name > after)
  }
}

/**
 * The masters, in the order of their first slots, so that a cursor means the same to every replica
 * of the service.
 */
function mastersOf (client: Redis | Cluster): Redis[] {
  if (!(client instanceof Cluster)) return [client]
  const firstSlots = new Map<string, number>()
  client.slots.forEach(([master = ''], slot) => {
    if (!firstSlots.has(master)) firstSlots.set(master, slot)
  })
  const firstSlotOf = ({ options: { host, port } }: Redis) =>
    firstSlots.get(`${host}:${port}`) ?? Infinity
  const masters = client.nodes('master')
  // Without one of them a list would lack what lies there, and nobody could tell.
  if (masters.length < firstSlots.size) {
    throw storeUnavailable(new Error('a master of the Cluster is not connected'))
  }
  return masters.sort((a, b) => firstSlotOf(a) - firstSlotOf(b))
}

/** Whether so many names fit into a cursor. */
function fitInCursor (names: string[]): boolean {
  return Buffer.byteLength(JSON.stringify(names)) <= MOST_PENDING
}

function isPosition (value: unknown): value is Position {
  if (!Array.isArray(value) || value.length < 3 || value.length > 4) return false
  const [source, scanCursor, pending, after] = value as unknown[]
  return (
    Number.isInteger(source) &&
    (source as number) >= 0 &&
    (scanCursor === null ||
      (typeof scanCursor === 'string' &&
        /^\d{1,20}$/.test(scanCursor) &&
        BigInt(scanCursor) < CURSORS_END)) &&
    Array.isArray(pending) &&
    pending.every((name) => typeof name === 'string') &&
    (after === undefined || typeof after === 'string')
  )
}
