/** What an operator has to mend, as health says it: `warnings`. */
import type { Log } from '../log.ts'
import { BoundedMap } from '../util/bounded-map.ts'

/** The most warnings that stand at once; past that the oldest is given up. */
export const MOST_WARNINGS = 50

/**
 * Holds what has to be mended, one text for each code. A warning is logged once when it begins or
 * says something else, and once when it ends.
 */
export class Warnings {
  #log: Log
  #texts = new BoundedMap<string, string>(MOST_WARNINGS)

  constructor (log: Log) {
    this.#log = log
  }

  /** Every warning that stands, the oldest first. */
  get texts (): string[] {
    return [...this.#texts.values()]
  }

  /**
   * Begins a warning. It may be raised as often as it is noticed.
   * @param code - what it is about; one of a small, fixed set
   * @param text - names the remedy. Anybody can read it: no hosts, versions or memory figures, and
   * nothing that changes each time
   * @param particulars - for the log only
   */
  raise (code: string, text: string, particulars: object = {}): void {
    const known = this.#texts.get(code)
    if (known === text) return
    if (known === undefined) this.#texts.put(code, text)
    else this.#texts.set(code, text)
    this.#log.warn({ warning: code, ...particulars }, text)
  }

  /** Ends a warning, if it stands. */
  clear (code: string): void {
    const known = this.#texts.get(code)
    if (known === undefined) return
    this.#texts.delete(code)
    this.#log.info({ warning: code }, `mended: ${known}`)
  }
}
