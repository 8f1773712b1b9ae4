/** Switch nodes: each reports all its calls, and is believed. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ref } from '../schemas/components.ts'
import { NodeNameSchema } from '../schemas/names.ts'
import { MAX_PAGE, PageQuerySchema } from '../schemas/paging.ts'
import { problems } from '../schemas/problem.ts'
import {
  DEFAULT_TTL_SECONDS,
  NodeListSchema,
  NodeReportResultSchema,
  NodeReportSchema
} from '../schemas/sessions.ts'

const tags = ['nodes']
/** 20,000 calls of usual length fit. */
const REPORT_BODY_BYTES = 16 * 1024 * 1024

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.put(
    '/api/sessions/nodes/:node',
    {
      bodyLimit: REPORT_BODY_BYTES,
      schema: {
        operationId: 'reportNode',
        tags,
        summary: 'The full list of calls up on a switch node',
        description:
          'Renews what is known, registers what is missing, releases what this node no longer has. ' +
          'An epoch that goes backwards is 409 stale_epoch.',
        params: Type.Object({ node: NodeNameSchema }),
        body: ref(NodeReportSchema),
        response: {
          200: ref(NodeReportResultSchema),
          ...problems(400, 401, 403, 409, 413, 415, 429, 503)
        }
      }
    },
    async ({ params: { node }, body: { ttl = DEFAULT_TTL_SECONDS, ...report } }) =>
      await app.admission.reconcileNode(node, report, ttl * 1000)
  )

  app.get(
    '/api/sessions/nodes',
    {
      schema: {
        operationId: 'listNodes',
        tags,
        summary: 'The switch nodes that have reported',
        querystring: PageQuerySchema,
        response: { 200: ref(NodeListSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async ({ query: { cursor = '', count = MAX_PAGE } }) => {
      const { entries: nodes, next_cursor } = await app.sessionStore.listNodes({ cursor, count })
      return { nodes, next_cursor }
    }
  )
}

export default routes
