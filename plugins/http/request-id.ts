/** Request ids: the same id appears in the answer, the log and the audit log. */
import { randomBytes } from 'node:crypto'

/** Ids that are accepted from a caller: short, and harmless in a log, a header or a shell. */
const WELL_FORMED = /^[A-Za-z0-9._~:=+/-]{1,64}$/

/** Identifies this process. */
const origin = randomBytes(6).toString('base64url')
let made = 0

/** The id that the caller sent, if it is well-formed, or else a new one. */
export function requestId (given: string | string[] | undefined): string {
  if (typeof given === 'string' && WELL_FORMED.test(given)) return given
  return `${origin}-${(++made).toString(36)}`
}
