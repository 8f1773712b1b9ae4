/**
 * Lists over the keyspace: by SCAN, in pages that can be resumed, never holding more than a step in
 * memory.
 */
import { Cluster, type Redis } from 'ioredis'
import type { Page } from '../../schemas/paging.ts'
import { decodeCursor, encodeCursor } from '../util/cursor.ts'
import type { RedisExecutor } from './executor.ts'

/**
 * One thing to go through, the keyspace of a master or a big key: from a SCAN cursor, looking at
 * about `look` entries.
 * @returns the next cursor, '0' at the end, and the names found
 */
export type Source = (cursor: string, look: number) => Promise<[cursor: string, names: string[]]>

/** What a list is made of: what it goes through, and what it says of each name found there. */
export interface ScanList<T> {
  sources: Source[]
  /** What the list says of each name; a name it has nothing to say of is left out. */
  load(names: string[]): Promise<T[]>
}

/** The keyspaces of all masters, as sources of the names in keys that match a pattern. */
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
 * Which source is gone through, the SCAN cursor in it (null: that one is done), and names found but
 * not read yet. Where those are too many to travel, there are none, and the step that found them is
 * taken once more, up to what comes after the last one read: Redis gives so many in one step only
 * where it gives all there are, whatever the cursor.
 */
type Position = [source: number, scanCursor: string | null, pending: string[], after?: string]

const START: Position = [0, '0', []]
/**
 * The most keys one SCAN looks at, so that whoever else asks Redis or this process is held up for a
 * millisecond at most; and the least: a page that wants few more entries must not find many.
 */
const [MOST_KEYS, LEAST_KEYS] = [500, 16]
/**
 * The most bytes of names, as JSON, that may travel in a cursor: well within what a query takes.
 */
const MOST_PENDING = 6000
/** Redis reads cursors as unsigned 64-bit integers. */
const CURSORS_END = 2n ** 64n
/**
 * How many SCANs one page may take: over a huge keyspace with few matches a page is short rather
 * than late.
 */
const STEPS_PER_PAGE = 400

/**
 * One page of a list. What one step found beyond the page travels in the cursor, so that nothing is
 * skipped.
 * @throws ServiceError `invalid_input` for a foreign cursor, `store_unavailable`
 */
export async function scanPage<T> (
  list: ScanList<T>,
  cursor: string,
  count: number
): Promise<Page<T>> {
  const walk = new ScanWalk(list, cursor === '' ? START : decodeCursor(cursor, isPosition))
  const entries: T[] = []
  for (let step = 0; step < STEPS_PER_PAGE && entries.length < count && !walk.done; step++) {
    entries.push(...(await walk.next(count - entries.length)))
  }
  return { entries, next_cursor: walk.done ? null : encodeCursor(walk.position) }
}

/** A whole list in batches that have something in them. @throws ServiceError `store_unavailable` */
export async function * scanAll<T> (list: ScanList<T>): AsyncGenerator<T[]> {
  for await (const batch of scanSteps(list)) if (batch.length > 0) yield batch
}

/**
 * A whole list step by step, each of them looking at about so many keys; many steps find nothing.
 * @throws ServiceError `store_unavailable`
 */
export async function * scanSteps<T> (list: ScanList<T>, stepKeys = MOST_KEYS): AsyncGenerator<T[]> {
  const walk = new ScanWalk(list, START, stepKeys)
  while (!walk.done) yield await walk.next(Infinity)
}

class ScanWalk<T> {
  #list: ScanList<T>
  #mostKeys: number
  #source: number
  #scanCursor: string | null
  #pending: string[]
  /** The last name read of the step that found what is pending, and where that step began. */
  #after: string | undefined
  #stepCursor: string | null = null
  /** Matches per entry looked at, as seen so far: how far one step should look. */
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
    if (canTravel(this.#pending) || this.#after === undefined) {
      return [this.#source, this.#scanCursor, this.#pending]
    }
    return [this.#source, this.#stepCursor, [], this.#after]
  }

  /** Up to `wanted` further entries; none is no sign of the end. */
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
    while (look > 1 && !canTravel(names.slice(wanted))) {
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
 * In a cluster in the order of their first slots: a cursor from one replica must mean the same to
 * every other.
 */
function mastersOf (client: Redis | Cluster): Redis[] {
  if (!(client instanceof Cluster)) return [client]
  const firstSlots = new Map<string, number>()
  client.slots.forEach(([master = ''], slot) => {
    if (!firstSlots.has(master)) firstSlots.set(master, slot)
  })
  const firstSlotOf = ({ options: { host, port } }: Redis) =>
    firstSlots.get(`${host}:${port}`) ?? Infinity
  return client.nodes('master').sort((a, b) => firstSlotOf(a) - firstSlotOf(b))
}

function canTravel (names: string[]): boolean {
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
