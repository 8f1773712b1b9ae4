/**
 * Audit records: who asked for which change, from where, and with what result. One record for each
 * request that makes a change.
 */
import { ApiKeyIdSchema } from '../../schemas/api-keys.ts'
import { AnyUsernameSchema, NodeNameSchema, SessionIdSchema } from '../../schemas/names.ts'
import type { Caller } from './permissions.ts'

/**
 * The actions that are audited, by method and route pattern. Acquiring and renewing sessions is not
 * audited.
 */
export const AUDITED: Record<string, string> = {
  'PUT /api/sessions/limits': 'policy.update',
  'PUT /api/sessions/limits/:username': 'limit.set',
  'DELETE /api/sessions/limits/:username': 'limit.remove',
  'POST /api/sessions/limits/bulk': 'limit.set_many',
  'POST /api/sessions/users/:username/temporary-limit': 'temporary_limit.set',
  'DELETE /api/sessions/users/:username/temporary-limit': 'temporary_limit.remove',
  'DELETE /api/sessions/users/:username/sessions': 'user.terminate',
  'DELETE /api/sessions/:session_id': 'session.terminate',
  'POST /api/sessions/:session_id/release': 'session.terminate',
  'POST /api/sessions/release': 'session.terminate_many',
  'PUT /api/sessions/nodes/:node': 'node.report',
  'POST /api/sessions/nodes/:node': 'node.report',
  'DELETE /api/sessions/nodes/:node': 'node.forget',
  'POST /api/sessions/sweep': 'ghosts.sweep',
  'POST /api/auth/login': 'login',
  'POST /api/auth/api-keys': 'api_key.create',
  'DELETE /api/auth/api-keys/:id': 'api_key.revoke'
}

/**
 * Actions that are the routine work of a switch: audited only when another caller asks for them.
 */
const SWITCH_WORK = new Set(['session.terminate', 'session.terminate_many', 'node.report'])

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
  'days'
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
}

/** Whether this action is audited for this caller. */
export function isAudited (action: string, caller: Caller | null): boolean {
  return !(SWITCH_WORK.has(action) && caller?.roles.length === 1 && caller.roles[0] === 'switch')
}

/** The audit record of a request. Values of the body are included only if it was valid. */
export function auditRecord ({
  action,
  caller,
  address,
  requestId,
  target,
  body,
  status,
  answer
}: AuditedRequest) {
  return {
    action,
    actor: caller === null ? null : actorOf(caller),
    address,
    request_id: requestId,
    target: Object.fromEntries(
      Object.entries(target ?? {}).filter(
        ([kind, name]) => TARGETS.get(kind)?.test(String(name)) && !CREDENTIAL.test(String(name))
      )
    ),
    values: status === 400 ? {} : pick(body, VALUES),
    status,
    result: Object.fromEntries(
      Object.entries(pick(answer, RESULT)).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.length : value
      ])
    )
  }
}

function actorOf ({ username, issuer, roles, tokenId, apiKeyName }: Caller) {
  return {
    sub: username ?? null,
    issuer: issuer ?? null,
    roles,
    token_id: tokenId ?? null,
    ...(apiKeyName !== undefined && { api_key: apiKeyName })
  }
}

function pick (value: unknown, names: string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)))
}
