/** Switch nodes on the wire: node reports, the answers to them, and the list of nodes. */
import { Type, type Static } from '@sinclair/typebox'
import { DegradedSchema, SessionIdSchema, TimestampSchema, UsernameSchema } from './names.ts'
import { TtlSchema, details, nullable, sessionId } from './sessions.ts'

/** The most calls that one node report may list. */
export const MAX_NODE_SESSIONS = 20_000

export const NodeReportSchema = Type.Object(
  {
    epoch: Type.Integer({
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      description: 'A number that grows each time the node restarts, such as its start time.',
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
          'When the list was taken. A session that started later is not released for being ' +
          'missing from the list.'
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
        sessions: Type.Integer({ description: "The node's live leases." })
      })
    ),
    next_cursor: nullable(Type.String({ examples: ['WzAsIjEyIixbXV0'] }))
  },
  { $id: 'NodeList' }
)

export type NodeReport = Static<typeof NodeReportSchema>
export type NodeSummary = Static<typeof NodeListSchema>['nodes'][number]
