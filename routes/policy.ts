/** Changes the policy. Every replica applies it within a second. It is read with the limits. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { ref } from '../schemas/components.ts'
import { PolicyChangeSchema, PolicyUpdatedSchema } from '../schemas/policy.ts'
import { problems } from '../schemas/problem.ts'

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.put(
    '/api/sessions/limits',
    {
      schema: {
        operationId: 'updatePolicy',
        tags: ['limits'],
        summary: 'Change the policy',
        body: ref(PolicyChangeSchema),
        response: { 200: ref(PolicyUpdatedSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ body }) => ({
      success: true,
      message: 'Session limits policy updated',
      ...(await app.policy.update(body))
    })
  )
}

export default routes
