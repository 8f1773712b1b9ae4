/** Tokens made by hand, as an attacker would make them. */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { TEST_SECRET } from '../helpers/app.ts'

/** Whom the service of the corpus trusts, and for whom tokens must be. */
export const [ISSUER, AUDIENCE] = ['voice-ferry', 'session-limits']

/** The identity provider that it trusts, and the key whose public half it has. */
export const PROVIDER = 'https://login.voice-ferry.example'
export const providerKey = generateKeyPairSync('rsa', { modulusLength: 2048 })
export const PROVIDER_PEM = providerKey.publicKey.export({ type: 'spki', format: 'pem' }).toString()

/** Now, in seconds, as tokens have it. */
export const NOW = Math.floor(Date.now() / 1000)

/** Part of a token: JSON, or text as it is, in base64url. */
export function part (value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString(
    'base64url'
  )
}

/** A token with any header and payload, signed by HMAC with SHA-256 or another hash. */
export function forged (
  header: unknown,
  payload: unknown,
  secret: string | Buffer = TEST_SECRET,
  hash = 'sha256'
): string {
  const input = `${part(header)}.${part(payload)}`
  return `${input}.${createHmac(hash, secret).update(input).digest('base64url')}`
}

/** The same, signed by RSA with SHA-256. */
export function signed (header: unknown, payload: unknown, key = providerKey.privateKey): string {
  const input = `${part(header)}.${part(payload)}`
  return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
}

/** Claims that the service accepts, and these. */
export function claims (more: Record<string, unknown> = {}): Record<string, unknown> {
  return { iss: ISSUER, aud: AUDIENCE, iat: NOW - 10, exp: NOW + 3600, ...more }
}

/** A token that is as it should be. */
export function validToken (more: Record<string, unknown>): string {
  return forged({ alg: 'HS256', typ: 'JWT' }, claims(more))
}
