/** Which long-lived tokens are in use, and when they end. */
import { BoundedMap } from '../util/bounded-map.ts'

/** A token that lives no longer than this is renewed as a matter of course, in milliseconds. */
const SHORT_LIVED_MS = 86_400_000
/** A token that was not used for so long is no longer in use, in milliseconds. */
const UNUSED_MS = 86_400_000
/** The most tokens that are remembered. */
const MOST_TOKENS = 1_000

/** A token in use. Times are in milliseconds since the epoch. */
export interface TokenInUse {
  /** Whose it is, for the log. */
  bearer: string
  endMs: number
}

/** Remembers the long-lived tokens that were used within a day. */
export class TokensInUse {
  #tokens = new BoundedMap<string, TokenInUse & { usedMs: number }>(MOST_TOKENS)

  /**
   * Notes that a token was verified. Called at most once a minute for a token.
   * @param claims - its claims; `exp` is there (RFC 7519, 4.1.4)
   */
  note (claims: Record<string, unknown>, nowMs: number): void {
    const [issuedMs, endMs] = [Number(claims.iat ?? 0) * 1000, Number(claims.exp) * 1000]
    if (endMs - issuedMs <= SHORT_LIVED_MS) return
    const bearer = [claims.username, claims.preferred_username, claims.sub, claims.node].find(
      (claim) => typeof claim === 'string' && claim !== ''
    )
    const named = { bearer: String(bearer ?? 'a token without a name'), endMs }
    this.#tokens.put(`${endMs} ${named.bearer}`, { ...named, usedMs: nowMs })
  }

  /** The tokens in use that end before an instant. */
  endingBefore (instantMs: number, nowMs: number): TokenInUse[] {
    return [...this.#tokens.values()].filter(
      ({ endMs, usedMs }) => endMs < instantMs && usedMs > nowMs - UNUSED_MS
    )
  }
}
