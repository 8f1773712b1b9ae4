/** 405 for a path that exists with a method that it does not have, with `Allow` (RFC 9110, 15.5.6). */
import type { HTTPMethods } from 'fastify'
import fp from 'fastify-plugin'
import { sendProblem } from './errors.ts'

const METHODS: HTTPMethods[] = ['DELETE', 'GET', 'PATCH', 'POST', 'PUT']

export interface MethodNotAllowedOptions {
  /** The methods of each route pattern, as they were registered. */
  routes: ReadonlyMap<string, ReadonlySet<string>>
}

/** Registered after every route: fills in the methods that a path lacks. */
export default fp<MethodNotAllowedOptions>(async (app, { routes }) => {
  for (const [url, methods] of [...routes]) {
    const allow = [...methods].sort().join(', ')
    app.route({
      method: METHODS.filter((method) => !methods.has(method)),
      url,
      schema: { hide: true },
      config: { access: 'public' },
      handler: (request, reply) => sendProblem(reply.header('allow', allow), {
        status: 405, code: 'method_not_allowed', detail: `This path has no ${request.method}, but ${allow}.`
      })
    })
  }
}, { name: 'method-not-allowed', dependencies: ['errors'] })
