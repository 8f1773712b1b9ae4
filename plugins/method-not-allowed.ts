/**
 * 405 for a path that exists with a method that it does not have, with `Allow` (RFC 9110, 15.5.6).
 */
import fp from 'fastify-plugin'
import { sendProblem } from './errors.ts'

export interface MethodNotAllowedOptions {
  /** The methods of each route pattern, as they were registered. */
  routes: ReadonlyMap<string, ReadonlySet<string>>
}

/** Registered after every route: fills in the methods that a path lacks. */
export default fp<MethodNotAllowedOptions>(
  async (app, { routes }) => {
    const registered = [...routes].map(([url, methods]) => ({ url, methods: new Set(methods) }))
    for (const { url } of registered) {
      // A path may match several patterns: `limits/bulk` is also the limit of a user named bulk.
      const methods = new Set(
        registered.filter((other) => covers(other.url, url)).flatMap((other) => [...other.methods])
      )
      const allow = [...methods].sort().join(', ')
      app.route({
        method: app.supportedMethods.filter((method) => !methods.has(method)),
        url,
        schema: { hide: true },
        config: { access: 'public' },
        handler: (request, reply) =>
          sendProblem(reply.header('allow', allow), {
            status: 405,
            code: 'method_not_allowed',
            detail: `This path has no ${request.method}, but ${allow}.`
          })
      })
    }
  },
  { name: 'method-not-allowed', dependencies: ['errors'] }
)

/** Whether every path of `url` is also one of `pattern`. */
function covers (pattern: string, url: string): boolean {
  const [parts, others] = [pattern.split('/'), url.split('/')]
  return (
    parts.length === others.length &&
    parts.every((part, i) => part.startsWith(':') || part === others[i])
  )
}
