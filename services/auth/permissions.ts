/**
 * Who may do what: permissions, the roles that bundle them, and what a token says of its bearer.
 */
import { NodeNameSchema } from '../../schemas/names.ts'

const NODE_NAME = new RegExp(NodeNameSchema.pattern ?? '', 'u')

/** Every permission there is. */
export const PERMISSIONS = [
  'limits:read',
  'limits:write',
  'sessions:read',
  'sessions:write',
  'policy:write'
] as const

export type Permission = (typeof PERMISSIONS)[number]

/** The roles, and what each may do. */
export const ROLES = new Map<string, readonly Permission[]>([
  ['admin', PERMISSIONS],
  ['operator', ['limits:read', 'limits:write', 'sessions:read', 'sessions:write']],
  ['switch', ['sessions:read', 'sessions:write', 'limits:read']],
  ['viewer', ['limits:read', 'sessions:read']]
])

/** The bearer of a verified token. */
export interface Caller {
  /** Whose own data the caller may read; undefined when the token names nobody. */
  username: string | undefined
  /** Who says so (`iss`), and in which token (`jti`), where the token tells. */
  issuer: string | undefined
  tokenId: string | undefined
  /** The roles that the token names, whether they are known or not. */
  roles: readonly string[]
  permissions: ReadonlySet<Permission>
  /**
   * The switch node whose sessions are the only ones that the caller may touch; undefined for any,
   * '' for none.
   */
  node: string | undefined
}

/**
 * Reads a verified token's claims: `sub` or `username`; `role` or `roles`; `permissions`; `scope`
 * (RFC 8693, 4.2). What is unknown or of another type grants nothing.
 * @param bindNodes - whether a `node` claim binds; one that names no node then binds to none
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
  return typeof claim === 'string' && NODE_NAME.test(claim) ? claim : ''
}

function textOf (claim: unknown): string | undefined {
  return typeof claim === 'string' ? claim : undefined
}

function texts (claim: unknown): string[] {
  return (Array.isArray(claim) ? claim : [claim]).filter((text) => typeof text === 'string')
}
