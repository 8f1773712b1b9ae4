import { constants, generateKeyPairSync, sign, type JsonWebKey, type KeyObject } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Teardown } from './process.ts'

/** A key pair: what signs, and what is published of it. */
export interface Pair {
  privateKey: KeyObject
  pem: string
  jwk: JsonWebKey
}

/** Makes a key pair. */
export function makePair (
  type: 'rsa' | 'ec' | 'ed25519',
  options: { modulusLength?: number; namedCurve?: string } = {}
): Pair {
  const make = generateKeyPairSync as unknown as (
    type: string,
    options: object
  ) => { publicKey: KeyObject; privateKey: KeyObject }
  const { publicKey, privateKey } = make(type, {
    modulusLength: 2048,
    namedCurve: 'P-256',
    ...options
  })
  return {
    privateKey,
    pem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    jwk: publicKey.export({ format: 'jwk' })
  }
}

const signatures: Record<string, (input: Buffer, key: KeyObject) => Buffer> = {
  RS256: (input, key) => sign('sha256', input, key),
  RS512: (input, key) => sign('sha512', input, key),
  PS256: (input, key) =>
    sign('sha256', input, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }),
  ES256: (input, key) => sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' }),
  EdDSA: (input, key) => sign(null, input, key)
}

/**
 * A token valid for an hour unless its claims say otherwise, signed as `how`, whatever its header
 * says.
 */
export function signToken (
  header: { alg: string } & Record<string, unknown>,
  claims: object,
  key: KeyObject,
  how = header.alg
): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${part(header)}.${part({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims })}`
  return `${input}.${signatures[how]?.(Buffer.from(input), key).toString('base64url')}`
}

/** An identity provider on loopback that publishes a JWK Set. */
export interface Provider {
  url: string
  /** How often it was asked. */
  asked: number
  keys: JsonWebKey[]
  /** Answers otherwise than it should; `hangs` never answers. */
  fault:
    | 'hangs'
    | 'hangs in the middle'
    | { status: number; body: string; location?: string }
    | undefined
}

/** Starts one; it ends with the test. */
export async function startProvider (t: Teardown, keys: JsonWebKey[]): Promise<Provider> {
  const provider: Provider = { url: '', asked: 0, keys, fault: undefined }
  const server = createServer((_request, response) => {
    provider.asked++
    const { fault } = provider
    if (fault === 'hangs') return
    if (fault === 'hangs in the middle') return response.write('{"keys":')
    if (fault?.location !== undefined) response.setHeader('location', fault.location)
    response.writeHead(fault?.status ?? 200, { 'content-type': 'application/json' })
    response.end(fault?.body ?? JSON.stringify({ keys: provider.keys }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  provider.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
  return provider
}
