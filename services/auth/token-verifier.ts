/**
 * Whose a token is: it is checked with the keys of the one issuer that it names, and the verdict is
 * remembered for a while.
 */
import { systemClock, type Clock } from '../clock.ts'
import { BoundedMap } from '../util/bounded-map.ts'
import { callerOf, type Caller } from './permissions.ts'
import type { Algorithm, VerificationKey } from './verification-key.ts'

/**
 * How many verdicts are remembered, and for how long at most: a key that its issuer withdraws
 * counts for no longer.
 */
const REMEMBERED = { tokens: 1_000, forMs: 60_000 }

/** `Authorization` with a token in the JWS compact form (RFC 6750, 2.1; RFC 7515, 3.1). */
const BEARER = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i

/**
 * A token's header, as far as it is looked at (RFC 7515, 4.1). A key that it holds or points to is
 * not.
 */
export interface Header {
  alg?: unknown
  kid?: unknown
  crit?: unknown
}

/** Somebody whose tokens are accepted. */
export interface Issuer {
  /** What its tokens name as `iss`; undefined takes every token that names no other issuer. */
  name: string | undefined
  /** What its tokens have to name as `aud`; undefined takes any. */
  audience: string | undefined
  /** Where its keys are, asked in order until one verifies. */
  keys: KeySource[]
}

/** Gives the keys that a token with such a header may have been signed with. */
export type KeySource = (
  header: Header
) => readonly VerificationKey[] | Promise<readonly VerificationKey[]>

/** What one token has to satisfy. Times are in milliseconds. */
export interface Checks {
  key: string
  algorithms: Algorithm[]
  allowedIss?: string
  allowedAud?: string
  requiredClaims: string[]
  clockTolerance: number
  clockTimestamp: number
}

/** A JWT library. Both functions throw on what they do not accept. */
export interface JwtLibrary {
  decode: (token: string) => { header: Header; payload: Record<string, unknown> }
  verify: (token: string, checks: Checks) => Record<string, unknown>
}

export interface VerifierOptions {
  issuers: Issuer[]
  jwt: JwtLibrary
  /** How far an issuer's clock may be off, in milliseconds. */
  toleranceMs: number
  /** Whether a `node` claim binds its bearer. */
  bindNodes: boolean
  clock?: Clock
}

/** Tells callers by their tokens. */
export class TokenVerifier {
  #options: VerifierOptions
  #clock: Clock
  #remembered = new BoundedMap<string, { caller: Caller; untilMs: number }>(REMEMBERED.tokens)

  constructor (options: VerifierOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** The caller of an `Authorization` header that was verified a short while ago. */
  remembered (authorization: string): Caller | undefined {
    const found = this.#remembered.get(authorization)
    return found !== undefined && this.#clock() <= found.untilMs ? found.caller : undefined
  }

  /**
   * The caller of an `Authorization` header. @throws Error when it holds no token that is accepted
   */
  async verify (authorization: string): Promise<Caller> {
    const [, token] = BEARER.exec(authorization) ?? []
    if (token === undefined) throw new Error('no bearer token')
    const claims = await this.#claims(token)
    const caller = callerOf(claims, this.#options.bindNodes)
    this.#remember(authorization, caller, Number(claims.exp) * 1000 + this.#options.toleranceMs)
    return caller
  }

  async #claims (token: string): Promise<Record<string, unknown>> {
    const { header, payload } = this.#options.jwt.decode(token)
    // An extension that must be understood (RFC 7515, 4.1.11): none is.
    if ('crit' in header) throw new Error('an extension that is not understood')
    let failure: unknown = new Error('no key of its issuer')
    for await (const [issuer, key] of this.#candidates(payload.iss, header)) {
      try {
        return this.#options.jwt.verify(token, this.#checks(issuer, key))
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  /**
   * The keys that a token may have been signed with: those of its issuer that are for its
   * algorithm.
   */
  async * #candidates (name: unknown, header: Header): AsyncGenerator<[Issuer, VerificationKey]> {
    for (const issuer of this.#issuersOf(name)) {
      for (const keysFor of issuer.keys) {
        for (const key of await keysFor(header)) {
          if (key.algorithms.some((one) => one === header.alg)) yield [issuer, key]
        }
      }
    }
  }

  /**
   * Those that go by this name, else those without one. Where that is more than one, their
   * algorithms have none in common.
   */
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
      // A claim that is to be checked has to be there.
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
