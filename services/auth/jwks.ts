/**
 * The keys that an issuer publishes as a JWK Set (RFC 7517, 5). They are read in the background, so
 * that a token whose key is known waits for nobody; the last ones read hold while the issuer is
 * away.
 */
import type { JsonWebKey } from 'node:crypto'
import type { Header } from './token-verifier.ts'
import { PUBLIC_KEY_ALGORITHMS, publicKeyOfJwk, type VerificationKey } from './verification-key.ts'

/**
 * In milliseconds: how long one read may take, how often keys are read, and the least time between
 * two reads for unknown keys.
 */
const TIMING = { deadlineMs: 2_000, everyMs: 60_000, unknownMs: 5_000 }

/**
 * Told what came of reading the keys, whenever that changes: how many can be used, or why there was
 * no answer.
 */
export type JwksReport = (outcome: { usable: number } | { error: unknown }) => void

/** Knows an issuer's keys. */
export class Jwks {
  #url: string
  #report: JwksReport
  #timing: typeof TIMING
  #keys: Array<VerificationKey & { id: string }> = []
  #reading: Promise<void> | undefined
  #nextUnknownMs = 0
  #reported: string | undefined
  #timer: NodeJS.Timeout | undefined
  #underWay: AbortController | undefined
  #stopped = false

  constructor (url: string, report: JwksReport, timing = TIMING) {
    this.#url = url
    this.#report = report
    this.#timing = timing
  }

  /** Begins to read; does not wait, for the issuer may be away. */
  start (): void {
    void this.read()
    this.#timer = setInterval(() => {
      void this.read()
    }, this.#timing.everyMs).unref()
  }

  stop (): void {
    this.#stopped = true
    clearInterval(this.#timer)
    this.#underWay?.abort()
  }

  /**
   * The keys that a token names (`kid`). One that is unknown may be new: the issuer is asked, but
   * not for each of a flood of them.
   */
  async keysFor ({ alg, kid }: Header): Promise<VerificationKey[]> {
    if (typeof kid !== 'string' || !PUBLIC_KEY_ALGORITHMS.some((one) => one === alg)) return []
    const known = this.#named(kid)
    if (known.length > 0) return known
    await this.#readForUnknown()
    return this.#named(kid)
  }

  /**
   * Reads the keys; never rejects. While one read is under way it is also the answer to another.
   */
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
    const controller = (this.#underWay = new AbortController())
    // A timer of our own: nothing keeps an `AbortSignal.timeout` alive that was only given to
    // `AbortSignal.any`.
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
      const { keys } = (await response.json()) as { keys?: unknown }
      if (!Array.isArray(keys)) throw new Error('the issuer did not answer with a JWK Set')
      this.#keys = keys.flatMap(usable)
      this.#say('read', { usable: this.#keys.length })
    } catch (error) {
      if (!this.#stopped) this.#say('failed', { error })
    } finally {
      clearTimeout(late)
    }
  }

  #say (kind: string, outcome: Parameters<JwksReport>[0]): void {
    const said = 'usable' in outcome ? `${kind} ${outcome.usable}` : kind
    if (said !== this.#reported) this.#report(outcome)
    this.#reported = said
  }
}

/**
 * A key with its name; none for what a set may hold besides: keys without a name, of other types,
 * for other uses.
 */
function usable (jwk: JsonWebKey): Array<VerificationKey & { id: string }> {
  try {
    return typeof jwk.kid === 'string' ? [{ id: jwk.kid, ...publicKeyOfJwk(jwk) }] : []
  } catch {
    return []
  }
}
