/**
 * Audit records: who asked for which change, from where, and with what result. One record for each
 * request that makes a change, that admits an emergency call, or that is denied. Its line has at
 * most 8 KiB.
 */
import { ApiKeyIdSchema } from '../../schemas/api-keys.ts'
import { AnyUsernameSchema, NodeNameSchema, SessionIdSchema } from '../../schemas/names.ts'
import { clipped, shortened } from './audit-bounds.ts'
import { ROLES, type Caller } from './permissions.ts'

/**
 * The actions that are audited, by method and route pattern. Acquiring and renewing sessions is not
 * audited, but for emergency calls, and for what is denied.
 */
export const AUDITED: Record<string, string> = {
  'PUT /api/sessions/limits': 'policy.update',
  'POST /api/sessions/limits': 'policy.update',
  'PUT /api/sessions/limits/:username': 'limit.set',
  'POST /api/sessions/users/:username/limit': 'limit.set',
  'DELETE /api/sessions/limits/:username': 'limit.remove',
  'POST /api/sessions/users/:username/limit/remove': 'limit.remove',
  'POST /api/sessions/limits/bulk': 'limit.set_many',
  'POST /api/sessions/users/:username/temporary-limit': 'temporary_limit.set',
  'DELETE /api/sessions/users/:username/temporary-limit': 'temporary_limit.remove',
  'POST /api/sessions/users/:username/temporary-limit/remove': 'temporary_limit.remove',
  'PUT /api/sessions/users/:username/bar': 'user.bar',
  'POST /api/sessions/users/:username/bar': 'user.bar',
  'DELETE /api/sessions/users/:username/bar': 'user.unbar',
  'POST /api/sessions/users/:username/bar/remove': 'user.unbar',
  'DELETE /api/sessions/users/:username/sessions': 'user.terminate',
  'POST /api/sessions/users/:username/sessions/terminate': 'user.terminate',
  'DELETE /api/sessions/:session_id': 'session.terminate',
  'POST /api/sessions/:session_id/release': 'session.terminate',
  'POST /api/sessions/release': 'session.terminate_many',
  'PUT /api/sessions/nodes/:node': 'node.report',
  'POST /api/sessions/nodes/:node': 'node.report',
  'DELETE /api/sessions/nodes/:node': 'node.forget',
  'POST /api/sessions/nodes/:node/forget': 'node.forget',
  'POST /api/sessions/sweep': 'ghosts.sweep',
  'POST /api/auth/login': 'login',
  'POST /api/auth/api-keys': 'api_key.create',
  'DELETE /api/auth/api-keys/:id': 'api_key.revoke',
  'POST /api/auth/api-keys/:id/revoke': 'api_key.revoke'
}

/**
 * Actions that are the routine work of a switch: audited only when another caller asks for them.
 */
const SWITCH_WORK = new Set(['session.terminate', 'session.terminate_many', 'node.report'])

/** The action of a request for an emergency call, and that of any other request that is denied. */
export const [EMERGENCY, DENIED] = ['session.emergency', 'denied']

/** The route of emergency calls. */
export const ADMISSION = 'POST /api/sessions'

/** The targets that a path may name, and their patterns. A name of another form is not logged. */
const TARGETS = new Map(
  [
    ['username', AnyUsernameSchema],
    ['session_id', SessionIdSchema],
    ['node', NodeNameSchema],
    ['id', ApiKeyIdSchema]
  ].map(
    ([name, schema]) =>
      [name, new RegExp((schema as { pattern: string }).pattern, 'u')] as [string, RegExp]
  )
)
/** The longest target, in bytes of a log line: a session id of 512 quotation marks. */
const LONGEST_TARGET = 1_024

/** The most roles of a caller that are logged. */
const MOST_ROLES = 10

/** A name that looks like a token or an API key in the wrong place: it is not logged. */
const CREDENTIAL = /eyJ[\w-]*\.[\w-]*\.|vfk_[0-9a-f]/

/** The members of a body and of an answer that may be logged; never a password or token. */
const VALUES = [
  'limit',
  'limits',
  'duration',
  'reason',
  'epoch',
  'enabled',
  'max_sessions_per_user',
  'session_limit_action',
  'name',
  'role',
  'node',
  'days',
  'expires_at'
]
const RESULT = [
  'code',
  'set',
  'removed',
  'released',
  'registered',
  'renewed',
  'terminated',
  'id',
  'revoked'
]

/** A request that asks for a change, and its answer. */
export interface AuditedRequest {
  action: string
  /** Method and route pattern; undefined where the action says it. */
  route?: string | undefined
  /** Null if the caller is not authenticated. */
  caller: Caller | null
  address: string
  requestId: string
  /** The names in the path. */
  target: unknown
  body: unknown
  status: number
  /** The body of the answer. */
  answer: unknown
  /** How many lines about refused requests were left out before this one. */
  leftOut?: number | undefined
}

/** Whether this action is audited for this caller. */
export function isAudited (action: string, caller: Caller | null): boolean {
  return !(SWITCH_WORK.has(action) && caller !== null && isSwitch(caller))
}

/** Whether a caller is a switch and nothing more. */
function isSwitch ({ roles, permissions }: Caller): boolean {
  const own = ROLES.get('switch') ?? []
  return roles.length === 1 && roles[0] === 'switch' && permissions.size === own.length
}

/** The audit record of a request. Values of the body are included only if it was valid. */
export function auditRecord (request: AuditedRequest) {
  const { action, route, caller, address, requestId, target, body, status, answer } = request
  return {
    action,
    ...(route !== undefined && { route }),
    actor: caller === null ? null : actorOf(caller),
    address: clipped(address, 128),
    request_id: requestId,
    target: Object.fromEntries(
      Object.entries(target ?? {})
        .filter(
          ([kind, name]) => TARGETS.get(kind)?.test(String(name)) && !CREDENTIAL.test(String(name))
        )
        .map(([kind, name]) => [kind, clipped(String(name), LONGEST_TARGET)])
    ),
    values: status === 400 ? {} : pick(body, VALUES),
    status,
    result: pick(answer, RESULT),
    ...(request.leftOut !== undefined && request.leftOut > 0 && { left_out: request.leftOut })
  }
}

function actorOf ({ username, issuer, roles, tokenId, apiKeyName }: Caller) {
  const short = (text: string | undefined) => (text === undefined ? null : clipped(text, 256))
  return {
    sub: short(username),
    issuer: short(issuer),
    roles: roles.slice(0, MOST_ROLES).map((role) => clipped(role, 64)),
    token_id: short(tokenId),
    ...(apiKeyName !== undefined && { api_key: short(apiKeyName) })
  }
}

function pick (value: unknown, names: string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => names.includes(name))
      .map(([name, one]) => [name, shortened(one)])
  )
}
