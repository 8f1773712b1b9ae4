/**
 * Authenticates and authorises each request to a route that the access table does not make public.
 */
import { fastifyJwt } from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import fp from 'fastify-plugin'
import { ACCESS, type Access } from '../services/auth/access-table.ts'
import type { ApiKeyRing } from '../services/auth/api-keys/api-key-ring.ts'
import { credentialOf } from '../services/auth/credentials.ts'
import { Jwks } from '../services/auth/jwks.ts'
import type { Caller } from '../services/auth/permissions.ts'
import {
  TokenVerifier,
  type Issuer,
  type JwtLibrary,
  type KeySource
} from '../services/auth/token-verifier.ts'
import { TokensInUse } from '../services/auth/tokens-in-use.ts'
import { secretKey, type VerificationKey } from '../services/auth/verification-key.ts'
import { ServiceError } from '../services/errors.ts'
import { commaList } from '../services/util/comma-list.ts'
import { canonicalName } from '../services/util/names.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The API keys; null in a service that has none. */
    apiKeys: ApiKeyRing | null
    /** The long-lived tokens that are in use here. */
    tokensInUse: TokensInUse
  }
  interface FastifyContextConfig {
    access?: Access
  }
  interface FastifyRequest {
    caller: Caller | null
  }
}

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: Record<string, unknown>
    user: Record<string, unknown>
  }
}

/** Stands for no credential, or for more than one. */
const NO_CREDENTIAL = { authorization: '' }

export interface AuthOptions {
  /** The secret that the web console, the switch and our own login sign tokens with. */
  secret: string
  /** The keys of the identity provider that are read from a file. */
  publicKeys?: () => VerificationKey[]
}

export default fp<AuthOptions>(
  async (app, { secret, publicKeys = () => [] }) => {
    const { JWT_ISSUER, JWT_AUDIENCE } = app.config
    await app.register(fastifyJwt, {
      secret,
      sign: {
        algorithm: 'HS256',
        ...(JWT_ISSUER && { iss: JWT_ISSUER }),
        ...(JWT_AUDIENCE && { aud: JWT_AUDIENCE })
      },
      verify: { algorithms: ['HS256'], requiredClaims: ['exp'] }
    })
    app.decorate('tokensInUse', new TokensInUse())
    const verifier = verifierOf(app, secret, publicKeys)
    app.decorate<ApiKeyRing | null>('apiKeys', null)
    app.decorateRequest('caller', null)
    app.addHook('onRoute', (route) => {
      route.config = { ...route.config, access: accessOf(route) }
    })
    // Not async, so that a token that was verified recently costs no turn of the event loop.
    app.addHook('onRequest', (request, _reply, done) => {
      if (request.is404) return done()
      const { access } = request.routeOptions.config
      if (access === 'public') return done()
      if (access === undefined) {
        return done(new ServiceError('forbidden', 'Nobody may use this path.'))
      }
      const credential = credentialOf(request.raw.rawHeaders) ?? NO_CREDENTIAL
      if ('apiKey' in credential) {
        const caller = callerOfKey(app.apiKeys, credential.apiKey)
        return done(caller instanceof Error ? caller : refusal(caller, access, request))
      }
      const caller = verifier.remembered(credential.authorization)
      if (caller !== undefined) return done(refusal(caller, access, request))
      verifier.verify(credential.authorization).then(
        (verified) => done(refusal(verified, access, request)),
        (cause: unknown) => done(unauthorized(cause))
      )
    })
  },
  { name: 'auth', dependencies: ['config', 'errors'] }
)

/** Verifies the tokens of all issuers. */
function verifierOf (
  app: FastifyInstance,
  secret: string,
  publicKeys: () => VerificationKey[]
): TokenVerifier {
  const { JWT_CLOCK_TOLERANCE_SECONDS, BIND_NODES, JWT_ROLE_CLAIMS } = app.config
  return new TokenVerifier({
    issuers: issuersOf(app, secret, publicKeys),
    // Each issuer has its own keys and checks, so they are passed with each token.
    jwt: {
      decode: (token) =>
        app.jwt.decode(token, { complete: true }) as ReturnType<JwtLibrary['decode']>,
      verify: (token, checks) => app.jwt.verify(token, checks)
    },
    toleranceMs: JWT_CLOCK_TOLERANCE_SECONDS * 1000,
    claims: { bindNodes: BIND_NODES, roleClaims: commaList(JWT_ROLE_CLAIMS) },
    onVerified: (claims, nowMs) => app.tokensInUse.note(claims, nowMs)
  })
}

/** The issuers whose tokens are accepted: the holders of the secret, and the identity provider. */
function issuersOf (
  app: FastifyInstance,
  secret: string,
  publicKeys: () => VerificationKey[]
): Issuer[] {
  const { config, log } = app
  const secrets = [secret, config.JWT_SECRET_PREVIOUS]
    .filter((one) => one !== undefined)
    .map(secretKey)
  const keys: KeySource[] = [publicKeys]
  if (config.JWT_JWKS_URL !== undefined) {
    const jwks = new Jwks(config.JWT_JWKS_URL, (outcome) => {
      if ('usable' in outcome) {
        log.info(outcome, "the identity provider's keys were read")
        if (outcome.private > 0) {
          log.warn(
            { keys: outcome.private },
            'the identity provider publishes private keys; they are not used'
          )
        }
      } else {
        log.warn(
          { err: outcome.error },
          "the identity provider's keys could not be read; the last known keys stay in use"
        )
      }
    })
    app.addHook('onReady', async () => jwks.start())
    app.addHook('onClose', () => jwks.stop())
    keys.push(async (header) => await jwks.keysFor(header))
  }
  return [
    { name: config.JWT_ISSUER, audience: config.JWT_AUDIENCE, keys: [() => secrets] },
    { name: config.JWT_PROVIDER_ISSUER, audience: config.JWT_PROVIDER_AUDIENCE, keys }
  ]
}

/**
 * What a route requires.
 * @throws TypeError for a route that is not in the access table: it is denied at the start
 */
function accessOf (route: RouteOptions): Access {
  const given = (route.config as { access?: Access } | undefined)?.access
  if (given !== undefined) return given
  const methods = new Set(
    [route.method].flat().map((method) => (method === 'HEAD' ? 'GET' : method))
  )
  const name = `${[...methods].join()} ${route.url}`
  const access = ACCESS[name]
  if (access === undefined) throw new TypeError(`${name} is not in the access table`)
  return access
}

/** The caller that an API key stands for, or why there is none. */
function callerOfKey (apiKeys: ApiKeyRing | null, text: string): Caller | Error {
  try {
    return apiKeys?.callerOf(text) ?? unauthorized()
  } catch (error) {
    return error as Error
  }
}

function unauthorized (cause?: unknown): ServiceError {
  return new ServiceError('unauthorized', 'A valid token or API key is required.', { cause })
}

function refusal (
  caller: Caller,
  access: Exclude<Access, 'public'>,
  request: FastifyRequest
): ServiceError | undefined {
  request.caller = caller
  if (caller.permissions.has(access.permission)) return
  const { username } = (access.ownData === undefined ? {} : request[access.ownData]) as {
    username?: unknown
  }
  if (caller.username !== undefined && typeof username === 'string') {
    if (canonicalName(caller.username) === canonicalName(username)) return
  }
  return new ServiceError('forbidden', `This requires the permission ${access.permission}.`)
}
