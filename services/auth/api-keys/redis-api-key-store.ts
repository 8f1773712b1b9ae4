/** API keys in Redis, for all replicas. */
import { randomUUID } from 'node:crypto'
import type { RedisExecutor } from '../../redis/executor.ts'
import type { RedisKeys } from '../../redis/keys.ts'
import { decodeApiKey, encodeApiKey, type ApiKey } from './api-key.ts'
import { MAX_API_KEYS, tooManyApiKeys, type ApiKeySet, type ApiKeyStore } from './api-key-store.ts'

/** The field beside the keys that changes with every change of them. */
const VERSION = 'version'

/** Keeps keys in one hash, a field a key, and their last uses in another. */
export class RedisApiKeyStore implements ApiKeyStore {
  #executor: RedisExecutor
  #keys: string
  #uses: string

  constructor (executor: RedisExecutor, { apiKeys, apiKeyUses }: RedisKeys) {
    this.#executor = executor
    this.#keys = apiKeys
    this.#uses = apiKeyUses
  }

  async read (knownVersion: string | undefined): Promise<ApiKeySet | undefined> {
    const { client } = this.#executor
    const current = (await this.#executor.run(client.hget(this.#keys, VERSION))) ?? ''
    if (current === knownVersion) return undefined
    const fields = await this.#executor.run(client.hgetall(this.#keys))
    const { [VERSION]: version = '', ...records } = fields
    const keys = Object.values(records).map((text) => decodeApiKey(parsed(text)))
    return { version, keys: keys.filter((key) => key !== undefined) }
  }

  async add (key: ApiKey): Promise<void> {
    const { client } = this.#executor
    const { [VERSION]: _version, ...known } = await this.#executor.run(client.hgetall(this.#keys))
    if (Object.keys(known).length >= MAX_API_KEYS) throw tooManyApiKeys()
    const change = { [key.id]: encodeApiKey(key), [VERSION]: randomUUID() }
    await this.#executor.run(client.hset(this.#keys, change))
    await this.#forgetUses(Object.keys(known))
  }

  async remove (id: string): Promise<boolean> {
    const { client, scripts } = this.#executor
    const args = [id, VERSION, randomUUID()]
    const removed = await this.#executor.run(scripts.revokeKey([this.#keys], args))
    await this.#executor.run(client.hdel(this.#uses, id))
    return removed === 1
  }

  async noteUses (uses: ReadonlyMap<string, number>): Promise<void> {
    await this.#executor.run(this.#executor.client.hset(this.#uses, Object.fromEntries(uses)))
  }

  /** Forgets uses of keys that a replica has noted after they were revoked on another one. */
  async #forgetUses (known: string[]): Promise<void> {
    const gone = [...(await this.lastUses()).keys()].filter((id) => !known.includes(id))
    if (gone.length > 0) await this.#executor.run(this.#executor.client.hdel(this.#uses, ...gone))
  }

  async lastUses (): Promise<Map<string, number>> {
    const uses = await this.#executor.run(this.#executor.client.hgetall(this.#uses))
    return new Map(Object.entries(uses).map(([id, text]) => [id, Number(text)]))
  }
}

function parsed (text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
