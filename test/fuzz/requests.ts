/** Requests to an operation, made from its description: right ones, nearly right ones, and junk. */
import fc from 'fast-check'
import type { Parameter, Route } from '../helpers/api-document.ts'
import { junkBody, junkText, nearly } from './odd-values.ts'
import type { Schema, SchemaValues } from './schema-values.ts'

/** A request as it is injected. */
export interface FuzzRequest {
  operationId: string
  method: string
  url: string
  headers: Record<string, string>
  payload?: string | Buffer
  /** Whether it is as the description says. */
  valid: boolean
}

/** One part of a request, and whether it is as it should be. */
interface Part<T> {
  value: T
  valid: boolean
}

const right = <T>(values: fc.Arbitrary<T>) =>
  values.map((value): Part<T> => ({ value, valid: true }))
const wrong = <T>(values: fc.Arbitrary<T>) =>
  values.map((value): Part<T> => ({ value, valid: false }))

/** Mostly the first. */
const mostly = <T>(usual: fc.Arbitrary<T>, ...others: Array<fc.Arbitrary<T>>) =>
  fc.oneof(
    { weight: 12, arbitrary: usual },
    ...others.map((arbitrary) => ({ weight: 1, arbitrary }))
  )

/** Headers that mean something to some server or other. */
const furtherHeaders = fc.dictionary(
  fc.constantFrom(
    'x-request-id',
    'x-forwarded-for',
    'x-http-method-override',
    'accept',
    'if-none-match',
    'range',
    'origin',
    'last-event-id',
    'cookie'
  ),
  fc.string({ unit: 'grapheme-ascii' }),
  { maxKeys: 3, noNullPrototype: true }
)

/** Makes requests for the operations of one description. */
export class Requests {
  #values: SchemaValues
  #tokens: { good: string; others: string[] }

  /** @param tokens - one that may do everything, and others that may not */
  constructor (values: SchemaValues, tokens: { good: string; others: string[] }) {
    this.#values = values
    this.#tokens = tokens
  }

  /** Requests to an operation. */
  to (route: Route): fc.Arbitrary<FuzzRequest> {
    const { operationId, method, path, parameters = [] } = route
    const of = (place: string) => parameters.filter((one) => one.in === place)
    return fc
      .tuple(
        fc.tuple(...of('path').map((one) => this.#segment(one))),
        this.#query(of('query')),
        this.#body(route),
        this.#headers()
      )
      .map(([segments, query, body, headers]) => {
        let next = 0
        const url = path.replace(/\{\w+\}/g, () => segments[next++]?.value ?? '')
        const parts = [...segments, query, body, headers]
        return {
          operationId,
          method,
          url: query.value === '' ? url : `${url}?${query.value}`,
          headers: { ...body.value.headers, ...headers.value },
          ...(body.value.payload !== undefined && { payload: body.value.payload }),
          valid: parts.every(({ valid }) => valid)
        }
      })
  }

  #texts ({ schema }: Parameter): fc.Arbitrary<string> {
    return this.#values.of(schema as Schema).map((value) => encodeURIComponent(String(value)))
  }

  /** A name in a path. Dots alone are none: a client takes them away (RFC 3986, 5.2.4). */
  #segment (parameter: Parameter): fc.Arbitrary<Part<string>> {
    return mostly(right(this.#texts(parameter)), wrong(junkText)).filter(
      ({ value }) => !/^\.{1,2}$/.test(decoded(value))
    )
  }

  #query (parameters: Parameter[]): fc.Arbitrary<Part<string>> {
    const members = parameters.map((one) => {
      const given = this.#texts(one).map((text) => [`${one.name}=${text}`])
      return one.required === true ? given : fc.oneof(given, fc.constant<string[]>([]))
    })
    const odd = fc
      .tuple(fc.constantFrom(...parameters.map(({ name }) => name), 'extra', '__proto__'), junkText)
      .map(([name, text]) => [`${name}=${text}`])
    const joined = (some: Array<fc.Arbitrary<string[]>>) =>
      fc.tuple(...some).map((pairs) => pairs.flat().join('&'))
    return mostly(
      right(joined(members)),
      wrong(joined([...members, odd])),
      wrong(joined([odd, odd]))
    )
  }

  #body ({
    method,
    requestBody
  }: Route): fc.Arbitrary<Part<{ headers: Record<string, string>; payload?: string | Buffer }>> {
    const none = { headers: {} }
    if (method === 'GET') return fc.constant({ value: none, valid: true })
    const json = (payload: string | Buffer) => ({
      headers: { 'content-type': 'application/json' },
      payload
    })
    if (requestBody === undefined) {
      return mostly(right(fc.constant(none)), wrong(junkBody.map(json)))
    }
    const made = this.#values.of((requestBody.content['application/json']?.schema ?? {}) as Schema)
    const text = made.map((value) => JSON.stringify(value))
    const otherType = fc
      .tuple(text, fc.string({ unit: 'grapheme-ascii' }))
      .map(([payload, type]) => ({ headers: { 'content-type': type }, payload }))
    return mostly(
      right(
        requestBody.required === false
          ? fc.oneof(fc.constant(none), text.map(json))
          : text.map(json)
      ),
      wrong(nearly(made).map((value) => json(JSON.stringify(value) ?? ''))),
      wrong(nearly(made).map((value) => json(JSON.stringify(value) ?? ''))),
      wrong(junkBody.map(json)),
      wrong(otherType),
      wrong(fc.constant(none))
    )
  }

  #headers (): fc.Arbitrary<Part<Record<string, string>>> {
    const { good, others } = this.#tokens
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
    return mostly(
      right(fc.constant(bearer(good))),
      wrong(fc.constantFrom(...others.map(bearer), {})),
      wrong(furtherHeaders.map((headers) => ({ ...bearer(good), ...headers })))
    )
  }
}

function decoded (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
