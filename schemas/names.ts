/** The names that callers choose and the patterns that these must match, and small shared forms. */
import { Type, type Static, type TInteger, type TNumber, type TString } from '@sinclair/typebox'

/** The longest free text, in characters. The rest is cut off. */
const MAX_TEXT = 256

/**
 * The characters of a name: those of the user part of a SIP URI, and of its host (RFC 3261, 25).
 */
export const NAME_CHARACTERS = "[A-Za-z0-9_.!~*'()&=+$,;?/%@:[\\]#-]"

/**
 * Names that are refused: `_default` has a meaning on the wire, some are special members of
 * JavaScript objects, and `.` and `..` cannot stand in a path.
 */
export const RESERVED_USERNAMES = [
  '_default',
  '__proto__',
  'prototype',
  'constructor',
  '.',
  '..'
] as const

const notReserved = `(?!(?:${RESERVED_USERNAMES.join('|').replaceAll('.', '\\.')})$)`
const reserved = `Reserved: ${RESERVED_USERNAMES.join(' ')}`

/** A username: the user part of a SIP address, or `user@domain`. */
export const UsernameSchema = Type.String({
  pattern: `^${notReserved}${NAME_CHARACTERS}{1,256}$`,
  'x-canonical': true,
  description:
    'The user part of a SIP address, or user@domain. Case-sensitive, except for the host after ' +
    `the last @, which is lower-cased. ${reserved}`,
  examples: ['alice']
})

/**
 * A username in a request that only reads or removes. Another program may have stored a name that
 * is not of our form.
 */
export const AnyUsernameSchema = Type.String({
  pattern: `^${notReserved}[\\s\\S]{1,256}$`,
  'x-canonical': true,
  description: `A username, or a name of another form that another program stored. ${reserved}`,
  examples: ['alice']
})

/** The same, spelled exactly as it is stored. */
export const StoredUsernameSchema = Type.String({
  pattern: AnyUsernameSchema.pattern ?? '',
  description: AnyUsernameSchema.description ?? '',
  examples: ['alice']
})

/** A session id, chosen by the caller: usually the SIP Call-ID. */
export const SessionIdSchema = Type.String({
  pattern: '^[\\x21-\\x7e]{1,512}$',
  description:
    'Chosen by the caller, usually the SIP Call-ID: printable ASCII without spaces. ' +
    'Unique among all users.',
  examples: ['call-7f3a@pbx1']
})

/** The name of a switch node. */
export const NodeNameSchema = Type.String({
  pattern: `^${notReserved}${NAME_CHARACTERS}{1,128}$`,
  'x-canonical': true,
  description: 'The name of a switch node, of the form of a username.',
  examples: ['pbx-1']
})

/**
 * Free text, which never makes a request fail: it is cut after so many characters, and control
 * characters are replaced by spaces.
 */
export function freeText (options: { description?: string; examples?: string[] }) {
  return Type.String({ 'x-free-text': MAX_TEXT, ...options })
}

/**
 * Which attempt at a call a session id stands for: after a 401, 407, 422 or 3xx the same Call-ID
 * comes again with a higher CSeq number (RFC 3261, 8.1.1.5 and 22.2).
 */
export const AttemptSchema = Type.Integer({
  minimum: 0,
  maximum: 2 ** 31 - 1,
  description:
    'Which attempt at the call this is; the CSeq number serves. A later attempt at an id that ' +
    'has ended is a new session.',
  examples: [1]
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

/**
 * A text or number in an answer, or null. A list of types costs an answer little; of a union, each
 * choice would be validated.
 */
export function nullable<T extends TString | TInteger | TNumber> (
  schema: T,
  options: { description?: string; examples?: unknown[] } = {}
) {
  return Type.Unsafe<Static<T> | null>({ ...schema, ...options, type: [schema.type, 'null'] })
}

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
