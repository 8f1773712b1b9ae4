/** How an error looks on the wire: RFC 9457, with a stable `code` and the places that did not validate. */
import { Type } from '@sinclair/typebox'
import { ref } from './components.ts'

export const ProblemSchema = Type.Object({
  type: Type.String({ examples: ['about:blank'] }),
  title: Type.String({ examples: ['Bad Request'] }),
  status: Type.Integer({ examples: [400] }),
  detail: Type.String({ examples: ['body/limit must be integer'] }),
  code: Type.String({ description: 'Stable and machine-readable, snake_case.', examples: ['invalid_input'] }),
  errors: Type.Optional(Type.Array(Type.Object({
    path: Type.String({ description: 'Where in the request, as a JSON pointer behind its part.', examples: ['body/limit'] }),
    message: Type.String({ examples: ['must be integer'] })
  })))
}, { $id: 'Problem', additionalProperties: true })

const descriptions = {
  400: 'Invalid input',
  401: 'No token, or one that does not verify',
  403: 'The token does not carry the permission',
  404: 'Not found',
  409: 'Conflict',
  410: 'The session has ended',
  413: 'The body is too large',
  415: 'The body is not JSON',
  429: 'Too many requests',
  503: 'The store cannot be reached'
} as const

const problem = ref(ProblemSchema)
type ProblemResponse = { description: string, content: { 'application/problem+json': { schema: typeof problem } } }

/** Response declarations for the given error statuses, each a problem document. */
export function problems<S extends keyof typeof descriptions> (...statuses: S[]): Record<S, ProblemResponse> {
  const responses: Partial<Record<S, ProblemResponse>> = {}
  for (const status of statuses) {
    responses[status] = { description: descriptions[status], content: { 'application/problem+json': { schema: problem } } }
  }
  return responses as Record<S, ProblemResponse>
}
