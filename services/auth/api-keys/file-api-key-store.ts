/** API keys in a file, for a service that keeps everything else in memory. */
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { storeUnavailable } from '../../errors.ts'
import { BoundedMap } from '../../util/bounded-map.ts'
import { decodeApiKey, type ApiKey } from './api-key.ts'
import { MAX_API_KEYS, tooManyApiKeys, type ApiKeySet, type ApiKeyStore } from './api-key-store.ts'

/**
 * How often, and after how many milliseconds, a file that another process changes is tried again.
 */
const [LOCK_TRIES, LOCK_RETRY_MS] = [40, 50]
/** After how many milliseconds a lock counts as left behind by a process that died. */
const LOCK_STALE_MS = 10_000

/**
 * Keeps keys in one JSON file, which the service and the command line change in turn. Last uses are
 * kept in memory: they are of this process only.
 */
export class FileApiKeyStore implements ApiKeyStore {
  #path: string
  #uses = new BoundedMap<string, number>(MAX_API_KEYS)

  constructor (path: string) {
    this.#path = path
  }

  async read (knownVersion: string | undefined): Promise<ApiKeySet | undefined> {
    return await this.#orUnavailable(async () => {
      const version = await this.#version()
      if (version === knownVersion) return undefined
      return { version, keys: version === 'none' ? [] : await this.#keys() }
    })
  }

  async add (key: ApiKey): Promise<void> {
    await this.#change((keys) => {
      if (keys.length >= MAX_API_KEYS) throw tooManyApiKeys()
      return [...keys, key]
    })
  }

  async remove (id: string): Promise<boolean> {
    let removed = false
    await this.#change((keys) => {
      const others = keys.filter((key) => key.id !== id)
      removed = others.length < keys.length
      return others
    })
    this.#uses.delete(id)
    return removed
  }

  async noteUses (uses: ReadonlyMap<string, number>): Promise<void> {
    for (const [id, atMs] of uses) this.#uses.put(id, atMs)
  }

  async lastUses (): Promise<Map<string, number>> {
    return new Map(this.#uses)
  }

  /** Tells one state of the file from another: every change replaces the file. */
  async #version (): Promise<string> {
    try {
      const { ino, mtimeMs, size } = await stat(this.#path)
      return `${ino} ${mtimeMs} ${size}`
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'none'
      throw error
    }
  }

  async #keys (): Promise<ApiKey[]> {
    const { keys } = JSON.parse(await readFile(this.#path, 'utf8')) as { keys?: unknown }
    if (!Array.isArray(keys)) throw new Error(`${this.#path} has no list of keys`)
    return keys.map((value) => {
      const key = decodeApiKey(value)
      if (key === undefined) throw new Error(`${this.#path} has a malformed key`)
      return key
    })
  }

  async #change (change: (keys: ApiKey[]) => ApiKey[]): Promise<void> {
    await this.#orUnavailable(async () => {
      const lock = `${this.#path}.lock`
      await takeLock(lock)
      try {
        const keys = (await this.#version()) === 'none' ? [] : await this.#keys()
        const text = JSON.stringify({ keys: change(keys) }, null, 2)
        await writeFile(`${this.#path}.new`, `${text}\n`, { mode: 0o600 })
        await rename(`${this.#path}.new`, this.#path)
      } finally {
        await rm(lock, { force: true })
      }
    })
  }

  async #orUnavailable<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw isFailure(error) ? error : storeUnavailable(error)
    }
  }
}

function isFailure (error: unknown): boolean {
  return (error as { code?: unknown }).code === 'api_key_limit_reached'
}

/** Creates a file that says that this process changes the other one. */
async function takeLock (path: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await (await open(path, 'wx')).close()
      return
    } catch (error) {
      const isHeld = (error as NodeJS.ErrnoException).code === 'EEXIST'
      if (!isHeld || tries === LOCK_TRIES) throw error
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }))
      if (Date.now() - mtimeMs > LOCK_STALE_MS) await rm(path, { force: true })
      else await sleep(LOCK_RETRY_MS)
    }
  }
}
