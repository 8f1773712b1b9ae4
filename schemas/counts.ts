/** Counts on the wire: how many sessions one user has, or a list of users has. */
import { Type, type Static } from '@sinclair/typebox'
import { DegradedSchema, StaleSchema, nullable } from './names.ts'

export const CountSchema = Type.Object(
  {
    username: Type.String({ examples: ['alice'] }),
    count: Type.Integer({ description: 'Live leases plus external sessions.', examples: [2] }),
    limit: Type.Integer({ examples: [10] }),
    available: nullable(Type.Integer(), {
      description: 'How many more sessions the user may have. Null when unlimited; never negative.',
      examples: [8]
    }),
    leases: Type.Integer({ description: 'Sessions that this service admitted.', examples: [2] }),
    external: Type.Integer({
      description: 'Sessions that the switch itself recorded.',
      examples: [0]
    }),
    degraded: Type.Optional(DegradedSchema),
    stale_ms: Type.Optional(StaleSchema)
  },
  { $id: 'Count' }
)

export const CountListSchema = Type.Object(
  {
    counts: Type.Record(Type.String(), Type.Integer(), {
      description: 'The count of each user. Users without sessions are left out.',
      examples: [{ alice: 2 }]
    }),
    total: Type.Integer({ description: 'The sum of the counts in this answer.', examples: [2] }),
    next_cursor: Type.Optional(nullable(Type.String()))
  },
  { $id: 'CountList' }
)

export const SweepResultSchema = Type.Object(
  {
    users: Type.Integer({ description: 'How many users were checked.', examples: [400] }),
    removed: Type.Integer({ description: 'How many ghosts were removed.', examples: [3] })
  },
  { $id: 'SweepResult' }
)

export type Count = Static<typeof CountSchema>
export type SweepResult = Static<typeof SweepResultSchema>
