/** The limits of users, one by one, in pages or in bulk. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ref } from '../schemas/components.ts'
import {
  BulkLimitsSchema,
  BulkResultSchema,
  LIMIT_LIST_BYTES,
  LimitChangeSchema,
  LimitListSchema,
  LimitRemovedSchema,
  LimitSchema,
  LimitSetSchema
} from '../schemas/limits.ts'
import { StoredUsernameSchema, UsernameSchema } from '../schemas/names.ts'
import { MAX_PAGE, PageQuerySchema } from '../schemas/paging.ts'
import { problems } from '../schemas/problem.ts'
import { ServiceError } from '../services/errors.ts'
import { limitView } from '../services/limits/limit-view.ts'
import { canonicalName } from '../services/util/names.ts'
import { goneWith } from './hang-up.ts'
import { sendJsonStream } from './json-stream.ts'
import { namedValues } from './named-values.ts'

const tags = ['limits']
const params = Type.Object({ username: UsernameSchema })
const storedParams = Type.Object({ username: StoredUsernameSchema })

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
                maxLength: 256,
                description: 'List only users whose name begins with this text.'
              })
            )
          },
          { additionalProperties: false }
        ),
        response: { 200: ref(LimitListSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async (request, reply) => {
      const { cursor, count, prefix = '' } = request.query
      const isGone = goneWith(request)
      const { current: policy } = app.policy
      const first = { _default: policy.max_sessions_per_user }
      if (cursor === undefined && count === undefined) {
        return await sendJsonStream(reply, policy, {
          name: 'user_limits',
          first,
          batches: ownLimits(app.limitLists.allLimits(prefix, isGone))
        })
      }
      const { entries, next_cursor } = await app.limitLists.listLimits(prefix, {
        cursor: cursor ?? '',
        count: count ?? MAX_PAGE,
        isGone
      })
      return {
        ...policy,
        user_limits: namedValues([...Object.entries(first), ...entries.filter(isOwnLimit)]),
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
        params: storedParams,
        response: { 200: ref(LimitSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async ({ params: { username } }) => {
      const [canonical, ...stored] = spellings(username)
      const limit = await app.limitsStore.getLimit(canonical)
      if (limit.source !== 'default' || stored[0] === undefined) return limitView(limit)
      const other = await app.limitsStore.getLimit(stored[0])
      return limitView(other.source === 'user' ? other : limit)
    }
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
        params: storedParams,
        response: { 200: ref(LimitRemovedSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ params: { username } }) => {
      let removed = false
      for (const one of spellings(username)) {
        removed = (await app.limitsStore.removeLimit(one)) || removed
      }
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
      bodyLimit: LIMIT_LIST_BYTES,
      schema: {
        operationId: 'setLimits',
        tags,
        summary: 'Set and remove the own limits of many users, all or nothing',
        body: ref(BulkLimitsSchema),
        response: { 200: ref(BulkResultSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ body: { limits } }) => await app.limitsStore.setLimits(byCanonicalName(limits))
  )
}

/** Whether an entry is not `_default`, which the policy gives, whatever another program stored. */
function isOwnLimit ([username]: [string, number]): boolean {
  return username !== '_default'
}

async function * ownLimits (
  batches: AsyncIterable<Array<[string, number]>>
): AsyncGenerator<Array<[string, number]>> {
  for await (const batch of batches) yield batch.filter(isOwnLimit)
}

/** The one spelling of a username and, if another program stored it otherwise, that one too. */
function spellings (username: string): [canonical: string, ...stored: string[]] {
  const canonical = canonicalName(username)
  return canonical === username ? [canonical] : [canonical, username]
}

/**
 * The limits by the one spelling of each username.
 * @throws ServiceError `invalid_input` if one user is named twice
 */
function byCanonicalName (limits: Record<string, number | null>): Record<string, number | null> {
  const entries = Object.entries(limits)
  const canonical = Object.fromEntries(
    entries.map(([name, limit]) => [canonicalName(name), limit])
  )
  if (Object.keys(canonical).length === entries.length) return canonical
  throw new ServiceError('invalid_input', 'The body names one user twice, in two spellings.')
}

export default routes
