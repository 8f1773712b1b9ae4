/**
 * Names each request, so that an answer, the log and the audit log can be told to belong together.
 */
import { randomBytes } from 'node:crypto'

/**
 * What is taken over from a caller: short, and nothing that means anything to a log, a header or a
 * shell.
 */
const WELL_FORMED = /^[A-Za-z0-9._~:=+/-]{1,64}$/

/** Tells this process from every other. */
const origin = randomBytes(6).toString('base64url')
let made = 0

/** The id that a caller has given, where it is well-formed; else a new one. */
export function requestId (given: string | string[] | undefined): string {
  if (typeof given === 'string' && WELL_FORMED.test(given)) return given
  return `${origin}-${(++made).toString(36)}`
}
