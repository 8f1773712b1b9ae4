/** Sessions that the switch recorded itself, read from its JSON; nothing in it is trusted. */
import { parseInstant } from '../clock.ts'
import type { ExternalSession } from './lease.ts'

/**
 * One of the switch's sessions. Its user is the one whose set names it, whatever its JSON says;
 * what the JSON lacks, or holds in another form, is undefined.
 */
export function externalSession (
  sessionId: string,
  username: string,
  json: string | null | undefined
): ExternalSession {
  const record = parse(json)
  return {
    sessionId,
    username,
    callId: textOf(record.call_id),
    from: textOf(record.from_uri),
    to: textOf(record.to_uri),
    startedMs: startOf(record.created_at)
  }
}

/** The user that the switch's JSON names, if it names one. */
export function externalUsername (json: string): string | undefined {
  return textOf(parse(json).username)
}

function parse (json: string | null | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json ?? '')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function textOf (value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The switch writes seconds since the epoch or, as some versions do, RFC 3339. */
function startOf (value: unknown): number | undefined {
  if (typeof value === 'string') return parseInstant(value)
  return typeof value === 'number' && value >= 0 && value < 1e11
    ? Math.floor(value * 1000)
    : undefined
}
