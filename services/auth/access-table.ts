/** The one table of what each route needs. A route that is not in it cannot be registered. */
import type { Permission } from './permissions.ts'

/**
 * What a route needs: nothing at all (`public`), a permission, or a permission that a caller can do without where the
 * route's `:username` is its own name.
 */
export type Access = 'public' | { permission: Permission, ownData?: true }

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
  'GET /api/sessions/limits/:username': { permission: 'limits:read', ownData: true },
  'PUT /api/sessions/limits/:username': limitsWrite,
  'DELETE /api/sessions/limits/:username': limitsWrite,
  'POST /api/sessions/limits/bulk': limitsWrite,
  'POST /api/sessions/users/:username/temporary-limit': limitsWrite,
  'DELETE /api/sessions/users/:username/temporary-limit': limitsWrite,

  'GET /api/sessions/counts': sessionsRead,
  'GET /api/sessions/counts/:username': { permission: 'sessions:read', ownData: true },
  'POST /api/sessions/sweep': sessionsWrite
}
