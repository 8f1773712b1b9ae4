/**
 * Completes the API description: adds an example to every body, a phrase to every answer, and a
 * default answer to every operation.
 */
import { STATUS_CODES } from 'node:http'

/** The parts of a JSON schema that examples are made from. */
export interface ExampleSchema {
  $ref?: string
  type?: string | string[]
  examples?: unknown[]
  default?: unknown
  enum?: unknown[]
  minimum?: number
  anyOf?: ExampleSchema[]
  items?: ExampleSchema
  'x-items'?: ExampleSchema
  properties?: Record<string, ExampleSchema>
  required?: string[]
}

interface Media {
  schema?: ExampleSchema
  example?: unknown
}
interface Answer {
  description: string
  content?: Record<string, Media>
}
interface Operation {
  parameters?: Array<{ required?: boolean; schema: ExampleSchema }>
  requestBody?: { required?: boolean; content: Record<string, Media> }
  responses: Record<string, Answer>
}

/** The parts of an OpenAPI document that are completed. */
export interface ApiDocument {
  components: { schemas: Record<string, ExampleSchema> }
  paths: Record<string, Record<string, Operation>>
}

/** The example for each type, when a schema gives none. */
const PLAIN: Record<string, unknown> = {
  boolean: false,
  integer: 0,
  number: 0,
  string: 'text',
  object: {},
  array: [],
  null: null
}

/** The answer that any operation may give: 404, 405, 408, 414, 431 or 500. */
const ANYTHING_ELSE: Answer = {
  description: 'Any other problem',
  content: {
    'application/problem+json': {
      schema: { $ref: '#/components/schemas/Problem' },
      example: {
        type: 'about:blank',
        title: 'Internal Server Error',
        status: 500,
        detail: 'The service failed to handle this request.',
        code: 'internal_error'
      }
    }
  }
}

/** Fills in what the framework leaves out of a document. An example that is there stays. */
export function completeDocument<D extends ApiDocument> (document: D): D {
  for (const schema of Object.values(document.components.schemas)) showItems(schema)
  const operations = Object.values(document.paths).flatMap((path) => Object.entries(path))
  for (const [method, { parameters = [], requestBody, responses }] of operations) {
    for (const one of parameters) if (one.schema.default !== undefined) one.required = false
    if (requestBody !== undefined && method === 'delete') requestBody.required = false
    for (const [status, answer] of Object.entries(responses)) {
      if (answer.description === 'Default Response') {
        answer.description = STATUS_CODES[status] ?? status
      }
    }
    responses.default ??= ANYTHING_ELSE
    for (const { content = {} } of [requestBody ?? {}, ...Object.values(responses)]) {
      for (const media of Object.values(content)) {
        if (media.schema !== undefined) {
          media.example ??= exampleOf(media.schema, document.components.schemas)
        }
      }
    }
  }
  return document
}

/** Lists whose items are checked one by one: the document says of what they are. */
function showItems ({ properties = {} }: ExampleSchema): void {
  for (const property of Object.values(properties)) {
    const { 'x-items': items } = property
    if (items === undefined) continue
    delete property['x-items']
    property.items = items
  }
}

/** A valid value: the example of the schema, or one made from its required members. */
function exampleOf (schema: ExampleSchema, named: Record<string, ExampleSchema>): unknown {
  const { $ref, examples, default: given, enum: values, minimum, anyOf, items, properties } = schema
  if ($ref !== undefined) {
    return exampleOf(named[$ref.slice($ref.lastIndexOf('/') + 1)] ?? {}, named)
  }
  const [first] = [...(examples ?? []), ...(given === undefined ? [] : [given]), ...(values ?? [])]
  if (first !== undefined) return first
  if (anyOf?.[0] !== undefined) return exampleOf(anyOf[0], named)
  if (items !== undefined) return [exampleOf(items, named)]
  if (properties !== undefined) {
    const members = schema.required ?? Object.keys(properties)
    return Object.fromEntries(
      members.map((name) => [name, exampleOf(properties[name] ?? {}, named)])
    )
  }
  return minimum ?? PLAIN[[schema.type].flat()[0] ?? 'object']
}
