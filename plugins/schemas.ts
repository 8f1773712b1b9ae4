/**
 * Registers the named schemas, and compiles them: strictly for bodies, with coercion for parameters
 * and queries.
 */
import { AjvCompiler } from '@fastify/ajv-compiler'
import { Type } from '@sinclair/typebox'
import type { FastifySchema, FastifySchemaCompiler, FastifyServerOptions } from 'fastify'
import type { FastifyRouteSchemaDef } from 'fastify/types/schema.js'
import fp from 'fastify-plugin'
import * as admission from '../schemas/admission.ts'
import * as apiKeys from '../schemas/api-keys.ts'
import * as auth from '../schemas/auth.ts'
import * as counts from '../schemas/counts.ts'
import * as health from '../schemas/health.ts'
import * as limits from '../schemas/limits.ts'
import * as nodes from '../schemas/nodes.ts'
import * as policy from '../schemas/policy.ts'
import * as problem from '../schemas/problem.ts'
import * as sessions from '../schemas/sessions.ts'
import { nameKeywords } from './http/name-keywords.ts'

/** Every schema that has an `$id`. */
const named = [
  admission,
  apiKeys,
  auth,
  counts,
  health,
  limits,
  nodes,
  policy,
  problem,
  sessions
]
  .flatMap((module) => Object.values(module) as unknown[])
  .filter(
    (value): value is { $id: string } =>
      typeof value === 'object' && value !== null && '$id' in value
  )

/** Keywords of OpenAPI, which the validator ignores, and our own. */
const keywords = ['example', 'x-items', ...nameKeywords]

/** Nothing in a body is coerced or dropped: unknown members are refused. */
const bodyOptions = {
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: true,
  allErrors: true,
  keywords,
  allowUnionTypes: true
}
/** Parameters and queries are text on the wire, so numbers and booleans are coerced. */
const textOptions = { ...bodyOptions, coerceTypes: true }

/**
 * The compilers for buildApp. The cast is needed because Ajv and Fastify type schemas differently.
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

/** The query schema of a route that declares none: unknown parameters are refused. */
const noQuery = Type.Object({}, { additionalProperties: false })

export default fp(
  async (app) => {
    for (const schema of named) app.addSchema(schema)
    app.addHook('onRoute', ({ schema }) => {
      // Public probes accept any query, and a 405 comes before the check of the query.
      if (schema !== undefined && schema.hide !== true && schema.security === undefined) {
        schema.querystring ??= noQuery
      }
    })
  },
  { name: 'schemas' }
)
