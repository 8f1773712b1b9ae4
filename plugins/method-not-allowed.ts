/** Answers 405 with `Allow` when a path exists and its method does not (RFC 9110, 15.5.6). */
import fp from 'fastify-plugin'
import { sendProblem } from './errors.ts'

export interface MethodNotAllowedOptions {
  /** The registered methods of each route pattern. */
  routes: ReadonlyMap<string, ReadonlySet<string>>
}

/** Registered after all routes: adds a route for each method that a path does not have. */
export default fp<MethodNotAllowedOptions>(
  async (app, { routes }) => {
    const registered = [...routes].map(([url, methods]) => ({ url, methods: new Set(methods) }))
    for (const { url } of registered) {
      // One path may match several patterns: `limits/bulk` is also the limit of a user named bulk.
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
            detail: `This path allows ${allow}, and not ${request.method}.`
          })
      })
    }
  },
  { name: 'method-not-allowed', dependencies: ['errors'] }
)

/** Whether every path that matches `url` matches `pattern`, too. */
function covers (pattern: string, url: string): boolean {
  const [parts, others] = [pattern.split('/'), url.split('/')]
  return (
    parts.length === others.length &&
    parts.every((part, i) => part.startsWith(':') || part === others[i])
  )
}
