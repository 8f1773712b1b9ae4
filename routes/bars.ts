/** Call barring: users who may have no calls at all. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { ref } from '../schemas/components.ts'
import { BarChangeSchema, BarRemovedSchema, BarSetSchema } from '../schemas/limits.ts'
import { AnyUsernameSchema, UsernameSchema } from '../schemas/names.ts'
import { problems } from '../schemas/problem.ts'
import { parseInstant } from '../services/clock.ts'
import { invalidMember } from '../services/errors.ts'
import { barView } from '../services/limits/limit-view.ts'

const tags = ['limits']
const url = '/api/sessions/users/:username/bar'

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.put(
    url,
    {
      schema: {
        operationId: 'barUser',
        tags,
        summary: 'Bar a user from all new calls but emergency calls',
        description:
          'Calls that are up go on. Admission answers 409 `user_barred` with the SIP status 403.',
        params: Type.Object({ username: UsernameSchema }),
        body: ref(BarChangeSchema),
        response: { 200: ref(BarSetSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ params: { username }, body: { reason = '', expires_at: end } }) => {
      const bar = { reason, expiresMs: end === undefined ? undefined : instant(end) }
      if (!(await app.limitsStore.setBar(username, bar))) {
        throw invalidMember('body/expires_at', 'must be in the future')
      }
      return { success: true, username, barred: true, ...barView(bar) }
    }
  )

  app.delete(
    url,
    {
      schema: {
        operationId: 'unbarUser',
        tags,
        summary: "Remove a user's bar",
        params: Type.Object({ username: AnyUsernameSchema }),
        response: { 200: ref(BarRemovedSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ params: { username } }) => {
      return { success: true, username, removed: await app.limitsStore.removeBar(username) }
    }
  )
}

/** @throws ServiceError `invalid_input` for a text that names no instant */
function instant (text: string): number {
  const ms = parseInstant(text)
  if (ms !== undefined && ms >= 0) return ms
  throw invalidMember(
    'body/expires_at',
    'must be an instant as RFC 3339 writes it, such as 2027-01-01T00:00:00Z'
  )
}

export default routes
