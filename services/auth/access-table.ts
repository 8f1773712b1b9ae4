/** What each route requires. A route that is not in this table cannot be registered. */
import type { Permission } from './permissions.ts'

type ReadOrLimits = Exclude<Permission, 'sessions:write' | 'api-keys:manage'>

/**
 * What a route requires: nothing (`public`) or a permission. With `ownData`, a caller needs no
 * permission if the `username` in the path or the query is its own. A route that changes sessions
 * also says which: the `named` ones, by `session_id` or `node`, or `any`, which a caller that is
 * bound to a switch node may not use.
 */
export type Access =
  | 'public'
  | { permission: ReadOrLimits; ownData?: 'params' | 'query' }
  | { permission: 'api-keys:manage'; changes: 'any'; ownData?: never }
  | { permission: 'sessions:write'; changes: 'named' | 'any'; ownData?: never }

const limitsRead: Access = { permission: 'limits:read' }
const limitsWrite: Access = { permission: 'limits:write' }
const policyWrite: Access = { permission: 'policy:write' }
const sessionsRead: Access = { permission: 'sessions:read' }
const namedSessions: Access = { permission: 'sessions:write', changes: 'named' }
const manageKeys: Access = { permission: 'api-keys:manage', changes: 'any' }
const anySessions: Access = { permission: 'sessions:write', changes: 'any' }

/** By method and route pattern. HEAD requires the same as GET. */
export const ACCESS: Record<string, Access> = {
  'GET /': 'public',
  'GET /health': 'public',
  'GET /api/health': 'public',
  'GET /healthz/live': 'public',
  'GET /healthz/ready': 'public',
  'GET /healthz/startup': 'public',
  'GET /openapi.json': 'public',
  'GET /docs': 'public',
  'GET /docs/': 'public',
  'GET /docs/json': 'public',
  'GET /docs/yaml': 'public',
  'GET /docs/static/*': 'public',
  'GET /docs/static/index.html': 'public',
  'GET /docs/static/swagger-initializer.js': 'public',
  'POST /api/auth/login': 'public',
  'POST /api/auth/api-keys': manageKeys,
  'GET /api/auth/api-keys': manageKeys,
  'DELETE /api/auth/api-keys/:id': manageKeys,
  'POST /api/auth/api-keys/:id/revoke': manageKeys,

  'GET /api/sessions/limits': limitsRead,
  'PUT /api/sessions/limits': policyWrite,
  'POST /api/sessions/limits': policyWrite,
  'GET /api/sessions/limits/:username': { permission: 'limits:read', ownData: 'params' },
  'PUT /api/sessions/limits/:username': limitsWrite,
  'DELETE /api/sessions/limits/:username': limitsWrite,
  'POST /api/sessions/users/:username/limit': limitsWrite,
  'POST /api/sessions/users/:username/limit/remove': limitsWrite,
  'POST /api/sessions/limits/bulk': limitsWrite,
  'POST /api/sessions/users/:username/temporary-limit': limitsWrite,
  'DELETE /api/sessions/users/:username/temporary-limit': limitsWrite,
  'POST /api/sessions/users/:username/temporary-limit/remove': limitsWrite,
  'PUT /api/sessions/users/:username/bar': limitsWrite,
  'POST /api/sessions/users/:username/bar': limitsWrite,
  'DELETE /api/sessions/users/:username/bar': limitsWrite,
  'POST /api/sessions/users/:username/bar/remove': limitsWrite,

  'GET /api/sessions/counts': sessionsRead,
  'GET /api/sessions/counts/:username': { permission: 'sessions:read', ownData: 'params' },
  'POST /api/sessions/sweep': anySessions,

  'POST /api/sessions': namedSessions,
  'POST /api/sessions/renew': namedSessions,
  'POST /api/sessions/:session_id/renew': namedSessions,
  'DELETE /api/sessions/:session_id': namedSessions,
  'POST /api/sessions/:session_id/release': namedSessions,
  'POST /api/sessions/release': namedSessions,
  'PUT /api/sessions/nodes/:node': namedSessions,
  'POST /api/sessions/nodes/:node': namedSessions,
  'DELETE /api/sessions/nodes/:node': namedSessions,
  'POST /api/sessions/nodes/:node/forget': namedSessions,
  'DELETE /api/sessions/users/:username/sessions': anySessions,
  'POST /api/sessions/users/:username/sessions/terminate': anySessions,
  'GET /api/sessions/:session_id': sessionsRead,
  'GET /api/sessions/active': { permission: 'sessions:read', ownData: 'query' },
  'GET /api/sessions/nodes': sessionsRead,
  'GET /api/sessions/users': sessionsRead,
  'GET /api/sessions/users/:username': { permission: 'sessions:read', ownData: 'params' }
}
