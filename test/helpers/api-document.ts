/** The API's own description, as tests read it. */

export interface Media {
  schema: Record<string, unknown>
  example?: unknown
}
export interface Parameter {
  name: string
  in: string
  required?: boolean
  example?: string
  schema: Record<string, unknown>
}
export interface Operation {
  operationId: string
  tags: string[]
  summary: string
  description?: string
  security?: unknown[]
  parameters?: Parameter[]
  requestBody?: { required?: boolean; content: Record<string, Media> }
  responses: Record<string, { description: string; content: Record<string, Media> }>
}
export interface ApiDocument {
  openapi: string
  info: { version: string }
  tags: Array<{ name: string }>
  components: { schemas: Record<string, Record<string, unknown>> }
  paths: Record<string, Record<string, Operation>>
}

/** An operation with its method, in capitals, and its path. */
export type Route = Operation & { method: string; path: string }

/** Every operation of a document. */
export function routesOf (document: ApiDocument): Route[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      path,
      method: method.toUpperCase(),
      ...operation
    }))
  )
}

/** A schema of the document with references as Ajv finds them. */
export function forAjv (schema: object): Record<string, unknown> {
  return JSON.parse(JSON.stringify(schema).replaceAll('#/components/schemas/', '')) as Record<
    string,
    unknown
  >
}
