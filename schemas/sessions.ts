/** Sessions on the wire: admission, renewal, release, what switch nodes report, and lists. */
import { Type, type Static } from '@sinclair/typebox'
import { ref } from './components.ts'
import {
  DegradedSchema,
  NodeNameSchema,
  SessionIdSchema,
  TimestampSchema,
  UsernameSchema,
  stringEnum
} from './names.ts'

/** How long a lease lasts without a renewal, in seconds. */
export const DEFAULT_TTL_SECONDS = 90

/** The most sessions one batch renewal may name. */
export const MAX_BATCH_RENEWALS = 5_000

/** The most calls one switch node may report. */
export const MAX_NODE_SESSIONS = 20_000

/** The deepest place in the list of users, `page` times `limit`, that can be asked for. */
export const MAX_USERS_DEPTH = 10_000

const text = (description: string, example: string) =>
  Type.String({ maxLength: 256, description, examples: [example] })
const sessionId = Type.String({ examples: ['call-7f3a@pbx1'] })
const username = Type.String({ examples: ['alice'] })
const nullable = <T extends ReturnType<typeof Type.String>>(schema: T) =>
  Type.Union([schema, Type.Null()])

export const TtlSchema = Type.Integer({
  minimum: 10,
  maximum: 86_400,
  description: `Seconds until the lease ends if it is not renewed; ${DEFAULT_TTL_SECONDS} when left out.`,
  examples: [90]
})

const direction = stringEnum(['inbound', 'outbound'], { description: 'Seen from the user.' })

const metadataValue = Type.Union([Type.String({ maxLength: 256 }), Type.Number(), Type.Boolean()])

/** What a caller may say of a session; kept and shown, and never looked at by an admission. */
const details = {
  call_id: Type.Optional(text('SIP Call-ID (RFC 3261, 8.1.1.4).', '7f3a@pbx1.example.net')),
  from: Type.Optional(text('SIP From.', 'sip:alice@example.net')),
  to: Type.Optional(text('SIP To.', 'sip:+14155550100@carrier.example.net')),
  direction: Type.Optional(direction),
  // Not a Record: the pattern that a Record makes of names lets one with a line break in it hold
  // anything.
  metadata: Type.Optional(
    Type.Unsafe<Record<string, Static<typeof metadataValue>>>({
      type: 'object',
      // Bodies that reach for a prototype are refused.
      propertyNames: { maxLength: 64, pattern: '^(?!__proto__$)' },
      additionalProperties: metadataValue,
      maxProperties: 16,
      description: 'Up to 16 values, shown as they were given.',
      examples: [{ trunk: 'carrier-a' }]
    })
  )
}

export const SessionSchema = Type.Object(
  {
    session_id: sessionId,
    username,
    node: nullable(Type.String({ examples: ['pbx-1'] })),
    call_id: nullable(Type.String({ examples: ['7f3a@pbx1.example.net'] })),
    from: nullable(Type.String({ examples: ['sip:alice@example.net'] })),
    to: nullable(Type.String({ examples: ['sip:+14155550100@carrier.example.net'] })),
    direction: nullable(Type.String({ examples: ['outbound'] })),
    emergency: Type.Boolean(),
    started_at: Type.Union([TimestampSchema, Type.Null()], {
      description: 'Null for an external session without a readable start.'
    }),
    expires_at: Type.Union([TimestampSchema, Type.Null()], {
      description: 'When the lease ends unless renewed; null for an external session.'
    }),
    metadata: Type.Unsafe<Record<string, string | number | boolean>>({
      type: 'object',
      additionalProperties: { type: ['string', 'number', 'boolean'] }
    }),
    source: stringEnum(['lease', 'external'], {
      description: '`external` sessions were recorded by the switch itself.'
    }),
    degraded: Type.Optional(DegradedSchema)
  },
  { $id: 'Session' }
)

const session = ref(SessionSchema)

export const AdmissionRequestSchema = Type.Object(
  {
    username: UsernameSchema,
    session_id: SessionIdSchema,
    ttl: Type.Optional(TtlSchema),
    node: Type.Optional(NodeNameSchema),
    ...details,
    emergency: Type.Optional(Type.Boolean({ description: 'Always admitted, counted and logged.' })),
    dry_run: Type.Optional(
      Type.Boolean({ description: 'Says what would happen, with 200, and takes nothing.' })
    )
  },
  { $id: 'AdmissionRequest', additionalProperties: false }
)

