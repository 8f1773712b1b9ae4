/** What an API key is: its text, which is shown once, and the record that is kept of it. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** What is kept of a key. Times are in milliseconds since the epoch. */
export interface ApiKey {
  /** Names the key; part of its text, and not secret. */
  id: string
  /** Who uses the key, in the words of whoever made it. */
  name: string
  role: string
  /** The only switch node whose sessions the key may change; undefined for any. */
  node: string | undefined
  createdMs: number
  expiresMs: number
  /** SHA-256 of the secret, in hex. The secret has 256 random bits: no salt, no slow hash. */
  hash: string
}

/** What is given when a key is made. */
export interface NewApiKey {
  name: string
  role: string
  node: string | undefined
  days: number
}

/** The form of an id. */
export const API_KEY_ID = '[0-9a-f]{16}'
const FORM = new RegExp(`^vfk_(${API_KEY_ID})_([A-Za-z0-9_-]{43})$`)
const HASH = /^[0-9a-f]{64}$/
const DAY_MS = 24 * 3600 * 1000

/** Makes a key. @returns its text, which is not kept anywhere, and its record */
export function makeApiKey (
  { name, role, node, days }: NewApiKey,
  nowMs: number
): { text: string; key: ApiKey } {
  const id = randomBytes(8).toString('hex')
  const secret = randomBytes(32).toString('base64url')
  const times = { createdMs: nowMs, expiresMs: nowMs + days * DAY_MS }
  return {
    text: `vfk_${id}_${secret}`,
    key: { id, name, role, node, ...times, hash: hashOf(secret).toString('hex') }
  }
}

/** The two parts of a key's text; undefined for what is not of the form of a key. */
export function partsOf (text: string): { id: string; secret: string } | undefined {
  const [, id, secret] = FORM.exec(text) ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret }
}

/** Whether a secret is the one of a key. */
export function isSecretOf (secret: string, hash: Buffer): boolean {
  return timingSafeEqual(hashOf(secret), hash)
}

/** A record as JSON. */
export function encodeApiKey (key: ApiKey): string {
  return JSON.stringify(key)
}

/** The record that a parsed JSON value is; undefined for anything else. */
export function decodeApiKey (value: unknown): ApiKey | undefined {
  const { id, name, role, node, createdMs, expiresMs, hash } = (value ?? {}) as Partial<ApiKey>
  const isKey =
    typeof id === 'string' &&
    typeof name === 'string' &&
    typeof role === 'string' &&
    (node === undefined || typeof node === 'string') &&
    Number.isSafeInteger(createdMs) &&
    Number.isSafeInteger(expiresMs) &&
    HASH.test(String(hash))
  return isKey ? (value as ApiKey) : undefined
}

function hashOf (secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}
