/**
 * All API keys in memory, so that a request is checked without a question to the store. They are
 * read again twice a second: a key that is made or revoked anywhere counts everywhere within a
 * second.
 */
import type { Clock } from '../../clock.ts'
import { storeUnavailable } from '../../errors.ts'
import { BoundedMap } from '../../util/bounded-map.ts'
import { repeat, repeatLater, type Repeated } from '../../util/repeat.ts'
import { ROLES, type Caller } from '../permissions.ts'
import { isSecretOf, makeApiKey, partsOf, type ApiKey, type NewApiKey } from './api-key.ts'
import { MAX_API_KEYS, type ApiKeyStore } from './api-key-store.ts'

/** How often the keys are read again, in milliseconds: well within the promised second. */
const REFRESH_MS = 500
/** How often the last uses are written, in milliseconds: at most once, for all keys together. */
const NOTE_USES_MS = 30_000

/** A key with what is made of it once. */
interface Held {
  key: ApiKey
  hash: Buffer
  caller: Caller
  usedMs: number | undefined
}

/** Told when reading the keys begins to fail and when it works again. */
export type RingReport = (outcome: { keys: number } | { error: unknown }) => void

/** Knows the keys, and when they were last used. */
export class ApiKeyRing {
  #store: ApiKeyStore
  #clock: Clock
  #report: RingReport
  #held = new Map<string, Held>()
  #version: string | undefined
  #failing = false
  /** Keys that were revoked here. What was read meanwhile may still have them. */
  #revoked = new BoundedMap<string, true>(MAX_API_KEYS)
  #unwritten = new Map<string, number>()
  #loops: Repeated[] = []

  constructor (store: ApiKeyStore, clock: Clock, report: RingReport) {
    this.#store = store
    this.#clock = clock
    this.#report = report
  }

  /** Reads the keys now and from then on. Resolves after the first reading, failed or not. */
  async start (): Promise<void> {
    const reading = repeat({
      work: async () => await this.refresh(),
      onError: (error) => {
        if (!this.#failing) this.#report({ error })
        this.#failing = true
      },
      everyMs: REFRESH_MS
    })
    const writing = repeatLater({
      work: async () => await this.noteUses(),
      onError: () => {},
      everyMs: NOTE_USES_MS
    })
    this.#loops = [reading, writing]
    await reading.first
  }

  /** Stops reading, and writes the last uses once more. */
  async stop (): Promise<void> {
    for (const loop of this.#loops) loop.stop()
    await this.noteUses().catch(() => {})
  }

  /**
   * The caller that a key stands for; undefined for what is not a key, or not a valid one.
   * @throws ServiceError `store_unavailable` while no keys have been read yet
   */
  callerOf (text: string): Caller | undefined {
    const { id, secret } = partsOf(text) ?? {}
    if (id === undefined || secret === undefined) return undefined
    if (this.#version === undefined) throw storeUnavailable(new Error('no API keys were read yet'))
    const held = this.#held.get(id)
    if (held === undefined || !isSecretOf(secret, held.hash)) return undefined
    const now = this.#clock()
    if (now >= held.key.expiresMs) return undefined
    held.usedMs = now
    this.#unwritten.set(id, now)
    return held.caller
  }

  /** Makes a key, which counts here at once. @returns its text and its record */
  async make (request: NewApiKey): Promise<{ text: string; key: ApiKey }> {
    const made = makeApiKey(request, this.#clock())
    await this.#store.add(made.key)
    await this.refresh()
    return made
  }

  /** Revokes a key, here at once; false if there is none with this id. */
  async revoke (id: string): Promise<boolean> {
    const revoked = await this.#store.remove(id)
    this.#revoked.put(id, true)
    this.#held.delete(id)
    // The keys are read anew, also where Redis has lost this change by then.
    this.#version &&= 'before a revocation'
    this.#unwritten.delete(id)
    return revoked
  }

  /** All keys with their last uses, as the store has them and as this replica has seen them. */
  async list (): Promise<Array<{ key: ApiKey; usedMs: number | undefined }>> {
    await this.refresh()
    const uses = await this.#store.lastUses()
    return [...this.#held.values()].map(({ key, usedMs }) => {
      const last = Math.max(usedMs ?? 0, uses.get(key.id) ?? 0)
      return { key, usedMs: last === 0 ? undefined : last }
    })
  }

  /** The keys that have been used here, and their ends in milliseconds since the epoch. */
  endsInUse (): Array<{ name: string; endMs: number }> {
    const used = [...this.#held.values()].filter(({ usedMs }) => usedMs !== undefined)
    return used.map(({ key: { name, expiresMs: endMs } }) => ({ name, endMs }))
  }

  /**
   * Reads the keys, if they have changed. Those that were revoked here are removed once more: a
   * Redis that lost its last writes may have them again.
   */
  async refresh (): Promise<void> {
    const read = await this.#store.read(this.#version)
    if (read !== undefined) {
      const valid = read.keys.filter(({ id }) => !this.#revoked.has(id))
      this.#held = new Map(valid.map((key) => [key.id, this.#hold(key)]))
      for (const { id } of read.keys) if (!this.#held.has(id)) await this.#store.remove(id)
      this.#version = read.version
    }
    if (this.#failing) this.#report({ keys: this.#held.size })
    this.#failing = false
  }

  /** Writes the last uses that are not written yet. */
  async noteUses (): Promise<void> {
    const uses = new Map([...this.#unwritten].filter(([id]) => this.#held.has(id)))
    this.#unwritten = new Map()
    if (uses.size > 0) await this.#store.noteUses(uses)
  }

  #hold (key: ApiKey): Held {
    const { id, name, role, node } = key
    return {
      key,
      hash: Buffer.from(key.hash, 'hex'),
      usedMs: this.#held.get(id)?.usedMs,
      caller: {
        username: undefined,
        issuer: undefined,
        tokenId: id,
        roles: [role],
        permissions: new Set(ROLES.get(role) ?? []),
        node,
        apiKeyName: name
      }
    }
  }
}
