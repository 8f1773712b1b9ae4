/** The API description: OpenAPI 3.1 at /openapi.json, and offline pages at /docs. */
import { fastifySwagger, type FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { fastifySwaggerUi } from '@fastify/swagger-ui'
import fp from 'fastify-plugin'
import { completeDocument, type ApiDocument } from './http/openapi-document.ts'

/**
 * The content security policy of the pages. They load everything from this service. Swagger UI
 * needs inline styles.
 */
const CONTENT_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
  "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'none'"

export default fp<{ version: string }>(
  async (app, { version }) => {
    await app.register(fastifySwagger, {
      openapi: head(version),
      transformObject: (made) =>
        'openapiObject' in made
          ? completeDocument(made.openapiObject as typeof made.openapiObject & ApiDocument)
          : made.swaggerObject,
      refResolver: {
        buildLocalReference: (json, _base, _fragment, i) =>
          typeof json.$id === 'string' ? json.$id : `def-${i}`
      }
    })
    await app.register(fastifySwaggerUi, {
      routePrefix: '/docs',
      logLevel: 'warn',
      staticCSP: CONTENT_POLICY
    })
    // Made once, as bytes: anybody can ask for it, as often as they like.
    let bytes: Buffer | undefined
    app.get('/openapi.json', { schema: { hide: true } }, (_request, reply) => {
      bytes ??= Buffer.from(JSON.stringify(app.swagger()))
      return reply.type('application/json; charset=utf-8').send(bytes)
    })
    app.get('/', { schema: { hide: true } }, (_request, reply) => reply.redirect('/docs'))
  },
  { name: 'openapi', dependencies: ['auth'] }
)

/** What the description says besides the routes and their schemas. */
function head (version: string): NonNullable<FastifyDynamicSwaggerOptions['openapi']> {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Voice Ferry session limits',
      version,
      description: 'Limits how many sessions each user may have at the same time.',
      license: { name: 'MIT', identifier: 'MIT' }
    },
    servers: [{ url: '/' }],
    tags: [
      {
        name: 'limits',
        description: 'Limits of users, and the policy for users without their own'
      },
      { name: 'counts', description: 'The number of sessions that are up' },
      { name: 'admission', description: 'Acquire, renew and release sessions' },
      { name: 'nodes', description: 'Reports of switch nodes' },
      { name: 'sessions', description: 'The sessions that are up' },
      { name: 'auth', description: 'Logins and API keys' },
      { name: 'health', description: 'Probes' }
    ],
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A JWT or an API key.' },
        apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        basic: { type: 'http', scheme: 'basic', description: 'The password is an API key.' }
      }
    },
    security: [{ bearer: [] }, { apiKey: [] }, { basic: [] }]
  }
}
