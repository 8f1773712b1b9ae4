/** Keys that verify tokens. The algorithm always follows from the key, never from the token. */
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'

/**
 * The shortest RSA key that is accepted, in bits (RFC 7518, 3.3), and the longest: the longer the
 * key, the longer it takes to check a signature.
 */
const [MIN_RSA_BITS, MAX_RSA_BITS] = [2048, 8192]

/** The accepted algorithms with public keys. */
export const PUBLIC_KEY_ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const

/** All accepted algorithms. */
export type Algorithm = 'HS256' | (typeof PUBLIC_KEY_ALGORITHMS)[number]

/** A key, and the algorithms that its type allows (RFC 7518, 3.1; RFC 8037). */
export interface VerificationKey {
  /** A public key as PEM, or the secret of HS256. */
  key: string
  algorithms: readonly Algorithm[]
}

/** The key of a shared secret. */
export function secretKey (secret: string): VerificationKey {
  return { key: secret, algorithms: ['HS256'] }
}

/**
 * The public keys in a PEM file: SPKI, PKCS #1, or those of certificates.
 * @throws TypeError that says what is wrong with the first unusable key, or that there is no key
 */
export function publicKeysOf (pem: string): VerificationKey[] {
  const blocks = pem.match(/-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g) ?? []
  if (blocks.length === 0) throw new TypeError('has no key')
  return blocks.map((block) => {
    if (block.includes('PRIVATE KEY')) {
      throw new TypeError('has a private key; only public keys belong there')
    }
    return publicKey(block)
  })
}

/** The members of a JWK that are secret (RFC 7518, 6). */
const PRIVATE_PARTS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** Whether a JWK has what only its owner may know. Whoever can read it can sign with it. */
export function isPrivateJwk (jwk: unknown): boolean {
  return typeof jwk === 'object' && jwk !== null && PRIVATE_PARTS.some((part) => part in jwk)
}

/**
 * The key of a JWK (RFC 7517). Its `alg` narrows down what its type allows.
 * @throws TypeError if the key cannot verify tokens
 */
export function publicKeyOfJwk (jwk: JsonWebKey): VerificationKey {
  const { use = 'sig', key_ops: operations = ['verify'], alg } = jwk
  if (use !== 'sig' || !Array.isArray(operations) || !operations.includes('verify')) {
    throw new TypeError('is not for verifying signatures')
  }
  if (isPrivateJwk(jwk)) throw new TypeError('has private parts; only public keys belong there')
  const { key, algorithms } = publicKey({ key: jwk, format: 'jwk' })
  if (alg === undefined) return { key, algorithms }
  const only = algorithms.filter((one) => one === alg)
  if (only.length === 0) throw new TypeError('is for an algorithm that is not accepted')
  return { key, algorithms: only }
}

function publicKey (material: Parameters<typeof createPublicKey>[0]): VerificationKey {
  let key: KeyObject
  try {
    key = createPublicKey(material)
  } catch {
    throw new TypeError('has a key that cannot be read')
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
    throw new TypeError('has a key that is neither RSA nor P-256 nor Ed25519')
  }
  if ((details.modulusLength ?? 0) < MIN_RSA_BITS) {
    throw new TypeError(`has an RSA key of less than ${MIN_RSA_BITS} bits`)
  }
  if ((details.modulusLength ?? 0) > MAX_RSA_BITS) {
    throw new TypeError(`has an RSA key of more than ${MAX_RSA_BITS} bits`)
  }
  return ['RS256', 'PS256']
}
