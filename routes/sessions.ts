/** The sessions that are up: one, those of a user or node, or all. Terminates those of a user. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ref } from '../schemas/components.ts'
import {
  AnyUsernameSchema,
  NodeNameSchema,
  SessionIdSchema,
  stringEnum
} from '../schemas/names.ts'
import { MAX_PAGE, PageQuerySchema } from '../schemas/paging.ts'
import { problems } from '../schemas/problem.ts'
import {
  MAX_USERS_DEPTH,
  SessionListSchema,
  SessionSchema,
  TerminatedSchema,
  TerminationSchema,
  UserListSchema,
  UserSessionsSchema
} from '../schemas/sessions.ts'
import { ServiceError, invalidMember } from '../services/errors.ts'
import { sessionView } from '../services/sessions/session-view.ts'
import { goneWith } from './hang-up.ts'

const tags = ['sessions']

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/sessions/active',
    {
      schema: {
        operationId: 'listSessions',
        tags,
        summary: 'List the sessions that are up',
        querystring: Type.Object(
          {
            username: Type.Optional(AnyUsernameSchema),
            node: Type.Optional(NodeNameSchema),
            session_id: Type.Optional(SessionIdSchema),
            ...PageQuerySchema.properties
          },
          { additionalProperties: false }
        ),
        response: { 200: ref(SessionListSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async (request) => {
      const { username, node, session_id: id, cursor = '', count = MAX_PAGE } = request.query
      if (id !== undefined) {
        const found = await app.sessions.getSession(id)
        const session = found === null ? undefined : sessionView(found)
        const isListed =
          session !== undefined &&
          (username === undefined || session.username === username) &&
          (node === undefined || session.node === node)
        return { sessions: isListed ? [session] : [], next_cursor: null }
      }
      const { entries, next_cursor } = await app.sessionLists.listSessions(
        { username, node },
        { cursor, count, isGone: goneWith(request) }
      )
      return { sessions: entries.map(sessionView), next_cursor }
    }
  )

  app.get(
    '/api/sessions/:session_id',
    {
      schema: {
        operationId: 'getSession',
        tags,
        summary: 'Get one session',
        params: Type.Object({ session_id: SessionIdSchema }),
        response: { 200: ref(SessionSchema), ...problems(400, 401, 403, 404, 429, 503) }
      }
    },
    async ({ params: { session_id: sessionId } }) => {
      const session = await app.sessions.getSession(sessionId)
      if (session === null) throw new ServiceError('not_found', 'There is no such session.')
      return sessionView(session)
    }
  )

  app.get(
    '/api/sessions/users',
    {
      schema: {
        operationId: 'listUsers',
        tags,
        summary: 'List users by the number of their sessions',
        querystring: Type.Object(
          {
            page: Type.Integer({ minimum: 1, default: 1, maximum: MAX_USERS_DEPTH }),
            limit: Type.Integer({ minimum: 1, default: 50, maximum: MAX_PAGE }),
            sort: stringEnum(['sessions_desc', 'sessions_asc'], { default: 'sessions_desc' })
          },
          { additionalProperties: false }
        ),
        response: { 200: ref(UserListSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async (request) => {
      const { page, limit, sort } = request.query
      if (page * limit > MAX_USERS_DEPTH) {
        throw invalidMember(
          'querystring/page',
          `times limit must not exceed ${MAX_USERS_DEPTH}`
        )
      }
      const offset = (page - 1) * limit
      const { users, total } = await app.sessionLists.listUsers({
        offset,
        limit,
        sort,
        isGone: goneWith(request)
      })
      return {
        users: users.map((user) => ({ ...user, activeSessions: user.sessions })),
        page,
        limit,
        total
      }
    }
  )

  app.get(
    '/api/sessions/users/:username',
    {
      schema: {
        operationId: 'getUserSessions',
        tags,
        summary: "Get a user's limit, count and sessions",
        params: Type.Object({ username: AnyUsernameSchema }),
        querystring: PageQuerySchema,
        response: { 200: ref(UserSessionsSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async (request) => {
      const { params: { username }, query: { cursor = '', count = MAX_PAGE } } = request
      const page = { cursor, count, isGone: goneWith(request) }
      const [{ limit, count: up }, { entries, next_cursor }] = await Promise.all([
        app.sessions.getCount(username),
        app.sessionLists.listSessions({ username }, page)
      ])
      return { username, limit, count: up, sessions: entries.map(sessionView), next_cursor }
    }
  )

  app.delete(
    '/api/sessions/users/:username/sessions',
    {
      preValidation: async (request) => {
        request.body ??= {}
      },
      schema: {
        operationId: 'terminateUserSessions',
        tags,
        summary: 'Terminate all sessions of a user',
        params: Type.Object({ username: AnyUsernameSchema }),
        body: ref(TerminationSchema),
        response: { 200: ref(TerminatedSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ params: { username }, body, caller, log }) => {
      const { reason = 'terminated', include_emergency: includeEmergency = false } = body
      const request = { username, reason, includeEmergency }
      return await app.admission.terminateUser(request, caller ?? {}, log)
    }
  )
}

export default routes
