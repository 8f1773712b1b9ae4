/** Errors on the wire: problem documents (RFC 9457) with a stable `code`. */
import { Type } from '@sinclair/typebox'
import { ref } from './components.ts'
import { stringEnum } from './names.ts'

export const ProblemSchema = Type.Object(
  {
    type: Type.String({ examples: ['about:blank'] }),
    title: Type.String({ examples: ['Bad Request'] }),
    status: Type.Integer({ examples: [400] }),
    detail: Type.String({ examples: ['body/limit must be integer'] }),
    code: Type.String({
      description: 'A stable code for programs, in snake_case.',
      examples: ['invalid_input']
    }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({
            description: 'The part of the request, and a JSON pointer to the place in it.',
            examples: ['body/limit']
          }),
          message: Type.String({ examples: ['must be integer'] })
        })
      )
    ),
    allowed: Type.Optional(
      Type.Boolean({ description: 'Always false. Only in refusals by the verbs of admission.' })
    ),
    degraded: Type.Optional(
      Type.Boolean({
        description: 'Whether Redis was away. Only in refusals by the verbs of admission.'
      })
    ),
    outcome: Type.Optional(
      stringEnum(['unknown'], {
        description:
          'Only with 503 to a write: whether it was kept cannot be known. Without it nothing was ' +
          'kept. It is never kept later.'
      })
    )
  },
  { $id: 'Problem', additionalProperties: true }
)

/** The title of each status, one code that comes with it, and what it means here. */
const meanings = {
  400: ['Bad Request', 'invalid_input', 'Invalid input'],
  401: ['Unauthorized', 'unauthorized', 'The token is missing or not valid'],
  403: ['Forbidden', 'forbidden', 'The caller does not have the permission'],
  404: ['Not Found', 'not_found', 'Not found'],
  409: ['Conflict', 'session_limit_reached', 'Conflict'],
  410: ['Gone', 'session_ended', 'The session has ended'],
  413: ['Payload Too Large', 'payload_too_large', 'The body is too large'],
  415: ['Unsupported Media Type', 'unsupported_media_type', 'The body is not JSON'],
  429: ['Too Many Requests', 'too_many_requests', 'Too many requests'],
  503: ['Service Unavailable', 'store_unavailable', 'The store cannot be reached']
} as const

/** The header that says when to try again. */
const retryAfter = {
  'Retry-After': Type.Integer({ description: 'How many seconds to wait before trying again.' })
}
const headers = {
  401: { 'WWW-Authenticate': Type.String({ description: 'Always `Bearer`.' }) },
  429: retryAfter,
  503: retryAfter
}

const problem = ref(ProblemSchema)
interface ProblemResponse {
  description: string
  content: { 'application/problem+json': { schema: typeof problem; example: object } }
}

/** The response declarations of the given error statuses: problem documents. */
export function problems<S extends keyof typeof meanings> (
  ...statuses: S[]
): Record<S, ProblemResponse> {
  return Object.fromEntries(statuses.map((status) => [status, problemResponse(status)])) as Record<
    S,
    ProblemResponse
  >
}

function problemResponse (status: keyof typeof meanings): ProblemResponse {
  const [title, code, description] = meanings[status]
  const example = { type: 'about:blank', title, status, detail: `${description}.`, code }
  return {
    description,
    ...(status in headers && { headers: headers[status as keyof typeof headers] }),
    content: { 'application/problem+json': { schema: problem, example } }
  }
}
