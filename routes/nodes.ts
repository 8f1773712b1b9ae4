/** Switch nodes: each reports all its calls. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ref } from '../schemas/components.ts'
import { NodeNameSchema } from '../schemas/names.ts'
import { MAX_PAGE, PageQuerySchema } from '../schemas/paging.ts'
import { NodeListSchema, NodeReportResultSchema, NodeReportSchema } from '../schemas/nodes.ts'
import { problems } from '../schemas/problem.ts'
import { DEFAULT_TTL_SECONDS } from '../schemas/sessions.ts'
import { nodeView } from '../services/sessions/session-view.ts'

const tags = ['nodes']
/** Room for 20,000 calls with details of usual length. */
const REPORT_BODY_BYTES = 16 * 1024 * 1024

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.put(
    '/api/sessions/nodes/:node',
    {
      bodyLimit: REPORT_BODY_BYTES,
      schema: {
        operationId: 'reportNode',
        tags,
        summary: 'Report the full list of calls that are up on a switch node',
        description:
          'Renews known sessions, registers missing ones, and releases the sessions of this node ' +
          'that are not in the list. A lower epoch than before is refused with 409 stale_epoch.',
        params: Type.Object({ node: NodeNameSchema }),
        body: ref(NodeReportSchema),
        response: {
          200: ref(NodeReportResultSchema),
          ...problems(400, 401, 403, 409, 413, 415, 429, 503)
        }
      }
    },
    async ({ params: { node }, body: { ttl = DEFAULT_TTL_SECONDS, ...report }, caller, log }) =>
      await app.admission.reconcileNode(node, report, ttl * 1000, caller ?? {}, log)
  )

  app.get(
    '/api/sessions/nodes',
    {
      schema: {
        operationId: 'listNodes',
        tags,
        summary: 'List the switch nodes that have reported',
        querystring: PageQuerySchema,
        response: { 200: ref(NodeListSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async ({ query: { cursor = '', count = MAX_PAGE } }) => {
      const { entries, next_cursor } = await app.sessionLists.listNodes({ cursor, count })
      return { nodes: entries.map(nodeView), next_cursor }
    }
  )
}

export default routes
