/** Values that a JSON schema of the API's description allows. */
import fc from 'fast-check'

/** A JSON schema, as far as values are made from it. */
export interface Schema {
  $ref?: string
  type?: string | string[]
  enum?: unknown[]
  anyOf?: Schema[]
  examples?: unknown[]
  pattern?: string
  format?: string
  maxLength?: number
  minLength?: number
  minimum?: number
  maximum?: number
  items?: Schema
  maxItems?: number
  properties?: Record<string, Schema>
  required?: string[]
  additionalProperties?: boolean | Schema
  propertyNames?: Schema
  minProperties?: number
  maxProperties?: number
}

/** How many names of a pattern come again and again, so that requests meet in the stores. */
const FAMILIAR = 100
/** The most members of a list or of a map. */
const MOST_MEMBERS = 16

/** Makes values of the schemas of one description. */
export class SchemaValues {
  #named: Record<string, Schema>
  #seed: number

  /** @param seed - says which names come again and again */
  constructor (named: Record<string, Schema>, seed: number) {
    this.#named = named
    this.#seed = seed
  }

  of (schema: Schema): fc.Arbitrary<unknown> {
    const { $ref, anyOf, type, enum: values, examples = [] } = schema
    if ($ref !== undefined) return this.of(this.#named[$ref.slice($ref.lastIndexOf('/') + 1)] ?? {})
    if (values !== undefined) return fc.constantFrom(...values)
    if (anyOf !== undefined) return fc.oneof(...anyOf.map((one) => this.of(one)))
    if (Array.isArray(type)) {
      return fc.oneof(...type.map((one) => this.of({ ...schema, type: one })))
    }
    const made = this.#ofType(schema)
    return examples.length === 0
      ? made
      : fc.oneof(
        { weight: 1, arbitrary: fc.constantFrom(...examples) },
        { weight: 4, arbitrary: made }
      )
  }

  #ofType (schema: Schema): fc.Arbitrary<unknown> {
    const { type, minimum, maximum, items = {}, maxItems = Infinity } = schema
    const range = {
      ...(minimum !== undefined && { min: minimum }),
      ...(maximum !== undefined && { max: maximum })
    }
    switch (type) {
      case 'string':
        return this.#strings(schema)
      case 'integer':
        return fc.integer(range)
      case 'number':
        return fc.double({ ...range, noNaN: true, noDefaultInfinity: true })
      case 'boolean':
        return fc.boolean()
      case 'null':
        return fc.constant(null)
      case 'array':
        return fc.array(this.of(items), { maxLength: Math.min(maxItems, MOST_MEMBERS) })
      case 'object':
        return this.#objects(schema)
      default:
        throw new TypeError(`no values are made of ${JSON.stringify(schema)}`)
    }
  }

  #strings ({ pattern, format, minLength = 0, maxLength = 64 }: Schema): fc.Arbitrary<string> {
    if (format === 'date-time') {
      return fc
        .date({ min: new Date('1990-01-01'), max: new Date('2090-01-01'), noInvalidDate: true })
        .map((date) => date.toISOString())
    }
    if (pattern === undefined) return fc.string({ minLength, maxLength, unit: 'binary' })
    const whole = new RegExp(pattern, 'u')
    // What may not follow is left to the filter: no text is made of that.
    const any = fc
      .stringMatching(new RegExp(pattern.replace(/\(\?!.*?\$\)/, '')))
      .filter((text) => whole.test(text) && text.length <= maxLength)
    const familiar = fc.constantFrom(...fc.sample(any, { seed: this.#seed, numRuns: FAMILIAR }))
    return fc.oneof({ weight: 4, arbitrary: familiar }, { weight: 1, arbitrary: any })
  }

  #objects ({
    properties = {},
    required = [],
    additionalProperties,
    propertyNames = {},
    minProperties = 0,
    maxProperties = Infinity
  }: Schema) {
    if (typeof additionalProperties === 'object') {
      const names = this.#strings(propertyNames)
      return fc.dictionary(names, this.of(additionalProperties), {
        maxKeys: Math.min(maxProperties, MOST_MEMBERS),
        noNullPrototype: true
      })
    }
    const members = Object.fromEntries(
      Object.entries(properties).map(([name, one]) => [name, this.of(one)])
    )
    return fc
      .record(members, { requiredKeys: required, noNullPrototype: true })
      .filter((made) => Object.keys(made).length >= minProperties)
  }
}
