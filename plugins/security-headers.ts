/** Sets security headers and the request id on every answer. */
import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'

/** The headers that the OWASP REST Security Cheat Sheet recommends for an API. */
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store'
}

/** Sets these headers, and the request id. */
export function setSecurityHeaders (reply: FastifyReply): FastifyReply {
  return reply.headers(HEADERS).header('x-request-id', reply.request.id)
}

export default fp(
  async (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      setSecurityHeaders(reply)
      // Only over TLS (RFC 6797, 7.2). The protocol comes from X-Forwarded-Proto only if the proxy
      // is a trusted one.
      if (request.protocol === 'https') {
        reply.header('strict-transport-security', 'max-age=31536000')
      }
      done()
    })
  },
  { name: 'security-headers' }
)
