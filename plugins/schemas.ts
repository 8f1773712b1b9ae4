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

/**
 * Nothing in a body is coerced or dropped: unknown members are refused. Validation stops at the
 * first error: one object for each of a million errors would hold everybody up.
 */
const bodyOptions = {
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: true,
  allErrors: false,
  keywords,
  allowUnionTypes: true
}
/** Parameters and queries are text on the wire, so numbers and booleans are coerced. */
const textOptions = { ...bodyOptions, coerceTypes: true }
/** Where a value has no more values in it than this, all of its errors are named. */
const FEW_VALUES = 1_000

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
  const thoroughly = compiler({ ...bodyOptions, allErrors: true })
  return (route: FastifyRouteSchemaDef<FastifySchema>) => {
    if (route.httpPart !== 'body') return forText(route)
    // A schema that is not given by reference is that of one of thousands of items.
    if ('$id' in (route.schema as object)) return forBodies(route)
    return namingAll(forBodies(route) as Validator, thoroughly(route) as Validator)
  }
}

/** A validator as Ajv compiles it. */
interface Validator {
  (data: unknown): boolean
  errors?: unknown[] | null
}

/** Names all errors of a small value, and the first one of any other. */
function namingAll (first: Validator, all: Validator): Validator {
  const validate: Validator = (data) => {
    if (first(data)) return true
    const errors = hasFewValues(data) && !all(data) ? all.errors : first.errors
    validate.errors = errors ?? null
    return false
  }
  return validate
}

function hasFewValues (data: unknown): boolean {
  let left = FEW_VALUES
  const count = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || left < 0) return
    for (const name in value) {
      if (--left < 0) return
      count((value as Record<string, unknown>)[name])
    }
  }
  count(data)
  return left >= 0
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