export const AdmissionSchema = Type.Object(
  {
    allowed: Type.Boolean({ examples: [true] }),
    session: Type.Union([session, Type.Null()], { description: 'Null in a dry run.' }),
    count: Type.Integer({
      description: 'Sessions of the user that are up, this one included.',
      examples: [2]
    }),
    limit: Type.Integer({ examples: [10] }),
    terminated: Type.Array(sessionId, {
      description: 'Sessions that were ended to make room: hang these up.',
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
      description: 'True when the session was unknown and is registered again.'
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
        description: `At most ${MAX_BATCH_RENEWALS}.`
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
          description: 'Hang up a session that has ended.'
        }),
        expires_at: Type.Union([TimestampSchema, Type.Null()])
      }),
      { description: 'One result per item, in order.' }
    ),
    degraded: DegradedSchema
  },
  { $id: 'BatchRenewal' }
)

export const NodeReportSchema = Type.Object(
  {
    epoch: Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'Grows with every restart of the node: its start time, say.',
      examples: [1795300000]
    }),
    sessions: Type.Array(
      Type.Object(
        {
          session_id: SessionIdSchema,
          username: UsernameSchema,
          ...details,
          emergency: Type.Optional(Type.Boolean())
        },
        { additionalProperties: false }
      ),
      {
        maxItems: MAX_NODE_SESSIONS,
        description: `Every call that is up on the node, at most ${MAX_NODE_SESSIONS}.`
      }
    ),
    ttl: Type.Optional(TtlSchema),
    as_of: Type.Optional(
      Type.String({
        format: 'date-time',
        description:
          'When the list was taken. Sessions that started later are not released for missing in it.'
      })
    )
  },
  { $id: 'NodeReport', additionalProperties: false }
)

export const NodeReportResultSchema = Type.Object(
  {
    renewed: Type.Integer(),
    registered: Type.Integer(),
    released: Type.Integer(),
    ended: Type.Array(sessionId, {
      description: 'Reported sessions that were released or terminated before: hang these up.',
      examples: [[]]
    }),
    conflicts: Type.Array(sessionId, {
      description: 'Reported sessions whose id another user holds.',
      examples: [[]]
    }),
    degraded: DegradedSchema
  },
  { $id: 'NodeReportResult' }
)

export const NodeListSchema = Type.Object(
  {
    nodes: Type.Array(
      Type.Object({
        node: Type.String({ examples: ['pbx-1'] }),
        epoch: Type.Integer(),
        last_seen: TimestampSchema,
        sessions: Type.Integer({ description: 'Live leases of the node.' })
      })
    ),
    next_cursor: nullable(Type.String({ examples: ['WzAsIjEyIixbXV0'] }))
  },
  { $id: 'NodeList' }
)

export const ReasonSchema = Type.Object(
  {
    reason: Type.Optional(Type.String({ maxLength: 256, examples: ['hangup'] }))
  },
  { $id: 'Reason', additionalProperties: false }
)

export const ReleasedSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    session_id: sessionId,
    released: Type.Boolean({ description: 'False when it was not up.' }),
    degraded: DegradedSchema
  },
  { $id: 'Released' }
)

export const SessionListSchema = Type.Object(
  {
    sessions: Type.Array(session),
    next_cursor: nullable(Type.String({ examples: ['WzAsIjEyIixbXV0'] }))
  },
  { $id: 'SessionList' }
)

export const UserListSchema = Type.Object(
  {
    users: Type.Array(
      Type.Object({
        username,
        sessions: Type.Integer(),
        limit: Type.Integer(),
        unlimited: Type.Boolean(),
        source: Type.String({ examples: ['user'] })
      })
    ),
    page: Type.Integer(),
    limit: Type.Integer(),
    total: Type.Integer({ description: 'Users with sessions.' })
  },
  { $id: 'UserList' }
)

export const UserSessionsSchema = Type.Object(
  {
    username,
    limit: Type.Integer(),
    count: Type.Integer(),
    sessions: Type.Array(session),
    next_cursor: nullable(Type.String({ examples: ['WzAsIjEyIixbXV0'] }))
  },
  { $id: 'UserSessions' }
)

export const TerminatedSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    terminated: Type.Array(sessionId, { description: 'Sessions that were ended: hang these up.' }),
    degraded: DegradedSchema
  },
  { $id: 'Terminated' }
)

export type Session = Static<typeof SessionSchema>
export type AdmissionRequest = Static<typeof AdmissionRequestSchema>
export type SessionDetails = Pick<
  AdmissionRequest,
  'call_id' | 'from' | 'to' | 'direction' | 'metadata' | 'emergency'
>
export type NodeReport = Static<typeof NodeReportSchema>
export type NodeSummary = Static<typeof NodeListSchema>['nodes'][number]
export type UserSummary = Static<typeof UserListSchema>['users'][number]
