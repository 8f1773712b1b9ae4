/**
 * Sessions that the switch recorded itself, read from its JSON; nothing in it is taken on trust.
 */
import type { Session } from '../../schemas/sessions.ts'
import { toTimestamp } from '../clock.ts'

/**
 * One of the switch's sessions as the API shows it. Its user is who holds it, not who its JSON
 * says; what the JSON lacks or holds in another form is null.
 */
export function externalSession (
  sessionId: string,
  username: string,
  json: string | null | undefined
): Session {
  const record = parse(json)
  return {
    session_id: sessionId,
    username,
    node: null,
    call_id: textOf(record.call_id),
    from: textOf(record.from_uri),
    to: textOf(record.to_uri),
    direction: null,
    emergency: false,
    started_at: secondsToTimestamp(record.created_at),
    expires_at: null,
    metadata: {},
    source: 'external'
  }
}

/** Whom the switch's JSON names as the user, if anybody. */
export function externalUsername (json: string): string | undefined {
  return textOf(parse(json).username) ?? undefined
}

function parse (json: string | null | undefined): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(json ?? '')
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function textOf (value: unknown): string | null {
  return typeof value === 'string' ? value : null
}

/** The switch writes seconds since the epoch. */
function secondsToTimestamp (value: unknown): string | null {
  return typeof value === 'number' && value >= 0 && value < 1e11 ? toTimestamp(value * 1000) : null
}
