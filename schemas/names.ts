/** The names that callers choose and the patterns that these must match, and small shared forms. */
import { Type } from '@sinclair/typebox'

/**
 * Usernames that are refused: `_default` has a meaning on the wire, and the others are special
 * members of JavaScript objects.
 */
export const RESERVED_USERNAMES = ['_default', '__proto__', 'prototype', 'constructor'] as const

const usernamePattern = `^(?!(?:${RESERVED_USERNAMES.join('|')})$)[A-Za-z0-9._~+@-]{1,128}$`

/** The user part of a SIP address, or `user@domain`; case-sensitive (RFC 3261, 19.1.4). */
export const UsernameSchema = Type.String({
  pattern: usernamePattern,
  description:
    'The user part of a SIP address, or user@domain. Case-sensitive. ' +
    `Reserved: ${RESERVED_USERNAMES.join(', ')}.`,
  examples: ['alice']
})

/** A session id, chosen by the caller: usually the SIP Call-ID. */
export const SessionIdSchema = Type.String({
  pattern: '^[A-Za-z0-9._~+@:-]{1,256}$',
  description: 'Chosen by the caller, usually the SIP Call-ID. Unique among all users.',
  examples: ['call-7f3a@pbx1']
})

/** The highest limit. */
export const MAX_LIMIT = 1_000_000

/** How many sessions a user may have at the same time; 0 means unlimited. */
export const LimitValueSchema = Type.Integer({
  minimum: 0,
  maximum: MAX_LIMIT,
  description: 'How many sessions the user may have at the same time. 0 means unlimited.',
  examples: [25]
})

/** A point in time on the wire: RFC 3339, in UTC. */
export const TimestampSchema = Type.String({
  format: 'date-time',
  examples: ['2026-11-22T10:00:00.000Z']
})

/** Whether an answer was given without Redis. */
export const DegradedSchema = Type.Boolean({
  description:
    'True when Redis was away and the answer comes from what this replica knows.',
  examples: [false]
})

/** How old the answer is, when it was given without Redis. */
export const StaleSchema = Type.Integer({
  minimum: 0,
  description:
    'Present while Redis is away: the age of this information, in milliseconds.',
  examples: [1500]
})

/** An enum of strings that OpenAPI, Ajv and the serializer all read the same way. */
export function stringEnum<const T extends readonly string[]> (
  values: T,
  options: Record<string, unknown> = {}
) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options })
}

/** The name of a switch node. */
export const NodeNameSchema = Type.String({
  pattern: '^[A-Za-z0-9._~+@:-]{1,128}$',
  description: 'The name of a switch node.',
  examples: ['pbx-1']
})
