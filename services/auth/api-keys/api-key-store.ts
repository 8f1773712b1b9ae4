/** Where API keys are kept. */
import { ServiceError } from '../../errors.ts'
import type { ApiKey } from './api-key.ts'

/** The most keys that are kept. */
export const MAX_API_KEYS = 1_000

/** All keys, and a text that differs after every change of them. */
export interface ApiKeySet {
  version: string
  keys: ApiKey[]
}

/**
 * Keeps the records of keys, never their secrets. Every method rejects with a ServiceError
 * `store_unavailable` when the store cannot be reached or read.
 */
export interface ApiKeyStore {
  /** All keys; undefined if their version is the known one. */
  read(knownVersion: string | undefined): Promise<ApiKeySet | undefined>
  /** Adds a key. @throws ServiceError `api_key_limit_reached` */
  add(key: ApiKey): Promise<void>
  /** Removes a key; false if there was none with this id. */
  remove(id: string): Promise<boolean>
  /** Notes when keys were last used, by id, in milliseconds since the epoch. */
  noteUses(uses: ReadonlyMap<string, number>): Promise<void>
  /** When each key was last used, as far as it has been noted. */
  lastUses(): Promise<Map<string, number>>
}

/** The refusal of one key too many. */
export function tooManyApiKeys (): ServiceError {
  return new ServiceError(
    'api_key_limit_reached',
    `There are ${MAX_API_KEYS} API keys. Revoke one that is not needed any more.`
  )
}
