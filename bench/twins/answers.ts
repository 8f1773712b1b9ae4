/** What twins answer: constants of the same shape and length as the service's answers. */
import type { Session } from '../../schemas/sessions.ts'
import type { Handlers } from './build-twin.ts'

const session = {
  session_id: 'call-0000000001',
  attempt: 0,
  username: 'user-00000001',
  node: 'pbx-1',
  call_id: null,
  from: null,
  to: null,
  direction: null,
  emergency: false,
  started_at: '2026-11-22T10:00:00.000Z',
  expires_at: '2026-11-22T11:00:00.000Z',
  metadata: {},
  source: 'lease'
} satisfies Session

/** By method and route pattern. */
export const ANSWERS: Record<string, { status: number; body: unknown }> = {
  'GET /api/sessions/limits/:username': {
    status: 200,
    body: { username: 'user-00000001', limit: 25, source: 'user', unlimited: false, barred: false }
  },
  'POST /api/sessions': {
    status: 201,
    body: { allowed: true, session, count: 1, limit: 5, terminated: [], degraded: false }
  },
  'POST /api/sessions/:session_id/renew': {
    status: 200,
    body: { session, reregistered: false, degraded: false }
  },
  'DELETE /api/sessions/:session_id': {
    status: 200,
    body: { success: true, session_id: 'call-0000000001', released: true, degraded: false }
  }
}

/** Handlers that answer these constants at once. */
export const CONSTANT_HANDLERS: Handlers = Object.fromEntries(
  Object.entries(ANSWERS).map(([route, { status, body }]): [string, Handlers[string]] => [
    route,
    async (_request, reply) => {
      reply.code(status)
      return body
    }
  ])
)
