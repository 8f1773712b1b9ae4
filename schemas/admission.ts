/** Admission on the wire: acquire, renew and release. */
import { Type, type TSchema } from '@sinclair/typebox'
import { ref } from './components.ts'
import {
  AttemptSchema,
  DegradedSchema,
  NodeNameSchema,
  SessionIdSchema,
  TimestampSchema,
  UsernameSchema,
  nullable,
  stringEnum
} from './names.ts'
import {
  EmergencySchema,
  TtlSchema,
  details,
  reason,
  session,
  sessionId
} from './sessions.ts'

/** The most sessions that one batch may list. */
export const MAX_BATCH = 5_000

/**
 * A list whose items are checked one by one, so that an invalid one makes none of the others fail.
 */
function batchOf<T extends TSchema> (item: T) {
  return Type.Unsafe<unknown[]>({
    type: 'array',
    maxItems: MAX_BATCH,
    description: `At most ${MAX_BATCH} sessions. Each is checked by itself.`,
    'x-items': ref(item)
  })
}

export const AdmissionRequestSchema = Type.Object(
  {
    username: UsernameSchema,
    session_id: SessionIdSchema,
    attempt: Type.Optional(AttemptSchema),
    ttl: Type.Optional(TtlSchema),
    node: Type.Optional(NodeNameSchema),
    ...details,
    emergency: Type.Optional(EmergencySchema),
    dry_run: Type.Optional(
      Type.Boolean({ description: 'Answer 200 with what would happen, and take no slot.' })
    )
  },
  { $id: 'AdmissionRequest', additionalProperties: false }
)

/** The members of an answer to a session that asks for a slot. */
const admission = <T extends TSchema>(sessionOrNull: T) => ({
  allowed: Type.Boolean({ examples: [true] }),
  session: sessionOrNull,
  count: Type.Integer({
    description: "The user's sessions that are up, including this one.",
    examples: [2]
  }),
  limit: Type.Integer({ examples: [10] }),
  terminated: Type.Array(sessionId, {
    description: 'Sessions that were terminated to make room. Hang up these calls.',
    examples: [[]]
  }),
  degraded: DegradedSchema
})

/** The answer to a session that has just been admitted. */
export const AdmittedSchema = Type.Object(admission(session), { $id: 'Admitted' })

/** The answer to a session that holds its slot already, or to a dry run. */
export const AdmissionSchema = Type.Object(
  admission(Type.Union([session, Type.Null()], { description: 'Null in a dry run.' })),
  { $id: 'Admission' }
)

export const RenewalRequestSchema = Type.Object(
  {
    username: UsernameSchema,
    attempt: Type.Optional(AttemptSchema),
    node: Type.Optional(NodeNameSchema),
    ttl: Type.Optional(TtlSchema)
  },
  { $id: 'RenewalRequest', additionalProperties: false }
)

export const RenewalSchema = Type.Object(
  {
    session,
    reregistered: Type.Boolean({
      description: 'True when the session was unknown and has been registered again.'
    }),
    degraded: DegradedSchema
  },
  { $id: 'Renewal' }
)

/** What a batch renewal says of one session. */
export const BatchRenewalItemSchema = Type.Object(
  {
    session_id: SessionIdSchema,
    username: UsernameSchema,
    attempt: Type.Optional(AttemptSchema)
  },
  { $id: 'BatchRenewalItem', additionalProperties: false }
)

export const BatchRenewalRequestSchema = Type.Object(
  {
    sessions: batchOf(BatchRenewalItemSchema),
    node: Type.Optional(NodeNameSchema),
    ttl: Type.Optional(TtlSchema)
  },
  { $id: 'BatchRenewalRequest', additionalProperties: false }
)

/** What every result of a batch names: as given, or null where that is no text. */
const named = {
  session_id: nullable(sessionId),
  username: nullable(Type.String({ examples: ['alice'] }))
}
const detail = Type.Optional(Type.String({ description: 'What is wrong with an invalid item.' }))
const outcomes = ['renewed', 'reregistered', 'session_ended', 'session_id_conflict', 'invalid']

export const BatchRenewalSchema = Type.Object(
  {
    results: Type.Array(
      Type.Object({
        ...named,
        outcome: stringEnum(outcomes, {
          description: 'Hang up the call if its session has ended.'
        }),
        result: stringEnum(outcomes, { description: 'The outcome once more, for older clients.' }),
        expires_at: nullable(TimestampSchema),
        detail
      }),
      { description: 'One result per item, in the order of the request.' }
    ),
    degraded: DegradedSchema
  },
  { $id: 'BatchRenewal' }
)

/** What a batch release says of one session. */
export const BatchReleaseItemSchema = Type.Object(
  {
    session_id: SessionIdSchema,
    username: Type.Optional(UsernameSchema),
    attempt: Type.Optional(AttemptSchema),
    reason: Type.Optional(reason)
  },
  { $id: 'BatchReleaseItem', additionalProperties: false }
)

export const BatchReleaseRequestSchema = Type.Object(
  { sessions: batchOf(BatchReleaseItemSchema), node: Type.Optional(NodeNameSchema) },
  { $id: 'BatchReleaseRequest', additionalProperties: false }
)

export const BatchReleaseSchema = Type.Object(
  {
    results: Type.Array(
      Type.Object({
        ...named,
        outcome: stringEnum(['released', 'unknown', 'session_id_conflict', 'invalid']),
        released: Type.Boolean({ description: 'False when the session was not up.' }),
        detail
      }),
      { description: 'One result per item, in the order of the request.' }
    ),
    degraded: DegradedSchema
  },
  { $id: 'BatchRelease' }
)

/** Which session a release is meant for, where its id alone is not enough. */
export const ReleaseQuerySchema = Type.Object(
  {
    username: Type.Optional(UsernameSchema),
    node: Type.Optional(NodeNameSchema),
    attempt: Type.Optional(AttemptSchema)
  },
  { additionalProperties: false }
)

export const ReleasedSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    session_id: sessionId,
    released: Type.Boolean({ description: 'False when the session was not up.' }),
    degraded: DegradedSchema
  },
  { $id: 'Released' }
)
