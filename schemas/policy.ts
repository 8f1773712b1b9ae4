/** The policy: the limit of users without their own, and what happens when a user reaches it. */
import { Type, type Static } from '@sinclair/typebox'
import { LimitValueSchema, MAX_LIMIT, stringEnum } from './names.ts'

/** What can happen when a user who is at the limit asks for another session. */
export const SESSION_LIMIT_ACTIONS = ['reject', 'terminate_oldest', 'observe'] as const

export const SessionLimitActionSchema = stringEnum(SESSION_LIMIT_ACTIONS, {
  description:
    'What happens at the limit: `reject` refuses the new session, `terminate_oldest` terminates ' +
    'the oldest sessions to make room, `observe` admits it and logs a violation (a dry run).'
})

export const PolicySchema = Type.Object(
  {
    enabled: Type.Boolean({
      description: 'With false, sessions are counted and none is refused.',
      examples: [true]
    }),
    max_sessions_per_user: Type.Integer({ ...LimitValueSchema, examples: [5] }),
    session_limit_action: SessionLimitActionSchema
  },
  { additionalProperties: false }
)

const policyChange = Type.Partial(PolicySchema)

export const PolicyChangeSchema = Type.Object(
  {
    ...policyChange.properties,
    user_limits: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        description: 'Ignored, so that what GET gave can be put back.'
      })
    )
  },
  { $id: 'PolicyChange', additionalProperties: false, minProperties: 1 }
)

export const PolicyUpdatedSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    message: Type.String({ examples: ['Session limits policy updated'] }),
    ...PolicySchema.properties
  },
  { $id: 'PolicyUpdated' }
)

export type Policy = Static<typeof PolicySchema>
export type PolicyChange = Static<typeof policyChange>

/** Checks each member of a policy that did not come through the API: from Redis or etcd. */
export const POLICY_FIELDS: Record<keyof Policy, (value: unknown) => boolean> = {
  enabled: (value) => typeof value === 'boolean',
  max_sessions_per_user: (value) =>
    Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_LIMIT,
  session_limit_action: (value) => SESSION_LIMIT_ACTIONS.some((action) => action === value)
}
