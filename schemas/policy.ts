/**
 * The policy: what holds for every user who has no limit of its own, and what happens at the limit.
 */
import { Type, type Static } from '@sinclair/typebox'
import { LimitValueSchema, MAX_LIMIT, stringEnum } from './names.ts'

/** What an admission can do when the user is at the limit. */
export const SESSION_LIMIT_ACTIONS = ['reject', 'terminate_oldest', 'observe'] as const

export const SessionLimitActionSchema = stringEnum(SESSION_LIMIT_ACTIONS, {
  description:
    'At the limit: refuse the newcomer, end the oldest sessions, or only count and log (a dry run).'
})

export const PolicySchema = Type.Object(
  {
    enabled: Type.Boolean({
      description: 'False refuses nothing and still counts.',
      examples: [true]
    }),
    max_sessions_per_user: Type.Integer({ ...LimitValueSchema, examples: [5] }),
    session_limit_action: SessionLimitActionSchema
  },
  { additionalProperties: false }
)

export const PolicyChangeSchema = Type.Partial(Type.Object(PolicySchema.properties), {
  $id: 'PolicyChange',
  additionalProperties: false,
  minProperties: 1
})

export const PolicyUpdatedSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    message: Type.String({ examples: ['Session limits policy updated'] }),
    ...PolicySchema.properties
  },
  { $id: 'PolicyUpdated' }
)

export type Policy = Static<typeof PolicySchema>
export type PolicyChange = Static<typeof PolicyChangeSchema>

/** What each member of a policy may be, for policies that come from elsewhere than the API. */
export const POLICY_FIELDS: Record<keyof Policy, (value: unknown) => boolean> = {
  enabled: (value) => typeof value === 'boolean',
  max_sessions_per_user: (value) =>
    Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_LIMIT,
  session_limit_action: (value) => SESSION_LIMIT_ACTIONS.some((action) => action === value)
}
