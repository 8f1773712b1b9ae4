/**
 * The audit log: who changed what, for whom, from where, and what came of it. One record for each
 * request to change something.
 */
import { NodeNameSchema, SessionIdSchema, UsernameSchema } from '../../schemas/names.ts'
import type { Caller } from './permissions.ts'

/**
 * The changes that are noted, by method and route pattern. Calls that are taken and renewed are no
 * changes.
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
  'PUT /api/sessions/nodes/:node': 'node.report',
  'POST /api/sessions/sweep': 'ghosts.sweep',
  'POST /api/auth/login': 'login'
}

/** Changes that are a switch's daily work: noted when anybody else makes them. */
const SWITCH_WORK = new Set(['session.terminate', 'node.report'])

/** Whom or what a path may name, and the form of such a name: anything else names nothing. */
const TARGETS = new Map(
  [
    ['username', UsernameSchema],
    ['session_id', SessionIdSchema],
    ['node', NodeNameSchema]
  ].map(
    ([name, schema]) =>
      [name, new RegExp((schema as { pattern: string }).pattern)] as [string, RegExp]
  )
)
/**
 * The members of a body and of an answer that may be told. Everything else, passwords and tokens
 * too, may not.
 */
const VALUES = [
  'limit',
  'limits',
  'duration',
  'reason',
  'epoch',
  'enabled',
  'max_sessions_per_user',
  'session_limit_action'
]
const RESULT = ['code', 'set', 'removed', 'released', 'registered', 'renewed', 'terminated']

/** A request to change something, and its answer. */
export interface AuditedRequest {
  action: string
  /** Null for one who has not proved who it is. */
  caller: Caller | null
  address: string
  requestId: string
  /** Whom or what it is for: the names in the path. */
  target: unknown
  body: unknown
  status: number
  /** The answer's body. */
  answer: unknown
}

/** Whether a change by this caller is noted. */
export function isAudited (action: string, caller: Caller | null): boolean {
  return !(SWITCH_WORK.has(action) && caller?.roles.length === 1 && caller.roles[0] === 'switch')
}

/** What is noted of a request. What a body asked for is told only where it was valid. */
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
      Object.entries(target ?? {}).filter(([kind, name]) => TARGETS.get(kind)?.test(String(name)))
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

function actorOf ({ username, issuer, roles, tokenId }: Caller) {
  return { sub: username ?? null, issuer: issuer ?? null, roles, token_id: tokenId ?? null }
}

function pick (value: unknown, names: string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).filter(([name]) => names.includes(name)))
}
