/**
 * Named schemas: registered once and referenced everywhere, so that generated clients get names.
 */
import { Type, type Static, type TSchema } from '@sinclair/typebox'

/** A reference to a schema that has an `$id`, typed as the schema itself. */
export function ref<T extends TSchema> (schema: T) {
  if (schema.$id === undefined) throw new TypeError('only a schema with an $id can be referenced')
  return Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` })
}
