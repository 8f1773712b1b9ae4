/** Admission: acquire, renew and release sessions. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from '@sinclair/typebox'
import {
  AdmissionRequestSchema,
  AdmissionSchema,
  AdmittedSchema,
  BatchReleaseItemSchema,
  BatchReleaseRequestSchema,
  BatchReleaseSchema,
  BatchRenewalItemSchema,
  BatchRenewalRequestSchema,
  BatchRenewalSchema,
  ReleaseQuerySchema,
  ReleasedSchema,
  RenewalRequestSchema,
  RenewalSchema
} from '../schemas/admission.ts'
import { ref } from '../schemas/components.ts'
import { SessionIdSchema } from '../schemas/names.ts'
import { problems } from '../schemas/problem.ts'
import { DEFAULT_TTL_SECONDS, ReasonSchema } from '../schemas/sessions.ts'
import { detailsOf, releaseView, renewalView } from '../services/sessions/session-view.ts'
import { mapInTurns } from '../services/util/in-turns.ts'
import { checkItems, inOrder, validItems } from './items.ts'

const tags = ['admission']
const params = Type.Object({ session_id: SessionIdSchema })
/** Room for 5,000 pairs of the longest names. */
const BATCH_BODY_BYTES = 8 * 1024 * 1024
/** Why a session has ended, where the switch does not say. */
const RELEASED = 'released'

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
          201: ref(AdmittedSchema),
          ...problems(400, 401, 403, 409, 410, 413, 415, 429, 503)
        }
      }
    },
    async (request, reply) => {
      const { body, caller, log } = request
      const { username, session_id: sessionId, attempt = 0, ttl = DEFAULT_TTL_SECONDS } = body
      const { node = caller?.node, dry_run: dryRun = false } = body
      const details = detailsOf(body)
      const result = await app.admission.acquire(
        {
          username,
          sessionId,
          attempt,
          ttlMs: ttl * 1000,
          node,
          details,
          dryRun,
          boundTo: caller?.node
        },
        caller ?? {},
        log
      )
      reply.code(result.created ? 201 : 200)
      if (body.emergency === true && !dryRun) app.auditEmergency(request, reply)
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
    async ({ params: { session_id: sessionId }, body, caller, log }) => {
      const { username, attempt, node = caller?.node, ttl = DEFAULT_TTL_SECONDS } = body
      const request = { sessionId, username, attempt, node, boundTo: caller?.node }
      return await app.admission.renew(request, ttl * 1000, caller ?? {}, log)
    }
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
    async (request) => {
      const { body, caller, log } = request
      const { sessions, node = caller?.node, ttl = DEFAULT_TTL_SECONDS } = body
      const checked = await checkItems<Static<typeof BatchRenewalItemSchema>>(
        request, sessions, BatchRenewalItemSchema
      )
      const requests = validItems(checked).map(({ session_id: sessionId, username, attempt }) =>
        ({ sessionId, username, attempt, node, boundTo: caller?.node }))
      const renewed = await app.admission.renewMany(requests, ttl * 1000, caller ?? {}, log)
      const views = await mapInTurns(requests, (one, i) => renewalView(one, renewed[i]))
      const results = inOrder(checked, views, (invalid) =>
        ({ ...invalid, outcome: 'invalid', result: 'invalid', expires_at: null }))
      return { results, degraded: renewed[0]?.degraded ?? false }
    }
  )

  app.post(
    '/api/sessions/release',
    {
      bodyLimit: BATCH_BODY_BYTES,
      schema: {
        operationId: 'releaseSessions',
        tags,
        summary: 'Release many sessions, with one result per item',
        body: ref(BatchReleaseRequestSchema),
        response: { 200: ref(BatchReleaseSchema), ...problems(400, 401, 403, 413, 415, 429, 503) }
      }
    },
    async (request) => {
      const { body, caller, log } = request
      const { sessions, node } = body
      const checked = await checkItems<Static<typeof BatchReleaseItemSchema>>(
        request, sessions, BatchReleaseItemSchema
      )
      const requests = validItems(checked).map(
        ({ session_id: sessionId, username, attempt, reason = RELEASED }) =>
          ({ sessionId, username, attempt, node, reason, boundTo: caller?.node })
      )
      const released = await app.admission.releaseMany(requests, caller ?? {}, log)
      const results = inOrder(checked, released.map((one, i) => releaseView(requests[i], one)),
        (invalid) => ({ ...invalid, outcome: 'invalid' as const, released: false }))
      return { results, degraded: released.some(({ degraded }) => degraded === true) }
    }
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
        querystring: ReleaseQuerySchema,
        body: ref(ReasonSchema),
        response: { 200: ref(ReleasedSchema), ...problems(400, 401, 403, 409, 413, 415, 429, 503) }
      }
    },
    async ({ params, query, body, caller, log }) => {
      const { session_id: sessionId } = params
      const { username, attempt, node } = query
      const { reason = RELEASED } = body
      const request = { sessionId, username, attempt, node, reason, boundTo: caller?.node }
      return await app.admission.release(request, caller ?? {}, log)
    }
  )
}

export default routes
