/**
 * How a lease is written down in Redis: `+<user> <start ms> <node> <details>`; an id that has ended
 * as `-<user> <reason>`. The end of a lease is its score in the user's sorted set.
 */
import type { Details, Lease } from '../lease.ts'

/** What a record says of a lease: all but its id and its end. */
export type LeaseRecord = Pick<Lease, 'username' | 'startedMs' | 'node' | 'details'>

/** Details as short JSON; the empty text when there are none. */
export function encodeDetails (details: Details): string {
  const { callId: c, from: f, to: t, direction: d, emergency, metadata: m } = details
  // Most have none.
  if ((c ?? f ?? t ?? d ?? m) === undefined && emergency !== true) return ''
  const short = {
    c,
    f,
    t,
    d,
    ...(emergency === true && { e: 1 }),
    ...(m !== undefined && Object.keys(m).length > 0 && { m })
  }
  const text = JSON.stringify(short)
  return text === '{}' ? '' : text
}

/**
 * A record read back, or undefined for what is not the record of a lease: an id that has ended, or
 * somebody else's text.
 */
export function decodeRecord (record: string): LeaseRecord | undefined {
  const [, username, started, node, details] = /^\+(\S*) (\d+) (\S*) ([^]*)$/.exec(record) ?? []
  if (username === undefined || node === undefined || details === undefined) return undefined
  return { username, startedMs: Number(started), node, details: decodeDetails(details) }
}

/**
 * The lease of a record that a script has answered with.
 * @throws Error when the text is no record: then the script is at fault
 */
export function leaseFrom (sessionId: string, record: string, expiresMs: number): Lease {
  const found = decodeRecord(record)
  if (found === undefined) throw new Error(`the record of session ${sessionId} cannot be read`)
  const { username, startedMs, node, details } = found
  return { sessionId, username, node, startedMs, expiresMs, details }
}

function decodeDetails (text: string): Details {
  if (text === '') return {}
  try {
    const { c, f, t, d, e, m } = JSON.parse(text) as Record<string, unknown>
    const emergency = e === 1
    return { callId: c, from: f, to: t, direction: d, emergency, metadata: m } as Details
  } catch {
    return {}
  }
}
