/**
 * Registers the named schemas, and compiles them: bodies strictly, parameters and queries with
 * coercion.
 */
import { AjvCompiler } from '@fastify/ajv-compiler'
import { Type } from '@sinclair/typebox'
import type { FastifySchema, FastifySchemaCompiler, FastifyServerOptions } from 'fastify'
import type { FastifyRouteSchemaDef } from 'fastify/types/schema.js'
import fp from 'fastify-plugin'
import * as auth from '../schemas/auth.ts'
import * as counts from '../schemas/counts.ts'
import * as health from '../schemas/health.ts'
import * as limits from '../schemas/limits.ts'
import * as policy from '../schemas/policy.ts'
import * as problem from '../schemas/problem.ts'
import * as sessions from '../schemas/sessions.ts'

/** Every schema that has a name of its own. */
const named = [auth, counts, health, limits, policy, problem, sessions]
  .flatMap((module) => Object.values(module) as unknown[])
  .filter(
    (value): value is { $id: string } =>
      typeof value === 'object' && value !== null && '$id' in value
  )

/** OpenAPI's own keywords, which mean nothing to a validator. */
const keywords = ['example']

/** Nothing in a body is coerced or dropped: what is not understood is refused. */
const bodyOptions = {
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: true,
  allErrors: true,
  keywords,
  allowUnionTypes: true
}
/** Parameters and queries are all text on the wire. */
const textOptions = { ...bodyOptions, coerceTypes: true }

/**
 * The compilers for buildApp. Their types are of Ajv, not of Fastify: the two do not agree on what
 * a schema is.
 */
export const schemaController = { compilersFactory: { buildValidator } } as unknown as NonNullable<
  FastifyServerOptions['schemaController']
>

function buildValidator (externalSchemas: Parameters<ReturnType<typeof AjvCompiler>>[0]) {
  const compiler = (customOptions: typeof bodyOptions) =>
    AjvCompiler()(externalSchemas, {
      customOptions
    }) as unknown as FastifySchemaCompiler<FastifySchema>
  const [forBodies, forText] = [compiler(bodyOptions), compiler(textOptions)]
  return (route: FastifyRouteSchemaDef<FastifySchema>) =>
    route.httpPart === 'body' ? forBodies(route) : forText(route)
}

/** The query of a route that declares none: nothing is dropped silently, in a query neither. */
const noQuery = Type.Object({}, { additionalProperties: false })

export default fp(
  async (app) => {
    for (const schema of named) app.addSchema(schema)
    app.addHook('onRoute', ({ schema }) => {
      // Probes may carry what they like, and a path without this method says so first.
      if (schema !== undefined && schema.hide !== true && schema.security === undefined) {
        schema.querystring ??= noQuery
      }
    })
  },
  { name: 'schemas' }
)
