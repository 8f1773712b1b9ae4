/** Sessions on the wire: one session, lists of them, and lists of the users who have them. */
import { Type, type Static, type TBoolean, type TObject, type TOptional } from '@sinclair/typebox'
import { ref } from './components.ts'
import {
  DegradedSchema,
  StaleSchema,
  TimestampSchema,
  freeText,
  nullable,
  stringEnum
} from './names.ts'

/** How long a lease lasts without a renewal, in seconds. */
export const DEFAULT_TTL_SECONDS = 90

/** The deepest entry of the list of users that can be asked for: `page` times `limit`. */
export const MAX_USERS_DEPTH = 10_000

/** A session id as an answer gives it. */
export const sessionId = Type.String({ examples: ['call-7f3a@pbx1'] })

/** A username as an answer gives it. */
export const username = Type.String({ examples: ['alice'] })

export const TtlSchema = Type.Integer({
  minimum: 10,
  maximum: 86_400,
  description:
    'Seconds until the lease expires unless it is renewed. ' +
    `The default is ${DEFAULT_TTL_SECONDS}.`,
  examples: [90]
})

const direction = stringEnum(['inbound', 'outbound'], {
  description: "The call's direction as the user sees it."
})

const metadataValue = Type.Union([Type.String({ maxLength: 256 }), Type.Number(), Type.Boolean()])

/** What a caller may say about a session. It is stored and shown, and never decides anything. */
export const details = {
  call_id: Type.Optional(
    freeText({
      description: 'SIP Call-ID (RFC 3261, 8.1.1.4).',
      examples: ['7f3a@pbx1.example.net']
    })
  ),
  from: Type.Optional(freeText({ description: 'SIP From.', examples: ['sip:alice@example.net'] })),
  to: Type.Optional(
    freeText({ description: 'SIP To.', examples: ['sip:+14155550100@carrier.example.net'] })
  ),
  direction: Type.Optional(direction),
  // Not Type.Record: its name pattern would let a name that contains a line break hold any value.
  metadata: Type.Optional(
    Type.Unsafe<Record<string, Static<typeof metadataValue>>>({
      type: 'object',
      propertyNames: { maxLength: 64, pattern: '^(?!__proto__$)' },
      additionalProperties: metadataValue,
      maxProperties: 16,
      description: 'Up to 16 values of your own, returned as given.',
      examples: [{ trunk: 'carrier-a' }]
    })
  )
}

/** Whether a session is an emergency call. */
export const EmergencySchema = Type.Boolean({
  description: 'An emergency call: always admitted, counted and logged.'
})

export const SessionSchema = Type.Object(
  {
    session_id: sessionId,
    attempt: Type.Integer({ description: 'Which attempt at the call this is.', examples: [0] }),
    username,
    node: nullable(Type.String({ examples: ['pbx-1'] })),
    call_id: nullable(Type.String({ examples: ['7f3a@pbx1.example.net'] })),
    from: nullable(Type.String({ examples: ['sip:alice@example.net'] })),
    to: nullable(Type.String({ examples: ['sip:+14155550100@carrier.example.net'] })),
    direction: nullable(Type.String({ examples: ['outbound'] })),
    emergency: Type.Boolean(),
    started_at: nullable(TimestampSchema, {
      description: 'Null for an external session whose start cannot be read.'
    }),
    expires_at: nullable(TimestampSchema, {
      description: 'When the lease expires unless it is renewed. Null for an external session.'
    }),
    metadata: Type.Unsafe<Record<string, string | number | boolean>>({
      type: 'object',
      additionalProperties: { type: ['string', 'number', 'boolean'] }
    }),
    source: stringEnum(['lease', 'external'], {
      description:
        '`lease`: admitted by this service. `external`: recorded in Redis by the switch itself.'
    }),
    degraded: Type.Optional(DegradedSchema),
    stale_ms: Type.Optional(StaleSchema)
  },
  { $id: 'Session' }
)

/** A session, by reference. */
export const session = ref(SessionSchema)

/** Why a session ends; shown to people, never decided by. */
export const reason = freeText({ examples: ['hangup'] })

export const ReasonSchema = Type.Object(
  {
    reason: Type.Optional(reason)
  },
  { $id: 'Reason', additionalProperties: false }
)

export const TerminationSchema = Type.Object(
  {
    reason: Type.Optional(reason),
    include_emergency: Type.Optional(
      Type.Boolean({ description: 'Terminate emergency sessions, too. They are spared otherwise.' })
    )
  },
  { $id: 'Termination', additionalProperties: false }
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
        activeSessions: Type.Integer({
          description: 'The same as sessions, for the old web console.'
        }),
        limit: Type.Integer(),
        unlimited: Type.Boolean(),
        source: Type.String({ examples: ['user'] })
      })
    ),
    page: Type.Integer(),
    limit: Type.Integer(),
    total: Type.Integer({ description: 'The number of users with at least one session.' })
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
    terminated: Type.Array(sessionId, {
      description: 'The sessions that were terminated. Hang up these calls.'
    }),
    spared: Type.Array(sessionId, {
      description: 'Emergency sessions, which were left alone.',
      examples: [[]]
    }),
    degraded: DegradedSchema
  },
  { $id: 'Terminated' }
)

export type Session = Static<typeof SessionSchema>
/** What a caller may say about a session, as it is kept with the lease. */
export type SessionDetails = Static<TObject<typeof details & { emergency: TOptional<TBoolean> }>>
export type UserSummary = Omit<Static<typeof UserListSchema>['users'][number], 'activeSessions'>
