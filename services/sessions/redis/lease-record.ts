/**
 * How a lease is written down: `+<user> <start ms> <node> <details>`; an id that has ended as
 * `-<user> <reason>`.
 */
import type { Session, SessionDetails } from '../../../schemas/sessions.ts'
import { toTimestamp } from '../../clock.ts'

/** What is known of a lease but for its end. */
export interface Lease {
  username: string
  startedMs: number
  node: string
  details: SessionDetails
}

/** Details as short JSON; the empty text when there are none. */
export function encodeDetails ({
  call_id: c,
  from: f,
  to: t,
  direction: d,
  emergency,
  metadata: m
}: SessionDetails): string {
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
export function decodeLease (record: string): Lease | undefined {
  const [, username, started, node, details] = /^\+(\S*) (\d+) (\S*) ([^]*)$/.exec(record) ?? []
  if (username === undefined || node === undefined || details === undefined) return undefined
  return { username, startedMs: Number(started), node, details: decodeDetails(details) }
}

function decodeDetails (text: string): SessionDetails {
  if (text === '') return {}
  try {
    const { c, f, t, d, e, m } = JSON.parse(text) as Record<string, unknown>
    return {
      call_id: c,
      from: f,
      to: t,
      direction: d,
      emergency: e === 1,
      metadata: m
    } as SessionDetails
  } catch {
    return {}
  }
}

/** A lease as the API shows it. */
export function leaseToSession (
  sessionId: string,
  { username, startedMs, node, details }: Lease,
  expiresMs: number
): Session {
  return {
    session_id: sessionId,
    username,
    node: node === '' ? null : node,
    call_id: details.call_id ?? null,
    from: details.from ?? null,
    to: details.to ?? null,
    direction: details.direction ?? null,
    emergency: details.emergency ?? false,
    started_at: toTimestamp(startedMs),
    expires_at: toTimestamp(expiresMs),
    metadata: details.metadata ?? {},
    source: 'lease'
  }
}
