/**
 * Keys that tokens are checked with. What a key may be used for follows from the key, never from a
 * token.
 */
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'

/** The shortest RSA key that is used, in bits (RFC 7518, 3.3). */
const MIN_RSA_BITS = 2048

/** What tokens may be signed with where the key is public. */
export const PUBLIC_KEY_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const

/** What tokens may be signed with. */
export type Algorithm = 'HS256' | (typeof PUBLIC_KEY_ALGORITHMS)[number]

/**
 * A key, and the algorithms (RFC 7518, 3.1; RFC 8037) that it may be used with: those of its type.
 */
export interface VerificationKey {
  /** A public key as PEM, or the secret of HS256. */
  key: string
  algorithms: readonly Algorithm[]
}

/** The key of a secret that both sides know. */
export function secretKey (secret: string): VerificationKey {
  return { key: secret, algorithms: ['HS256'] }
}

/**
 * Every public key in a PEM file: SPKI, PKCS #1, or the key of a certificate.
 * @throws TypeError saying what is wrong with the first one that cannot be used, or that there is
 * none
 */
export function publicKeysOf (pem: string): VerificationKey[] {
  const blocks = pem.match(/-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g) ?? []
  if (blocks.length === 0) throw new TypeError('holds no key')
  return blocks.map((block) => {
    if (block.includes('PRIVATE KEY')) {
      throw new TypeError('holds a private key, and should hold public ones')
    }
    return publicKey(block)
  })
}

/**
 * The key of a JWK (RFC 7517). Its `alg` narrows what its type allows.
 * @throws TypeError when it cannot be used for checking tokens
 */
export function publicKeyOfJwk (jwk: JsonWebKey): VerificationKey {
  const { use = 'sig', key_ops: operations = ['verify'], alg } = jwk
  if (use !== 'sig' || !Array.isArray(operations) || !operations.includes('verify')) {
    throw new TypeError('is not for checking signatures')
  }
  const { key, algorithms } = publicKey({ key: jwk, format: 'jwk' })
  if (alg === undefined) return { key, algorithms }
  const only = algorithms.filter((one) => one === alg)
  if (only.length === 0) throw new TypeError('is for an algorithm that is not used')
  return { key, algorithms: only }
}

function publicKey (material: Parameters<typeof createPublicKey>[0]): VerificationKey {
  let key: KeyObject
  try {
    key = createPublicKey(material)
  } catch {
    throw new TypeError('holds a key that cannot be read')
  }
  return {
    algorithms: algorithmsOf(key),
    key: key.export({ type: 'spki', format: 'pem' }).toString()
  }
}

function algorithmsOf ({
  asymmetricKeyType: type,
  asymmetricKeyDetails: details = {}
}: KeyObject): Algorithm[] {
  if (type === 'ed25519') return ['EdDSA']
  if (type === 'ec' && details.namedCurve === 'prime256v1') return ['ES256']
  if (type !== 'rsa') {
    throw new TypeError('holds a key that is neither RSA nor of the curve P-256 or Ed25519')
  }
  if ((details.modulusLength ?? 0) < MIN_RSA_BITS) {
    throw new TypeError(`holds an RSA key of less than ${MIN_RSA_BITS} bits`)
  }
  return ['RS256', 'PS256']
}
