/** Limits on the wire: of one user, lists of them, bulk changes and temporary limits. */
import { Type, type Static } from '@sinclair/typebox'
import {
  DegradedSchema,
  LimitValueSchema,
  RESERVED_USERNAMES,
  StaleSchema,
  TimestampSchema,
  UsernameSchema,
  freeText,
  nullable,
  stringEnum
} from './names.ts'
import { PolicySchema } from './policy.ts'

/** The largest body with a list of limits, in bytes: room for 10,000 of the longest names. */
export const LIMIT_LIST_BYTES = 4 * 1024 * 1024

/** The longest temporary limit, in seconds: 30 days. */
export const MAX_TEMPORARY_LIMIT_SECONDS = 30 * 24 * 3600

/** The most users that one bulk change may list. */
export const MAX_BULK_LIMITS = 10_000

const barMembers = {
  reason: Type.Optional(freeText({ examples: ['unpaid bill'] })),
  expires_at: Type.Optional(TimestampSchema)
}

export const LimitSchema = Type.Object(
  {
    username: Type.String({ examples: ['alice'] }),
    limit: Type.Integer({
      description:
        'The limit in force. 0 means unlimited, and so does a negative value, which only another ' +
        'program can have stored.',
      examples: [25]
    }),
    source: stringEnum(['user', 'temporary', 'default'], {
      description:
        '`user`: the own limit. `temporary`: a temporary limit. `default`: the limit of the policy.'
    }),
    unlimited: Type.Boolean({ examples: [false] }),
    expires_at: Type.Optional(TimestampSchema),
    reason: Type.Optional(Type.String({ description: 'Why the temporary limit was set.' })),
    barred: Type.Boolean({
      description: 'Whether the user may have no new calls at all, whatever the limit.',
      examples: [false]
    }),
    bar: Type.Optional(
      Type.Object({ ...barMembers }, { description: 'Present while the user is barred.' })
    ),
    degraded: Type.Optional(DegradedSchema),
    stale_ms: Type.Optional(StaleSchema)
  },
  { $id: 'Limit' }
)

export const LimitListSchema = Type.Object(
  {
    ...PolicySchema.properties,
    user_limits: Type.Record(Type.String(), Type.Integer(), {
      description: 'Own limits by username. `_default` is the limit of the policy.',
      examples: [{ _default: 5, alice: 10 }]
    }),
    next_cursor: Type.Optional(
      nullable(Type.String(), {
        description: 'Present when a page was requested. Null on the last page.'
      })
    )
  },
  { $id: 'LimitList' }
)

export const LimitChangeSchema = Type.Object(
  { limit: LimitValueSchema },
  { $id: 'LimitChange', additionalProperties: false }
)

export const LimitSetSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    username: Type.String({ examples: ['alice'] }),
    limit: Type.Integer({ examples: [25] }),
    message: Type.String({ examples: ['Session limit for user alice set to 25'] })
  },
  { $id: 'LimitSet' }
)

export const LimitRemovedSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    username: Type.String({ examples: ['alice'] }),
    message: Type.String({ examples: ['Session limit for user alice removed (will use default)'] }),
    removed: Type.Boolean({
      description: 'False when the user had no own limit.',
      examples: [true]
    })
  },
  { $id: 'LimitRemoved' }
)

export const BulkLimitsSchema = Type.Object(
  {
    limits: Type.Unsafe<Record<string, number | null>>({
      type: 'object',
      description:
        `Limits by username, at most ${MAX_BULK_LIMITS}. Null removes a limit. ` +
        `Reserved names: ${RESERVED_USERNAMES.join(', ')}.`,
      propertyNames: { pattern: UsernameSchema.pattern },
      maxProperties: MAX_BULK_LIMITS,
      additionalProperties: {
        type: ['integer', 'null'],
        minimum: 0,
        maximum: LimitValueSchema.maximum
      },
      examples: [{ alice: 10, bob: null }]
    })
  },
  { $id: 'BulkLimits', additionalProperties: false }
)

export const BulkResultSchema = Type.Object(
  {
    set: Type.Integer({ examples: [1] }),
    removed: Type.Integer({
      description:
        'How many limits were removed. A null for a user without a limit is not counted.',
      examples: [1]
    })
  },
  { $id: 'BulkResult' }
)

export const TemporaryLimitChangeSchema = Type.Object(
  {
    limit: LimitValueSchema,
    duration: Type.Integer({
      minimum: 1,
      maximum: MAX_TEMPORARY_LIMIT_SECONDS,
      description: 'How long the limit lasts, in seconds: at most 30 days.',
      examples: [3600]
    }),
    reason: Type.Optional(freeText({ examples: ['fraud investigation'] }))
  },
  { $id: 'TemporaryLimitChange', additionalProperties: false }
)

export const TemporaryLimitSetSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    username: Type.String({ examples: ['alice'] }),
    limit: Type.Integer({ examples: [1] }),
    expires_at: TimestampSchema
  },
  { $id: 'TemporaryLimitSet' }
)

export const TemporaryLimitRemovedSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    username: Type.String({ examples: ['alice'] }),
    removed: Type.Boolean({ examples: [true] })
  },
  { $id: 'TemporaryLimitRemoved' }
)

export const BarChangeSchema = Type.Object(
  {
    reason: barMembers.reason,
    expires_at: Type.Optional(
      Type.String({
        maxLength: 64,
        description:
          'When the bar ends by itself: an RFC 3339 instant in the future. Without it, the bar ' +
          'stays until it is removed.',
        examples: ['2027-01-01T00:00:00Z']
      })
    )
  },
  { $id: 'BarChange', additionalProperties: false }
)

export const BarSetSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    username: Type.String({ examples: ['alice'] }),
    barred: Type.Boolean({ examples: [true] }),
    ...barMembers
  },
  { $id: 'BarSet' }
)

export const BarRemovedSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    username: Type.String({ examples: ['alice'] }),
    removed: Type.Boolean({
      description: 'False when the user was not barred.',
      examples: [true]
    })
  },
  { $id: 'BarRemoved' }
)

export type Limit = Static<typeof LimitSchema>
export type TemporaryLimitChange = Static<typeof TemporaryLimitChangeSchema>
