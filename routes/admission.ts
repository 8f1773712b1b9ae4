/** Admission: acquire, renew and release sessions. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import {
  AdmissionRequestSchema,
  AdmissionSchema,
  BatchRenewalRequestSchema,
  BatchRenewalSchema,
  ReleasedSchema,
  RenewalRequestSchema,
  RenewalSchema
} from '../schemas/admission.ts'
import { ref } from '../schemas/components.ts'
import { SessionIdSchema, UsernameSchema } from '../schemas/names.ts'
import { problems } from '../schemas/problem.ts'
import { DEFAULT_TTL_SECONDS, ReasonSchema } from '../schemas/sessions.ts'
import { detailsOf } from '../services/sessions/session-view.ts'

const tags = ['admission']
const params = Type.Object({ session_id: SessionIdSchema })
/** Room for 5,000 pairs of the longest names. */
const BATCH_BODY_BYTES = 8 * 1024 * 1024

const routes: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/api/sessions',
    {
      schema: {
        operationId: 'acquireSession',
        tags,
        summary: 'Acquire a slot for a session, or refresh the slot that it holds',
        body: ref(AdmissionRequestSchema),
        response: {
          200: ref(AdmissionSchema),
          201: ref(AdmissionSchema),
          ...problems(400, 401, 403, 409, 410, 413, 415, 429, 503)
        }
      }
    },
    async ({ body, caller, log }, reply) => {
      const { username, session_id: sessionId, ttl = DEFAULT_TTL_SECONDS } = body
      const { node = caller?.node, dry_run: dryRun = false } = body
      const result = await app.admission.acquire(
        { username, sessionId, ttlMs: ttl * 1000, node, details: detailsOf(body), dryRun },
        caller ?? {},
        log
      )
      reply.code(result.created ? 201 : 200)
      return result.answer
    }
  )

  app.post(
    '/api/sessions/:session_id/renew',
    {
      schema: {
        operationId: 'renewSession',
        tags,
        summary: 'Renew a lease. An unknown session is registered again, because its call is up',
        params,
        body: ref(RenewalRequestSchema),
        response: {
          200: ref(RenewalSchema),
          ...problems(400, 401, 403, 409, 410, 413, 415, 429, 503)
        }
      }
    },
    async ({
      params: { session_id: sessionId },
      body: { username, ttl = DEFAULT_TTL_SECONDS },
      caller,
      log
    }) =>
      await app.admission.renew(
        { sessionId, username, node: caller?.node },
        ttl * 1000,
        caller ?? {},
        log
      )
  )

  app.post(
    '/api/sessions/renew',
    {
      bodyLimit: BATCH_BODY_BYTES,
      schema: {
        operationId: 'renewSessions',
        tags,
        summary: 'Renew many leases, with one result per item',
        body: ref(BatchRenewalRequestSchema),
        response: { 200: ref(BatchRenewalSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async ({ body: { sessions, ttl = DEFAULT_TTL_SECONDS }, caller, log }) =>
      await app.admission.renewMany(sessions, ttl * 1000, caller ?? {}, log)
  )

  app.delete(
    '/api/sessions/:session_id',
    {
      preValidation: async (request) => {
        request.body ??= {}
      },
      schema: {
        operationId: 'releaseSession',
        tags,
        summary: 'Release a session',
        params,
        querystring: Type.Object(
          { username: Type.Optional(UsernameSchema) },
          { additionalProperties: false }
        ),
        body: ref(ReasonSchema),
        response: { 200: ref(ReleasedSchema), ...problems(400, 401, 403, 409, 413, 415, 429, 503) }
      }
    },
    async ({
      params: { session_id: sessionId },
      query: { username },
      body: { reason = 'released' },
      caller,
      log
    }) => await app.admission.release(sessionId, { username, reason }, caller ?? {}, log)
  )
}

export default routes
