/**
 * What every answer says: which request it belongs to, and that a browser is to do nothing with it
 * but read it.
 */
import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'

/**
 * For an API (OWASP REST Security Cheat Sheet): nothing is guessed, framed, kept or told to the
 * next page.
 */
const HEADERS = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store'
}

/** Sets what every answer says. */
export function setSecurityHeaders (reply: FastifyReply): FastifyReply {
  return reply.headers(HEADERS).header('x-request-id', reply.request.id)
}

export default fp(
  async (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      setSecurityHeaders(reply)
      // Not for what came in the clear (RFC 6797, 7.2): behind a proxy that ends TLS it has to be a
      // trusted one to be believed.
      if (request.protocol === 'https') {
        reply.header('strict-transport-security', 'max-age=31536000')
      }
      done()
    })
  },
  { name: 'security-headers' }
)
