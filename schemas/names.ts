/**
 * The names that callers choose and the patterns they must match, before anything reaches a store.
 */
import { Type } from '@sinclair/typebox'

/**
 * Usernames that would collide with the wire format (`_default`) or with JavaScript's own object
 * members.
 */
export const RESERVED_USERNAMES = ['_default', '__proto__', 'prototype', 'constructor'] as const

const usernamePattern = `^(?!(?:${RESERVED_USERNAMES.join('|')})$)[A-Za-z0-9._~+@-]{1,128}$`

/** The user part of a SIP address, or `user@domain`; case-sensitive (RFC 3261, 19.1.4). */
export const UsernameSchema = Type.String({
  pattern: usernamePattern,
  description: `User part or user@domain, case-sensitive. Reserved: ${RESERVED_USERNAMES.join(', ')}.`,
  examples: ['alice']
})

/** A session id, chosen by the caller: usually the SIP Call-ID's local part. */
export const SessionIdSchema = Type.String({
  pattern: '^[A-Za-z0-9._~+@:-]{1,256}$',
  description: 'Chosen by the caller, a call id for instance; unique among all users.',
  examples: ['call-7f3a@pbx1']
})

/** The highest limit. */
export const MAX_LIMIT = 1_000_000

/** The number of sessions a user may have up at once; 0 means unlimited. */
export const LimitValueSchema = Type.Integer({
  minimum: 0,
  maximum: MAX_LIMIT,
  description: 'Sessions a user may have up at once; 0 means unlimited.',
  examples: [25]
})

/** An instant on the wire: RFC 3339, in UTC. */
export const TimestampSchema = Type.String({
  format: 'date-time',
  examples: ['2026-11-22T10:00:00.000Z']
})

/** Whether an answer was given without the store. */
export const DegradedSchema = Type.Boolean({
  description: 'True when answered without the store, by what this replica knows.',
  examples: [false]
})

/** How old an answer is that was given without the store. */
export const StaleSchema = Type.Integer({
  minimum: 0,
  description: 'Present when the store is away: this was known so many milliseconds ago.',
  examples: [1500]
})

/** A string enum that OpenAPI, Ajv and the serializer all read alike. */
export function stringEnum<const T extends readonly string[]> (
  values: T,
  options: Record<string, unknown> = {}
) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options })
}

export const NodeNameSchema = Type.String({
  pattern: '^[A-Za-z0-9._~+@:-]{1,128}$',
  description: 'A switch node.',
  examples: ['pbx-1']
})
