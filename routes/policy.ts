/** Changes the policy. Every replica applies it within a second. It is read with the limits. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref } from '../schemas/components.ts'
import { LIMIT_LIST_BYTES } from '../schemas/limits.ts'
import { PolicyChangeSchema, PolicyUpdatedSchema } from '../schemas/policy.ts'
import { problems } from '../schemas/problem.ts'
import { ServiceError } from '../services/errors.ts'

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.put(
    '/api/sessions/limits',
    {
      // Room for the limits that GET gave, which are ignored.
      bodyLimit: LIMIT_LIST_BYTES,
      schema: {
        operationId: 'updatePolicy',
        tags: ['limits'],
        summary: 'Change the policy',
        body: ref(PolicyChangeSchema),
        response: { 200: ref(PolicyUpdatedSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ body: { user_limits: _ignored, ...change } }) => {
      if (Object.keys(change).length === 0) {
        throw new ServiceError('invalid_input', 'The body has no member of the policy to change.')
      }
      const policy = await app.policy.update(change)
      return { success: true, message: 'Session limits policy updated', ...policy }
    }
  )
}

export default routes
