/** Permissions, the roles that group them, and the callers that have them. */
import { NodeNameSchema } from '../../schemas/names.ts'
import { canonicalName } from '../util/names.ts'

const NODE_NAME = new RegExp(NodeNameSchema.pattern ?? '', 'u')

/** All permissions. */
export const PERMISSIONS = [
  'limits:read',
  'limits:write',
  'sessions:read',
  'sessions:write',
  'policy:write'
] as const

export type Permission = (typeof PERMISSIONS)[number]

/** The roles, and the permissions of each. */
export const ROLES = new Map<string, readonly Permission[]>([
  ['admin', PERMISSIONS],
  ['operator', ['limits:read', 'limits:write', 'sessions:read', 'sessions:write']],
  ['switch', ['sessions:read', 'sessions:write', 'limits:read']],
  ['viewer', ['limits:read', 'sessions:read']]
])

/** An authenticated caller. */
export interface Caller {
  /** The user whose data the caller may read without a permission; undefined if none is named. */
  username: string | undefined
  /** The issuer (`iss`) and the id (`jti`) of the token, if it has them. */
  issuer: string | undefined
  tokenId: string | undefined
  /** The roles of the caller, including unknown ones. */
  roles: readonly string[]
  permissions: ReadonlySet<Permission>
  /** The only switch node whose sessions the caller may change; undefined for any, '' for none. */
  node: string | undefined
}

/**
 * The caller that a verified token stands for. Reads the claims `sub` or `username`, `role` or
 * `roles`, `permissions`, and `scope` (RFC 8693, 4.2). Unknown values grant nothing.
 * @param bindNodes - whether a `node` claim binds the caller; an invalid one binds it to no node
 */
export function callerOf (claims: Record<string, unknown>, bindNodes = false): Caller {
  const roles = [...texts(claims.role), ...texts(claims.roles)]
  const granted = roles.flatMap((role) => ROLES.get(role) ?? [])
  const named = [
    ...texts(claims.permissions),
    ...(typeof claims.scope === 'string' ? claims.scope.split(' ') : [])
  ]
  return {
    username: [claims.sub, claims.username].find((name) => typeof name === 'string'),
    issuer: textOf(claims.iss),
    tokenId: textOf(claims.jti),
    roles,
    permissions: new Set([
      ...granted,
      ...PERMISSIONS.filter((permission) => named.includes(permission))
    ]),
    node: bindNodes && 'node' in claims ? nodeOf(claims.node) : undefined
  }
}

function nodeOf (claim: unknown): string {
  return typeof claim === 'string' && NODE_NAME.test(claim) ? canonicalName(claim) : ''
}

function textOf (claim: unknown): string | undefined {
  return typeof claim === 'string' ? claim : undefined
}

function texts (claim: unknown): string[] {
  return (Array.isArray(claim) ? claim : [claim]).filter((text) => typeof text === 'string')
}
