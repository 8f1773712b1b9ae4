/** The limits of users, one by one, in pages or in bulk. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ref } from '../schemas/components.ts'
import {
  BulkLimitsSchema,
  BulkResultSchema,
  LimitChangeSchema,
  LimitListSchema,
  LimitRemovedSchema,
  LimitSchema,
  LimitSetSchema
} from '../schemas/limits.ts'
import { UsernameSchema } from '../schemas/names.ts'
import { MAX_PAGE, PageQuerySchema } from '../schemas/paging.ts'
import { problems } from '../schemas/problem.ts'
import { sendJsonStream } from './json-stream.ts'
import { namedValues } from './named-values.ts'

const tags = ['limits']
const params = Type.Object({ username: UsernameSchema })
/** Room for 10,000 entries with the longest names. */
const BULK_BODY_BYTES = 2 * 1024 * 1024

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/sessions/limits',
    {
      schema: {
        operationId: 'listLimits',
        tags,
        summary: 'List the policy and the own limits of all users, or one page of them',
        description:
          'Without cursor and count, the whole list is streamed. If Redis fails on the way, ' +
          'the connection is cut.',
        querystring: Type.Object(
          {
            ...PageQuerySchema.properties,
            prefix: Type.Optional(
              Type.String({
                pattern: '^[A-Za-z0-9._~+@-]{0,128}$',
                description: 'List only users whose name begins with this.'
              })
            )
          },
          { additionalProperties: false }
        ),
        response: { 200: ref(LimitListSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async ({ query: { cursor, count, prefix = '' } }, reply) => {
      const { current: policy } = app.policy
      const first = { _default: policy.max_sessions_per_user }
      if (cursor === undefined && count === undefined) {
        return await sendJsonStream(reply, policy, {
          name: 'user_limits',
          first,
          batches: app.limitLists.allLimits(prefix)
        })
      }
      const { entries, next_cursor } = await app.limitLists.listLimits(prefix, {
        cursor: cursor ?? '',
        count: count ?? MAX_PAGE
      })
      return {
        ...policy,
        user_limits: namedValues([...Object.entries(first), ...entries]),
        next_cursor
      }
    }
  )

  app.get(
    '/api/sessions/limits/:username',
    {
      schema: {
        operationId: 'getLimit',
        tags,
        summary: 'Get the limit in force for a user',
        params,
        response: { 200: ref(LimitSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async ({ params: { username } }) => await app.limitsStore.getLimit(username)
  )

  app.put(
    '/api/sessions/limits/:username',
    {
      schema: {
        operationId: 'setLimit',
        tags,
        summary: "Set a user's own limit",
        params,
        body: ref(LimitChangeSchema),
        response: { 200: ref(LimitSetSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ params: { username }, body: { limit } }) => {
      await app.limitsStore.setLimit(username, limit)
      return {
        success: true,
        username,
        limit,
        message: `Session limit for user ${username} set to ${limit}`
      }
    }
  )

  app.delete(
    '/api/sessions/limits/:username',
    {
      schema: {
        operationId: 'removeLimit',
        tags,
        summary: "Remove a user's own limit",
        params,
        response: { 200: ref(LimitRemovedSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ params: { username } }) => {
      const removed = await app.limitsStore.removeLimit(username)
      return {
        success: true,
        username,
        message: `Session limit for user ${username} removed (will use default)`,
        removed
      }
    }
  )

  app.post(
    '/api/sessions/limits/bulk',
    {
      bodyLimit: BULK_BODY_BYTES,
      schema: {
        operationId: 'setLimits',
        tags,
        summary: 'Set and remove the own limits of many users, all or nothing',
        body: ref(BulkLimitsSchema),
        response: { 200: ref(BulkResultSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ body: { limits } }) => await app.limitsStore.setLimits(limits)
  )
}

export default routes
