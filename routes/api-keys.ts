/** API keys: made, listed and revoked by an administrator. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import {
  ApiKeyIdSchema,
  ApiKeyListSchema,
  ApiKeyMadeSchema,
  ApiKeyRevokedSchema,
  DEFAULT_API_KEY_DAYS,
  NewApiKeySchema
} from '../schemas/api-keys.ts'
import { ref } from '../schemas/components.ts'
import { MAX_PAGE, PageQuerySchema } from '../schemas/paging.ts'
import { problems } from '../schemas/problem.ts'
import type { ApiKey } from '../services/auth/api-keys/api-key.ts'
import { toTimestamp } from '../services/clock.ts'
import { sortedPage } from '../services/util/sorted-page.ts'

const tags = ['auth']

const routes: FastifyPluginAsyncTypebox = async (app) => {
  const { apiKeys } = app
  if (apiKeys === null) return

  app.post(
    '/api/auth/api-keys',
    {
      schema: {
        operationId: 'createApiKey',
        tags,
        summary: 'Make an API key, which is shown only once',
        body: ref(NewApiKeySchema),
        response: {
          201: ref(ApiKeyMadeSchema),
          ...problems(400, 401, 403, 409, 413, 415, 429, 503)
        }
      }
    },
    async ({ body: { name, role, node, days = DEFAULT_API_KEY_DAYS } }, reply) => {
      const { text, key } = await apiKeys.make({ name, role, node, days })
      reply.code(201)
      return { success: true, key: text, ...apiKeyView(key) }
    }
  )

  app.get(
    '/api/auth/api-keys',
    {
      schema: {
        operationId: 'listApiKeys',
        tags,
        summary: 'List the API keys, without their secrets',
        querystring: PageQuerySchema,
        response: { 200: ref(ApiKeyListSchema), ...problems(400, 401, 403, 429, 503) }
      }
    },
    async ({ query: { cursor = '', count = MAX_PAGE } }) => {
      const all = (await apiKeys.list()).map(({ key, usedMs }) => {
        const last_used_at = usedMs === undefined ? null : toTimestamp(usedMs)
        return { ...apiKeyView(key), last_used_at }
      })
      const byId = all.map((one): [string, typeof one] => [one.id, one])
      const { entries, next_cursor } = sortedPage(byId, cursor, count)
      return { keys: entries.map(([, one]) => one), next_cursor }
    }
  )

  app.delete(
    '/api/auth/api-keys/:id',
    {
      schema: {
        operationId: 'revokeApiKey',
        tags,
        summary: 'Revoke an API key. Every replica refuses it within a second',
        params: Type.Object({ id: ApiKeyIdSchema }),
        response: { 200: ref(ApiKeyRevokedSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ params: { id } }) => ({ success: true, id, revoked: await apiKeys.revoke(id) })
  )
}

function apiKeyView ({ id, name, role, node, createdMs, expiresMs }: ApiKey) {
  return {
    id,
    name,
    role,
    node: node ?? null,
    created_at: toTimestamp(createdMs),
    expires_at: toTimestamp(expiresMs)
  }
}

export default routes
