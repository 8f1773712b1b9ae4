/** Switch nodes on the wire: node reports, the answers to them, and the list of nodes. */
import { Type, type Static } from '@sinclair/typebox'
import { ref } from './components.ts'
import {
  AttemptSchema,
  DegradedSchema,
  SessionIdSchema,
  TimestampSchema,
  UsernameSchema,
  nullable
} from './names.ts'
import { TtlSchema, details, sessionId } from './sessions.ts'

/** The most calls that one node report may list. */
export const MAX_NODE_SESSIONS = 20_000

/** The most parts that a report may come in. */
export const MAX_PARTS = 100

/** What a report says of one call. */
export const NodeSessionSchema = Type.Object(
  {
    session_id: SessionIdSchema,
    username: UsernameSchema,
    attempt: Type.Optional(AttemptSchema),
    ...details,
    emergency: Type.Optional(Type.Boolean())
  },
  { $id: 'NodeSession', additionalProperties: false }
)

const part = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_PARTS, description, examples: [1] }))

export const NodeReportSchema = Type.Object(
  {
    epoch: Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description:
        'A number that grows each time the node restarts, such as its start time. A lower one is ' +
        'refused while the node has been heard of within the ttl of its last report.',
      examples: [1795300000]
    }),
    sessions: Type.Unsafe<unknown[]>({
      type: 'array',
      maxItems: MAX_NODE_SESSIONS,
      description:
        `Every call that is up on the node, at most ${MAX_NODE_SESSIONS}. ` +
        'Each is checked by itself.',
      'x-items': ref(NodeSessionSchema)
    }),
    total: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_NODE_SESSIONS * MAX_PARTS,
        description:
          'How many sessions the node means to give, in all parts together. A report that gives ' +
          'another number is refused, and frees nothing.'
      })
    ),
    part: part('Which part of a long list this is. What is missing is freed with the last part.'),
    parts: part('How many parts the list comes in.'),
    ttl: Type.Optional(TtlSchema),
    as_of: Type.Optional(
      Type.String({
        maxLength: 64,
        description:
          'When the list was taken (RFC 3339). A session that began less than 10 s before that ' +
          'keeps its slot, whether it is listed or not.',
        examples: ['2026-11-22T10:00:00Z']
      })
    ),
    age_seconds: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 86_400,
        description: 'How long ago the list was taken, for nodes that cannot print times.'
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
      description:
        'Reported sessions that were released or terminated earlier. Hang up these calls.',
      examples: [[]]
    }),
    conflicts: Type.Array(sessionId, {
      description: 'Reported sessions whose id belongs to another user.',
      examples: [[]]
    }),
    invalid: Type.Array(
      Type.Object({
        index: Type.Integer({ description: 'The place in the list, from 0.' }),
        session_id: nullable(sessionId),
        username: nullable(Type.String({ examples: ['alice'] })),
        detail: Type.String({ description: 'What is wrong with the item.' })
      }),
      { description: 'Items that are not valid. The others were taken.', examples: [[]] }
    ),
    degraded: DegradedSchema
  },
  { $id: 'NodeReportResult' }
)

export const NodeForgottenSchema = Type.Object(
  {
    success: Type.Boolean({ examples: [true] }),
    node: Type.String({ examples: ['pbx-1'] }),
    released: Type.Integer({ description: 'How many sessions lost their slots.' }),
    degraded: DegradedSchema
  },
  { $id: 'NodeForgotten' }
)

export const NodeListSchema = Type.Object(
  {
    nodes: Type.Array(
      Type.Object({
        node: Type.String({ examples: ['pbx-1'] }),
        epoch: Type.Integer(),
        last_seen: TimestampSchema,
        sessions: Type.Integer({ description: "The node's live leases." })
      })
    ),
    next_cursor: nullable(Type.String({ examples: ['WzAsIjEyIixbXV0'] }))
  },
  { $id: 'NodeList' }
)

export type NodeSummary = Static<typeof NodeListSchema>['nodes'][number]
