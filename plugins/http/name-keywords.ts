/**
 * Keywords of our schemas that bring a value into its one form while it is validated, wherever it
 * comes in: in a path, a query or a body.
 */
import type { Options } from '@fastify/ajv-compiler'
import { canonicalName, cleanText } from '../../services/util/names.ts'

type Keyword = Extract<Options['keywords'], unknown[]>[number]

/** `x-canonical`: a name gets its one spelling. `x-free-text`: a text is cut and cleaned. */
export const nameKeywords: Keyword[] = [
  keyword('x-canonical', 'boolean', canonicalName),
  keyword('x-free-text', 'number', (text, maxLength) => cleanText(text, Number(maxLength)))
]

/** A keyword that replaces a string and never refuses one. */
function keyword (
  name: string,
  schemaType: 'boolean' | 'number',
  change: (text: string, setting: unknown) => string
): Keyword {
  return {
    keyword: name,
    type: 'string',
    schemaType,
    modifying: true,
    errors: false,
    validate (setting: unknown, text: string, _schema, place) {
      if (place !== undefined) place.parentData[place.parentDataProperty] = change(text, setting)
      return true
    }
  }
}
