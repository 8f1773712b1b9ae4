/** Admission on the wire: acquire, renew and release. */
import { Type } from '@sinclair/typebox'
import {
  DegradedSchema,
  NodeNameSchema,
  SessionIdSchema,
  TimestampSchema,
  UsernameSchema,
  stringEnum
} from './names.ts'
import { EmergencySchema, TtlSchema, details, session, sessionId, username } from './sessions.ts'

/** The most sessions that one batch renewal may list. */
export const MAX_BATCH_RENEWALS = 5_000

export const AdmissionRequestSchema = Type.Object(
  {
    username: UsernameSchema,
    session_id: SessionIdSchema,
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

export const AdmissionSchema = Type.Object(
  {
    allowed: Type.Boolean({ examples: [true] }),
    session: Type.Union([session, Type.Null()], { description: 'Null in a dry run.' }),
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
  },
  { $id: 'Admission' }
)

export const RenewalRequestSchema = Type.Object(
  {
    username: UsernameSchema,
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

export const BatchRenewalRequestSchema = Type.Object(
  {
    sessions: Type.Array(
      Type.Object(
        { session_id: SessionIdSchema, username: UsernameSchema },
        { additionalProperties: false }
      ),
      {
        maxItems: MAX_BATCH_RENEWALS,
        description: `At most ${MAX_BATCH_RENEWALS} sessions.`
      }
    ),
    ttl: Type.Optional(TtlSchema)
  },
  { $id: 'BatchRenewalRequest', additionalProperties: false }
)

export const BatchRenewalSchema = Type.Object(
  {
    results: Type.Array(
      Type.Object({
        session_id: sessionId,
        username,
        result: stringEnum(['renewed', 'reregistered', 'session_ended', 'session_id_conflict'], {
          description: 'Hang up the call if its session has ended.'
        }),
        expires_at: Type.Union([TimestampSchema, Type.Null()])
      }),
      { description: 'One result per item, in the order of the request.' }
    ),
    degraded: DegradedSchema
  },
  { $id: 'BatchRenewal' }
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
