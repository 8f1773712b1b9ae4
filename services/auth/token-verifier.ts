/**
 * Verifies tokens. A token is checked only with the keys of the issuer that it names, and the
 * result is remembered for a while.
 */
import { systemClock, type Clock } from '../clock.ts'
import { BoundedMap } from '../util/bounded-map.ts'
import { callerOf, type Caller, type ClaimOptions } from './permissions.ts'
import type { Algorithm, VerificationKey } from './verification-key.ts'

/**
 * How many results are remembered, and for how long at most. A key that its issuer withdraws stays
 * valid no longer than that.
 */
const REMEMBERED = { tokens: 1_000, forMs: 60_000 }

/** The last instant that a token may name, in seconds since the Unix epoch: the end of 9999. */
const LAST_SECOND = 253_402_300_799

/** `Authorization` with a token in the JWS compact form (RFC 6750, 2.1; RFC 7515, 3.1). */
const BEARER = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i

/**
 * The parts of a token's header that are used (RFC 7515, 4.1); never a key in it or a link to one.
 */
export interface Header {
  alg?: unknown
  kid?: unknown
  crit?: unknown
}

/** An issuer whose tokens are accepted. */
export interface Issuer {
  /** The `iss` of its tokens; undefined accepts every token that names no other known issuer. */
  name: string | undefined
  /** The `aud` that its tokens must name; undefined accepts any. */
  audience: string | undefined
  /** The sources of its keys, tried in order until a key verifies the token. */
  keys: KeySource[]
}

/** Returns the keys that a token with this header may have been signed with. */
export type KeySource = (
  header: Header
) => readonly VerificationKey[] | Promise<readonly VerificationKey[]>

/** What one token must satisfy. Times are in milliseconds. */
export interface Checks {
  key: string
  algorithms: Algorithm[]
  allowedIss?: string
  allowedAud?: string
  requiredClaims: string[]
  clockTolerance: number
  clockTimestamp: number
}

/** A JWT library. Both functions throw on a token that they do not accept. */
export interface JwtLibrary {
  decode: (token: string) => { header: Header; payload: Record<string, unknown> }
  verify: (token: string, checks: Checks) => Record<string, unknown>
}

export interface VerifierOptions {
  issuers: Issuer[]
  jwt: JwtLibrary
  /** How far an issuer's clock may differ from ours, in milliseconds. */
  toleranceMs: number
  /** How the claims of a verified token are read. */
  claims: ClaimOptions
  /** Told of each token that was verified. */
  onVerified?: (claims: Record<string, unknown>, nowMs: number) => void
  clock?: Clock
}

/** Verifies tokens and remembers the callers. */
export class TokenVerifier {
  #options: VerifierOptions
  #clock: Clock
  #remembered = new BoundedMap<string, { caller: Caller; untilMs: number }>(REMEMBERED.tokens)

  constructor (options: VerifierOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** The caller of an `Authorization` header that was verified recently. */
  remembered (authorization: string): Caller | undefined {
    const found = this.#remembered.get(inOneSpelling(authorization))
    return found !== undefined && this.#clock() <= found.untilMs ? found.caller : undefined
  }

  /**
   * The caller of an `Authorization` header.
   * @throws Error if it has no valid token
   */
  async verify (authorization: string): Promise<Caller> {
    const [, token] = BEARER.exec(authorization) ?? []
    if (token === undefined) throw new Error('no bearer token')
    const claims = await this.#claims(token)
    if (![claims.exp, claims.nbf ?? 0].every(isInstant)) throw new Error('a time is none')
    const caller = callerOf(claims, this.#options.claims)
    this.#options.onVerified?.(claims, this.#clock())
    // Under one spelling only, or the spellings of one token would displace all others.
    const endMs = Number(claims.exp) * 1000 + this.#options.toleranceMs
    this.#remember(`Bearer ${canonical(token)}`, caller, endMs)
    return caller
  }

  async #claims (token: string): Promise<Record<string, unknown>> {
    const { header, payload } = this.#options.jwt.decode(token)
    // `crit` lists extensions that must be understood (RFC 7515, 4.1.11). None is supported.
    if ('crit' in header) throw new Error('the token requires an extension that is not supported')
    let failure: unknown = new Error('no key of the issuer fits the token')
    for await (const [issuer, key] of this.#candidates(payload.iss, header)) {
      try {
        return this.#options.jwt.verify(token, this.#checks(issuer, key))
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /** The keys of the token's issuer that are for its algorithm. */
  async * #candidates (name: unknown, header: Header): AsyncGenerator<[Issuer, VerificationKey]> {
    for (const issuer of this.#issuersOf(name)) {
      for (const keysFor of issuer.keys) {
        for (const key of await keysFor(header)) {
          if (key.algorithms.some((one) => one === header.alg)) yield [issuer, key]
        }
      }
    }
  }

  /** The issuers with this name or, if there are none, those without a name. */
  #issuersOf (name: unknown): Issuer[] {
    const named = this.#options.issuers.filter(
      (issuer) => issuer.name !== undefined && issuer.name === name
    )
    return named.length > 0
      ? named
      : this.#options.issuers.filter((issuer) => issuer.name === undefined)
  }

  #checks ({ name, audience }: Issuer, { key, algorithms }: VerificationKey): Checks {
    return {
      key,
      algorithms: [...algorithms],
      ...(name !== undefined && { allowedIss: name }),
      ...(audience !== undefined && { allowedAud: audience }),
      // A claim that is checked must be present.
      requiredClaims: [
        'exp',
        ...(name === undefined ? [] : ['iss']),
        ...(audience === undefined ? [] : ['aud'])
      ],
      clockTolerance: this.#options.toleranceMs,
      clockTimestamp: this.#clock()
    }
  }

  #remember (authorization: string, caller: Caller, endMs: number): void {
    this.#remembered.put(authorization, {
      caller,
      untilMs: Math.min(endMs, this.#clock() + REMEMBERED.forMs)
    })
  }
}

/** `Authorization` with the scheme as we write it: its case does not matter (RFC 9110, 11.1). */
function inOneSpelling (authorization: string): string {
  return authorization.startsWith('Bearer ')
    ? authorization
    : authorization.replace(/^bearer /i, 'Bearer ')
}

/** A token whose signature is spelled in the only way in which an encoder writes it. */
function canonical (token: string): string {
  const at = token.lastIndexOf('.') + 1
  return token.slice(0, at) + Buffer.from(token.slice(at), 'base64url').toString('base64url')
}

/** Whether a claim is an instant (RFC 7519, 2) within the years that dates are made for. */
function isInstant (claim: unknown): boolean {
  return typeof claim === 'number' && claim >= 0 && claim <= LAST_SECOND
}
