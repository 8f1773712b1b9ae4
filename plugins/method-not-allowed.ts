/**
 * Answers what no route takes: 405 with `Allow` if the path exists and its method does not (RFC
 * 9110, 15.5.6), and 404 otherwise.
 */
import fp from 'fastify-plugin'
import { sendProblem } from './errors.ts'

export interface MethodNotAllowedOptions {
  /** The registered methods of each route pattern. */
  routes: ReadonlyMap<string, ReadonlySet<string>>
}

/**
 * Not a route per missing method: `POST limits/:username` would hide `POST :session_id/renew` from
 * a session whose id is `limits`.
 */
export default fp<MethodNotAllowedOptions>(
  async (app, { routes }) => {
    const patterns = [...routes].map(([url, methods]) => ({ parts: url.split('/'), methods }))

    app.setNotFoundHandler((request, reply) => {
      const parts = pathOf(request.url).split('/').map(decoded)
      const methods = patterns
        .filter((pattern) => matches(pattern.parts, parts))
        .flatMap((pattern) => [...pattern.methods])
      if (methods.length === 0) {
        return sendProblem(reply, {
          status: 404,
          code: 'not_found',
          detail: 'There is no such path. GET /openapi.json lists all paths.'
        })
      }
      const allow = [...new Set(methods)].sort().join(', ')
      return sendProblem(reply.header('allow', allow), {
        status: 405,
        code: 'method_not_allowed',
        detail: `This path allows ${allow}, and not ${request.method}.`
      })
    })
  },
  { name: 'method-not-allowed', dependencies: ['errors'] }
)

function pathOf (url: string): string {
  const end = url.search(/[?#]/)
  return end === -1 ? url : url.slice(0, end)
}

function decoded (part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** Whether a path matches a route pattern, part by part. */
function matches (pattern: string[], parts: string[]): boolean {
  return (
    pattern.length === parts.length &&
    pattern.every((part, i) => part.startsWith(':') || part === parts[i])
  )
}
