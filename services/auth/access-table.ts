/** The one table of what each route needs. A route that is not in it cannot be registered. */
import type { Permission } from './permissions.ts'

/**
 * What a route needs: nothing at all (`public`), a permission, or a permission that a caller can do without where the
 * `username` that the path or the query names is its own.
 */
export type Access = 'public' | { permission: Permission, ownData?: 'params' | 'query' }

const limitsRead: Access = { permission: 'limits:read' }
const limitsWrite: Access = { permission: 'limits:write' }
const sessionsRead: Access = { permission: 'sessions:read' }
const sessionsWrite: Access = { permission: 'sessions:write' }

/** By method and route pattern. A HEAD needs what its GET needs. */
export const ACCESS: Record<string, Access> = {
  'GET /': 'public',
  'GET /health': 'public',
  'GET /api/health': 'public',
  'GET /healthz/live': 'public',
  'GET /healthz/ready': 'public',
  'GET /healthz/startup': 'public',
  'GET /openapi.json': 'public',
  'POST /api/auth/login': 'public',

  'GET /api/sessions/limits': limitsRead,
  'PUT /api/sessions/limits': { permission: 'policy:write' },
  'GET /api/sessions/limits/:username': { permission: 'limits:read', ownData: 'params' },
  'PUT /api/sessions/limits/:username': limitsWrite,
  'DELETE /api/sessions/limits/:username': limitsWrite,
  'POST /api/sessions/limits/bulk': limitsWrite,
  'POST /api/sessions/users/:username/temporary-limit': limitsWrite,
  'DELETE /api/sessions/users/:username/temporary-limit': limitsWrite,

  'GET /api/sessions/counts': sessionsRead,
  'GET /api/sessions/counts/:username': { permission: 'sessions:read', ownData: 'params' },
  'POST /api/sessions/sweep': sessionsWrite,

  'POST /api/sessions': sessionsWrite,
  'POST /api/sessions/renew': sessionsWrite,
  'POST /api/sessions/:session_id/renew': sessionsWrite,
  'DELETE /api/sessions/:session_id': sessionsWrite,
  'PUT /api/sessions/nodes/:node': sessionsWrite,
  'DELETE /api/sessions/users/:username/sessions': sessionsWrite,
  'GET /api/sessions/:session_id': sessionsRead,
  'GET /api/sessions/active': { permission: 'sessions:read', ownData: 'query' },
  'GET /api/sessions/nodes': sessionsRead,
  'GET /api/sessions/users': sessionsRead,
  'GET /api/sessions/users/:username': { permission: 'sessions:read', ownData: 'params' }
}
