/** Who is calling, and may they: a JWT for every route that the access table does not call public. */
import { fastifyJwt } from '@fastify/jwt'
import type { FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { ACCESS, type Access } from '../services/auth/access-table.ts'
import { callerOf, type Caller } from '../services/auth/permissions.ts'
import { ServiceError } from '../services/errors.ts'

declare module 'fastify' {
  interface FastifyContextConfig { access?: Access }
  interface FastifyRequest { caller: Caller | null }
}

declare module '@fastify/jwt' {
  interface FastifyJWT { payload: Record<string, unknown>, user: Record<string, unknown> }
}

/** How many verified tokens are remembered; each still ends at its own `exp`. */
const TOKEN_CACHE = 1000

export default fp<{ secret: string }>(async (app, { secret }) => {
  const { JWT_ISSUER, JWT_AUDIENCE } = app.config
  await app.register(fastifyJwt, {
    secret,
    sign: { algorithm: 'HS256', ...(JWT_ISSUER && { iss: JWT_ISSUER }), ...(JWT_AUDIENCE && { aud: JWT_AUDIENCE }) },
    verify: {
      algorithms: ['HS256'],
      cache: TOKEN_CACHE,
      ...(JWT_ISSUER && { allowedIss: JWT_ISSUER }),
      ...(JWT_AUDIENCE && { allowedAud: JWT_AUDIENCE }),
      // Without this, a token that has no such claim at all would pass.
      requiredClaims: [...(JWT_ISSUER ? ['iss'] : []), ...(JWT_AUDIENCE ? ['aud'] : [])]
    }
  })
  app.decorateRequest('caller', null)
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, access: accessOf(route) }
  })
  app.addHook('onRequest', async (request) => {
    if (request.is404) return
    const access = request.routeOptions.config.access
    if (access === 'public') return
    if (access === undefined) throw new ServiceError('forbidden', 'This path is open to nobody.')
    authorize(await callerFrom(request), access, request)
  })
}, { name: 'auth', dependencies: ['config', 'errors'] })

/** What a route needs. @throws TypeError for a route that the table does not name: denied by default, at the start */
function accessOf (route: RouteOptions): Access {
  const given = (route.config as { access?: Access } | undefined)?.access
  if (given !== undefined) return given
  if (route.url === '/docs' || route.url.startsWith('/docs/')) return 'public'
  const method = route.method === 'HEAD' ? 'GET' : String(route.method)
  const access = ACCESS[`${method} ${route.url}`]
  if (access === undefined) throw new TypeError(`${method} ${route.url} is not in the access table`)
  return access
}

async function callerFrom (request: FastifyRequest): Promise<Caller> {
  // Node takes the first of several, a proxy in front may take the last: no two may disagree on who calls.
  const named = request.raw.rawHeaders.filter((header, i) => i % 2 === 0 && header.toLowerCase() === 'authorization')
  if (named.length > 1) throw new ServiceError('unauthorized', 'One Authorization header is needed, not several.')
  try {
    return (request.caller = callerOf(await request.jwtVerify()))
  } catch (cause) {
    throw new ServiceError('unauthorized', 'A valid bearer token is needed.', { cause })
  }
}

function authorize (caller: Caller, access: Exclude<Access, 'public'>, request: FastifyRequest): void {
  if (caller.permissions.has(access.permission)) return
  const { username } = (access.ownData === undefined ? {} : request[access.ownData]) as { username?: unknown }
  if (caller.username !== undefined && caller.username === username) return
  throw new ServiceError('forbidden', `This needs the permission ${access.permission}.`)
}
