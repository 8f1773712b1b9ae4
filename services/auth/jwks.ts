/**
 * The keys that an issuer publishes as a JWK Set (RFC 7517, 5). They are read in the background, so
 * that a token with a known key never waits. While the issuer is away, the last known keys stay in
 * use.
 */
import type { JsonWebKey } from 'node:crypto'
import { readBounded } from '../util/read-bounded.ts'
import { repeat, type Repeated } from '../util/repeat.ts'
import type { Header } from './token-verifier.ts'
import {
  PUBLIC_KEY_ALGORITHMS,
  isPrivateJwk,
  publicKeyOfJwk,
  type VerificationKey
} from './verification-key.ts'

/**
 * In milliseconds: how long one read may take, how often the keys are read, and the shortest time
 * between two reads that unknown keys cause.
 */
const TIMING = { deadlineMs: 2_000, everyMs: 60_000, unknownMs: 5_000 }

/** The largest JWK Set that is read, in bytes, and the most keys in one. */
const MOST = { bytes: 1024 * 1024, keys: 100 }

/**
 * Receives each change of outcome: how many keys are usable and how many have private parts, or why
 * the keys could not be read.
 */
export type JwksReport = (
  outcome: { usable: number; private: number } | { error: unknown }
) => void

/** Keeps an issuer's keys up to date. */
export class Jwks {
  #url: string
  #report: JwksReport
  #timing: typeof TIMING
  #keys: Array<VerificationKey & { id: string }> = []
  #reading: Promise<void> | undefined
  #nextUnknownMs = 0
  #reported: string | undefined
  #polling: Repeated | undefined
  #controller: AbortController | undefined
  #stopped = false

  constructor (url: string, report: JwksReport, timing = TIMING) {
    this.#url = url
    this.#report = report
    this.#timing = timing
  }

  /** Starts reading. Does not wait, since the issuer may be away. */
  start (): void {
    this.#polling = repeat({
      work: async () => await this.read(),
      onError: () => {},
      everyMs: this.#timing.everyMs
    })
  }

  stop (): void {
    this.#stopped = true
    this.#polling?.stop()
    this.#controller?.abort()
  }

  /**
   * The keys with the token's `kid`. An unknown `kid` may be new, so the keys are read again, but
   * at most once every few seconds.
   */
  async keysFor ({ alg, kid }: Header): Promise<VerificationKey[]> {
    if (typeof kid !== 'string' || !PUBLIC_KEY_ALGORITHMS.some((one) => one === alg)) return []
    const known = this.#named(kid)
    if (known.length > 0) return known
    await this.#readForUnknown()
    return this.#named(kid)
  }

  /** Reads the keys. Never rejects. A call during a read waits for that read. */
  async read (): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    await this.#reading
  }

  #named (id: string): VerificationKey[] {
    return this.#keys.filter((key) => key.id === id)
  }

  async #readForUnknown (): Promise<void> {
    if (this.#reading === undefined) {
      const now = performance.now()
      if (now < this.#nextUnknownMs) return
      this.#nextUnknownMs = now + this.#timing.unknownMs
    }
    await this.read()
  }

  async #read (): Promise<void> {
    const controller = (this.#controller = new AbortController())
    // Our own timer, since a signal from `AbortSignal.timeout` that only `AbortSignal.any` refers
    // to may be garbage collected.
    const late = setTimeout(
      () => controller.abort(new Error('the issuer did not answer in time')),
      this.#timing.deadlineMs
    ).unref()
    try {
      const response = await fetch(this.#url, {
        signal: controller.signal,
        redirect: 'error',
        headers: { accept: 'application/json' }
      })
      if (!response.ok) throw new Error(`the issuer answered ${response.status}`)
      const { keys } = JSON.parse(await readBounded(response.body, MOST.bytes)) as {
        keys?: unknown
      }
      if (!Array.isArray(keys)) throw new Error('the issuer did not answer with a JWK Set')
      if (keys.length > MOST.keys) throw new Error(`the JWK Set has more than ${MOST.keys} keys`)
      this.#keys = keys.flatMap(usable)
      this.#reportChange('read', {
        usable: this.#keys.length,
        private: keys.filter(isPrivateJwk).length
      })
    } catch (error) {
      if (!this.#stopped) this.#reportChange('failed', { error })
    } finally {
      clearTimeout(late)
      // What is left of an answer that was not wanted would keep its connection open.
      controller.abort()
    }
  }

  #reportChange (kind: string, outcome: Parameters<JwksReport>[0]): void {
    const outcomeKey =
      'usable' in outcome ? `${kind} ${outcome.usable} ${outcome.private}` : kind
    if (outcomeKey !== this.#reported) this.#report(outcome)
    this.#reported = outcomeKey
  }
}

/** A usable key with its id. Keys without an id, of other types or for other uses are left out. */
function usable (jwk: JsonWebKey): Array<VerificationKey & { id: string }> {
  try {
    return typeof jwk.kid === 'string' ? [{ id: jwk.kid, ...publicKeyOfJwk(jwk) }] : []
  } catch {
    return []
  }
}
