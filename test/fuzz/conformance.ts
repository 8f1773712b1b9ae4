/** Holds answers to the API's description. */
import { AjvCompiler } from '@fastify/ajv-compiler'
import { type ApiDocument, type Route, forAjv, routesOf } from '../helpers/api-document.ts'
import type { FuzzRequest } from './requests.ts'

/** An answer, as far as it is described. */
export interface Answer {
  statusCode: number
  headers: Record<string, unknown>
  payload: string
}

type Validate = ((value: unknown) => boolean) & { errors?: unknown }

/** What no operation can rule out, and `default` describes. */
const ANYWHERE = [404, 405, 408, 414, 431]

/**
 * What a request that is as described does not get: the rest depends on what there is. A login is
 * refused for what it says.
 */
const REFUSED = [400, 403, 405, 413, 414, 415]

/** Refusals of members that are each as described, and do not go together, or change nothing. */
const TOGETHER = new RegExp(
  '"detail":"(?:Give as_of or age_seconds|Give part and parts|body/as_of must be|' +
    'body/expires_at must be|' +
    'The body has no member of the policy)'
)

/** Parameters that may be as described and still name a place that there is not. */
const PLACES = /[?&](?:cursor|page)=/

/** Knows what each operation may answer. */
export class Conformance {
  readonly routes: ReadonlyMap<string, Route>
  #validators = new Map<string, Validate>()

  constructor (document: ApiDocument) {
    const named = Object.fromEntries(
      Object.entries(document.components.schemas).map(([name, schema]) => [
        name,
        forAjv({ ...schema, $id: name })
      ])
    )
    const compile = AjvCompiler()(named as never, {
      customOptions: { strict: false, coerceTypes: false, removeAdditional: false }
    })
    const routes = routesOf(document)
    this.routes = new Map(routes.map((route) => [route.operationId, route]))
    for (const { operationId, responses } of routes) {
      for (const [status, { content }] of Object.entries(responses)) {
        for (const [type, { schema }] of Object.entries(content)) {
          this.#validators.set(
            `${operationId} ${status} ${type}`,
            compile({ schema: forAjv(schema) } as never) as unknown as Validate
          )
        }
      }
    }
  }

  /** @throws Error saying what an answer may not be */
  check (request: FuzzRequest, { statusCode, headers, payload }: Answer): void {
    const { operationId, valid, url } = request
    const route = this.routes.get(operationId)
    const type = String(headers['content-type']).replace(/;.*/, '')
    const fail = (what: string, more: unknown = ''): never => {
      throw new Error(
        `${operationId} answered ${statusCode} ${type}: ${what}. ` +
          `${JSON.stringify(more)}\n${payload.slice(0, 1000)}`
      )
    }
    if (statusCode >= 500) fail('no input is to make it fail')
    const declared =
      ANYWHERE.includes(statusCode) && route?.responses[statusCode] === undefined
        ? 'default'
        : String(statusCode)
    const validate =
      this.#validators.get(`${operationId} ${declared} ${type}`) ?? fail('this is not described')
    if (!validate(JSON.parse(payload))) fail('the body is not as described', validate.errors)
    const excused = PLACES.test(url) || TOGETHER.test(payload)
    if (valid && REFUSED.includes(statusCode) && !excused) {
      fail('what was asked is as described')
    }
  }
}
