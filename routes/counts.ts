/** Counts: how many sessions are up. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ref } from '../schemas/components.ts'
import { CountListSchema, CountSchema, SweepResultSchema } from '../schemas/counts.ts'
import { AnyUsernameSchema } from '../schemas/names.ts'
import { MAX_PAGE, PageQuerySchema } from '../schemas/paging.ts'
import { problems } from '../schemas/problem.ts'
import { goneWith } from './hang-up.ts'
import { sendJsonStream } from './json-stream.ts'
import { namedValues } from './named-values.ts'

const tags = ['counts']
/** The share of its time that a requested sweep may keep Redis busy, between 0 and 1. */
const SWEEP_SHARE = 0.5

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/sessions/counts',
    {
      schema: {
        operationId: 'listCounts',
        tags,
        summary: 'List the counts of all users, or one page of them',
        description:
          'Without cursor and count, the whole list is streamed. If Redis fails on the way, ' +
          'the connection is cut.',
        querystring: PageQuerySchema,
        response: { 200: ref(CountListSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async (request, reply) => {
      const { cursor, count } = request.query
      const isGone = goneWith(request)
      if (cursor === undefined && count === undefined) {
        return await sendJsonStream(
          reply,
          {},
          {
            name: 'counts',
            batches: app.sessionLists.allCounts(isGone),
            tail: (total) => ({ total })
          }
        )
      }
      const { entries, next_cursor } = await app.sessionLists.listCounts({
        cursor: cursor ?? '',
        count: count ?? MAX_PAGE,
        isGone
      })
      return {
        counts: namedValues(entries),
        total: entries.reduce((sum, [, n]) => sum + n, 0),
        next_cursor
      }
    }
  )

  app.get(
    '/api/sessions/counts/:username',
    {
      schema: {
        operationId: 'getCount',
        tags,
        summary: 'Count the sessions of a user, and how many more the user may have',
        params: Type.Object({ username: AnyUsernameSchema }),
        response: { 200: ref(CountSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async ({ params: { username } }) => await app.sessions.getCount(username)
  )

  app.post(
    '/api/sessions/sweep',
    {
      schema: {
        operationId: 'sweepGhosts',
        tags,
        summary: 'Sweep ghosts now: external sessions whose record is gone',
        response: { 200: ref(SweepResultSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async (request) => await app.sweeper.sweep(SWEEP_SHARE, goneWith(request))
  )
}

export default routes
