/**
 * How a lease is written down in Redis: `+<user> <start ms> <node> <attempt><!> <details>`, as
 * record.lua describes it. The end of a lease is its score in the user's sorted set.
 */
import type { Details, Lease } from '../lease.ts'

/** As in record.lua. */
const RECORD = /^\+(\S*) (\d+) (\S*) (\d*)(!?) ?([^\n]*)(?:\n|$)/

/** What a record says of a lease: all but its id and its end. */
export type LeaseRecord = Omit<Lease, 'sessionId' | 'expiresMs'>

/**
 * What a record says behind the node: the attempt, `!` for an emergency session, and the details as
 * short JSON; the empty text when there is nothing to say, as for most.
 */
export function encodeRest (details: Details, attempt: number): string {
  const { callId: c, from: f, to: t, direction: d, emergency, metadata } = details
  const m = metadata !== undefined && Object.keys(metadata).length > 0 ? metadata : undefined
  const flags = `${attempt > 0 ? attempt : ''}${emergency === true ? '!' : ''}`
  const json = (c ?? f ?? t ?? d ?? m) === undefined ? '' : JSON.stringify({ c, f, t, d, m })
  return flags === '' ? json : `${flags} ${json}`
}

/**
 * A record read back, or undefined for what is not the record of a lease: an id that has ended, or
 * somebody else's text.
 */
export function decodeRecord (record: string): LeaseRecord | undefined {
  const [, username, started, node, attempt, urgent, json] = RECORD.exec(record) ?? []
  if (username === undefined || node === undefined || json === undefined) return undefined
  const details = decodeDetails(json)
  return {
    username,
    startedMs: Number(started),
    node,
    attempt: Number(attempt),
    details: urgent === '!' ? { ...details, emergency: true } : details
  }
}

/** Which attempt a lease is of, from its record; undefined where that is none. */
export function attemptOf (record: string): number | undefined {
  const [, attempt] = /^\+\S* \d+ \S* (\d*)/.exec(record) ?? []
  return attempt === undefined ? undefined : Number(attempt)
}

/** Ids of the sessions that were ended to make room for the session of a record. */
export function terminatedFor (record: string): string[] {
  const at = record.indexOf('\n')
  return at === -1 ? [] : record.slice(at + 1).split(' ')
}

/** The node that an end is of; the empty text for an end that holds for sessions of every node. */
export function endedOnNode (record: string): string {
  const [, node = ''] = /^-[^\s|]*\|\d*@(\S*)/.exec(record) ?? []
  return node
}

/**
 * Which attempt at an id has ended, from its record; undefined where none has.
 */
export function endedAttempt (record: string): number | undefined {
  const [, attempt] = /^-[^\s|]*\|?(\d*)/.exec(record) ?? []
  return attempt === undefined ? undefined : Number(attempt)
}

/**
 * The lease of a record that a script has answered with.
 * @throws Error when the text is no record: then the script is at fault
 */
export function leaseFrom (sessionId: string, record: string, expiresMs: number): Lease {
  const found = decodeRecord(record)
  if (found === undefined) throw new Error(`the record of session ${sessionId} cannot be read`)
  return { sessionId, expiresMs, ...found }
}

function decodeDetails (text: string): Details {
  if (text === '') return {}
  try {
    const { c, f, t, d, m } = JSON.parse(text) as Record<string, unknown>
    return { callId: c, from: f, to: t, direction: d, metadata: m } as Details
  } catch {
    return {}
  }
}
