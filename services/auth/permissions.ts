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
  'policy:write',
  'api-keys:manage'
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
  /** The name of the caller's API key, if it has one. */
  apiKeyName?: string
}

/** How the claims of a token are read. */
export interface ClaimOptions {
  /** Whether a `node` claim binds the caller. An invalid one binds it to no node. */
  bindNodes?: boolean
  /** Further claims that name roles, or paths to them, such as `realm_access.roles`. */
  roleClaims?: readonly string[]
}

/**
 * The caller that a verified token stands for. The name is that of `username`, else of
 * `preferred_username`, else of `sub`. Roles come from `role` and `roles`, permissions from
 * `permissions`, `scope` (RFC 8693, 4.2) and `scp`. Unknown values grant nothing.
 */
export function callerOf (
  claims: Record<string, unknown>,
  { bindNodes = false, roleClaims = [] }: ClaimOptions = {}
): Caller {
  const roles = [claims.role, claims.roles, ...roleClaims.map((path) => claimAt(claims, path))]
    .flatMap(texts)
  const granted = roles.flatMap((role) => ROLES.get(role) ?? [])
  const named = [
    ...texts(claims.permissions),
    ...(typeof claims.scope === 'string' ? claims.scope.split(' ') : []),
    ...texts(claims.scp).flatMap((text) => text.split(' '))
  ]
  return {
    username: [claims.username, claims.preferred_username, claims.sub].find(isName),
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

function isName (claim: unknown): claim is string {
  return typeof claim === 'string' && claim !== ''
}

/** The claim of this name or, if there is none, the one that a path of names leads to. */
function claimAt (claims: Record<string, unknown>, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  let value: unknown = claims
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
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
