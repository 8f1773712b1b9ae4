/** The error handler: every failure is answered with a problem document (RFC 9457). */
import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { LineBudget } from '../services/auth/audit-bounds.ts'
import { steadyClock } from '../services/clock.ts'
import { ServiceError, type FailureCode } from '../services/errors.ts'
import { Refusals } from '../services/health/refusals.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Requests that were answered 503 a short time ago. */
    refusals?: Refusals
    /** How many of them are logged. */
    refusalLines?: LineBudget
  }
}

/**
 * How many lines requests that are answered 503 may write: in an outage whoever asks often, and
 * before the API keys are read anybody, must not fill the disk. The next line counts the others.
 */
const REFUSAL_LINES = { perAddress: 100, inAll: 1_000, windowMs: 10_000 }

/** The HTTP status of each failure code. */
const STATUS: Record<FailureCode, number> = {
  invalid_input: 400,
  unauthorized: 401,
  invalid_credentials: 401,
  forbidden: 403,
  not_found: 404,
  too_many_requests: 429,
  store_unavailable: 503,
  session_limit_reached: 409,
  user_barred: 409,
  session_id_conflict: 409,
  stale_epoch: 409,
  api_key_limit_reached: 409,
  incomplete_report: 409,
  session_ended: 410
}

/** The stable codes of requests that the framework refuses. */
export const FRAMEWORK_CODES: Record<number, string> = {
  400: 'invalid_input',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  408: 'request_timeout',
  413: 'payload_too_large',
  414: 'uri_too_long',
  415: 'unsupported_media_type',
  429: 'too_many_requests',
  431: 'headers_too_large',
  503: 'service_unavailable'
}

/** The most validation errors in one answer, and the longest detail, in characters. */
const [MOST_ERRORS, LONGEST_DETAIL] = [20, 300]

interface Problem {
  status: number
  code: string
  detail: string
  errors?: Array<{ path: string; message: string }>
  members?: Record<string, unknown>
}

/** Sends a problem document. */
export function sendProblem (reply: FastifyReply, problem: Problem): FastifyReply {
  return reply.serializer(JSON.stringify).send(setProblem(reply, problem))
}

/** Sets the status and headers of a problem, and returns its document. */
export function setProblem (
  reply: FastifyReply,
  { status, code, detail, errors, members }: Problem
) {
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  reply.code(status).type('application/problem+json')
  const said = isAdmission(reply.request)
    ? { allowed: false, degraded: code === 'store_unavailable', ...members }
    : members
  return problemDocument({ status, code, detail, ...(errors && { errors }), ...said })
}

/** Paths of verbs of admission, also where no route takes them: an id `50%off`, one slash more. */
const ADMISSION_PATH = /^\/api\/sessions\/?(?:(?:[^?#]*\/)?(?:renew|release)\/?)?(?:[?#]|$)/

/** Whether a request is a verb of admission: some switches see only the body of its answer. */
function isAdmission ({ routeOptions, url }: FastifyRequest): boolean {
  const { access } = routeOptions.config ?? {}
  if (access === undefined) return ADMISSION_PATH.test(url)
  return typeof access === 'object' && 'changes' in access && access.changes === 'named'
}

/** The document of a problem. */
export function problemDocument ({ status, detail, ...rest }: Problem) {
  return {
    type: 'about:blank',
    title: STATUS_CODES[status] ?? 'Error',
    status,
    detail: detail.slice(0, LONGEST_DETAIL),
    ...rest
  }
}

/** The status that an error is answered with. */
export function statusOf (error: FastifyError | ServiceError): number {
  if (error instanceof ServiceError) return STATUS[error.code]
  return error.validation === undefined ? (error.statusCode ?? 500) : 400
}

/** Answers an error. The caller gets what it can act on; the rest goes to the log. */
export function handleError (
  error: FastifyError | ServiceError,
  request: FastifyRequest,
  reply: FastifyReply
): FastifyReply {
  if (error instanceof ServiceError) {
    if (error.retryAfterSeconds !== undefined) reply.header('retry-after', error.retryAfterSeconds)
    if (error.code === 'store_unavailable') {
      request.server.refusals?.note()
      logRefusal(error, request)
    }
    return sendProblem(reply, {
      status: STATUS[error.code],
      code: error.code,
      detail: error.message,
      members: error.members
    })
  }
  if (error.validation !== undefined) return sendProblem(reply, validationProblem(error))
  const status = error.statusCode ?? 500
  const code = FRAMEWORK_CODES[status]
  if (code === undefined || status >= 500) {
    request.log.error({ err: error }, 'unexpected error')
    return sendProblem(reply, {
      status: 500,
      code: 'internal_error',
      detail: 'The service failed to handle this request.'
    })
  }
  return sendProblem(reply, { status, code, detail: error.message })
}

function logRefusal (err: ServiceError, { log, ip, server }: FastifyRequest): void {
  const left = server.refusalLines?.take(ip)
  if (left === undefined) return
  log.warn({ err, ...(left > 0 && { left_out: left }) }, err.message)
}

function validationProblem (error: FastifyError): Problem {
  const part = error.validationContext ?? 'request'
  const errors = (error.validation ?? [])
    .slice(0, MOST_ERRORS)
    .map(({ instancePath, message, params }) => {
      const extra = params.additionalProperty ?? params.propertyName
      return {
        path: `${part}${instancePath}${typeof extra === 'string' ? `/${extra}` : ''}`.slice(0, 300),
        message: message ?? 'is invalid'
      }
    })
  const detail = errors
    .slice(0, 3)
    .map(({ path, message }) => `${path} ${message}`)
    .join(', ')
  return { status: 400, code: 'invalid_input', detail, errors }
}

export default fp(
  async (app) => {
    app.decorate('refusals', new Refusals())
    app.decorate('refusalLines', new LineBudget(REFUSAL_LINES, steadyClock))
    app.setErrorHandler(handleError)
  },
  { name: 'errors' }
)
