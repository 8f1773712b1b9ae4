/** Temporary limits, which expire by themselves. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ref } from '../schemas/components.ts'
import {
  TemporaryLimitChangeSchema,
  TemporaryLimitRemovedSchema,
  TemporaryLimitSetSchema
} from '../schemas/limits.ts'
import { AnyUsernameSchema, UsernameSchema } from '../schemas/names.ts'
import { problems } from '../schemas/problem.ts'
import { temporaryLimitView } from '../services/limits/limit-view.ts'

const tags = ['limits']
const params = Type.Object({ username: UsernameSchema })
const url = '/api/sessions/users/:username/temporary-limit'

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    url,
    {
      schema: {
        operationId: 'setTemporaryLimit',
        tags,
        summary: 'Set a temporary limit, which overrides the own limit until it expires',
        params,
        body: ref(TemporaryLimitChangeSchema),
        response: {
          200: ref(TemporaryLimitSetSchema),
          ...problems(400, 401, 403, 413, 415, 429, 503)
        }
      }
    },
    async ({ params: { username }, body }) => {
      const expiresAtMs = await app.limitsStore.setTemporaryLimit(username, body)
      return temporaryLimitView(username, body.limit, expiresAtMs)
    }
  )

  app.delete(
    url,
    {
      schema: {
        operationId: 'removeTemporaryLimit',
        tags,
        summary: 'Remove a temporary limit before it expires',
        params: Type.Object({ username: AnyUsernameSchema }),
        response: {
          200: ref(TemporaryLimitRemovedSchema),
          ...problems(400, 401, 403, 413, 415, 429, 503)
        }
      }
    },
    async ({ params: { username } }) => {
      return {
        success: true,
        username,
        removed: await app.limitsStore.removeTemporaryLimit(username)
      }
    }
  )
}

export default routes
