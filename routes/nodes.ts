/** Switch nodes: each reports all its calls. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from '@sinclair/typebox'
import { ref } from '../schemas/components.ts'
import { NodeNameSchema } from '../schemas/names.ts'
import { MAX_PAGE, PageQuerySchema } from '../schemas/paging.ts'
import {
  NodeForgottenSchema,
  NodeListSchema,
  NodeReportResultSchema,
  NodeReportSchema,
  NodeSessionSchema
} from '../schemas/nodes.ts'
import { problems } from '../schemas/problem.ts'
import { DEFAULT_TTL_SECONDS } from '../schemas/sessions.ts'
import { parseInstant } from '../services/clock.ts'
import { ServiceError, invalidMember } from '../services/errors.ts'
import { detailsOf, nodeView } from '../services/sessions/session-view.ts'
import { YOUNG_MS } from '../services/sessions/timing.ts'
import { mapInTurns } from '../services/util/in-turns.ts'
import { goneWith } from './hang-up.ts'
import { checkItems, validItems } from './items.ts'

const tags = ['nodes']
/** Room for 20,000 calls with details of usual length. */
const REPORT_BODY_BYTES = 16 * 1024 * 1024

const params = Type.Object({ node: NodeNameSchema })

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
          'Renews known sessions, registers missing ones, and frees the slots of the sessions of ' +
          'this node that are not in the list. A session that is missing has not ended: listed ' +
          'again, it is registered again. Sessions that began less than 10 s before the list was ' +
          'taken keep their slots.',
        params,
        body: ref(NodeReportSchema),
        response: {
          200: ref(NodeReportResultSchema),
          ...problems(400, 401, 403, 409, 413, 415, 429, 503)
        }
      }
    },
    async (request, reply) => {
      const { params: { node }, body, caller, log } = request
      const boundTo = caller?.node
      const checked = await checkItems<Static<typeof NodeSessionSchema>>(
        request,
        body.sessions,
        NodeSessionSchema
      )
      const sessions = await mapInTurns(validItems(checked), (item) => ({
        sessionId: item.session_id,
        username: item.username,
        attempt: item.attempt,
        details: detailsOf(item),
        boundTo
      }))
      const { epoch, ttl = DEFAULT_TTL_SECONDS, total } = body
      const about = { node, epoch, ttlMs: ttl * 1000, youngMs: YOUNG_MS, total }
      const taken = takenOf(body, reply.elapsedTime)
      const given = body.sessions.length
      const report = { ...about, ...taken, sessions, part: partOf(body), given }
      const result = await app.admission.reconcileNode(report, caller ?? {}, log)
      const invalid = checked.flatMap((one, index) =>
        'invalid' in one ? [{ index, ...one.invalid }] : [])
      return { ...result, invalid }
    }
  )

  app.delete(
    '/api/sessions/nodes/:node',
    {
      schema: {
        operationId: 'forgetNode',
        tags,
        summary: 'Forget a switch node: its epoch, and the slots of its sessions',
        params,
        response: { 200: ref(NodeForgottenSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ params: { node }, caller, log }) =>
      await app.admission.forgetNode(node, caller ?? {}, log)
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
    async (request) => {
      const { cursor = '', count = MAX_PAGE } = request.query
      const page = { cursor, count, isGone: goneWith(request) }
      const { entries, next_cursor } = await app.sessionLists.listNodes(page)
      return { nodes: entries.map(nodeView), next_cursor }
    }
  )
}

/** When the list was taken: at an instant, so long ago, or before the request arrived. */
function takenOf (
  { as_of: asOf, age_seconds: ageSeconds = 0 }: Static<typeof NodeReportSchema>,
  elapsedMs: number
) {
  if (asOf !== undefined && ageSeconds > 0) {
    throw new ServiceError('invalid_input', 'Give as_of or age_seconds, not both.')
  }
  const asOfMs = asOf === undefined ? Number.MAX_SAFE_INTEGER : parseInstant(asOf)
  if (asOfMs === undefined) {
    throw invalidMember(
      'body/as_of',
      'must be an instant as RFC 3339 writes it, such as 2026-11-22T10:00:00Z'
    )
  }
  return { asOfMs, ageMs: Math.ceil(elapsedMs + ageSeconds * 1000) }
}

function partOf ({ part, parts }: Static<typeof NodeReportSchema>) {
  if (part === undefined && parts === undefined) return undefined
  if (part === undefined || parts === undefined || part > parts) {
    throw new ServiceError('invalid_input', 'Give part and parts, and part not above parts.')
  }
  return { number: part, of: parts }
}

export default routes
