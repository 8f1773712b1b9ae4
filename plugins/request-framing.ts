/**
 * Refuses requests that a proxy in front and this service may read in two ways: about the host,
 * about where the body ends, or about what it is (RFC 9112, 3.2 and 6.1).
 */
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ServiceError } from '../services/errors.ts'
import { headerValues } from './http/header-values.ts'

export default fp(
  async (app) => {
    app.addHook('onRequest', (request, reply, done) => {
      const problem = framingProblem(request.raw)
      if (problem === undefined) return done()
      // What follows on this connection may be no request, but the rest of this one.
      reply.header('connection', 'close')
      done(new ServiceError('invalid_input', problem))
    })
  },
  { name: 'request-framing', dependencies: ['errors'] }
)

/** What can be read in two ways, or undefined. */
function framingProblem ({ rawHeaders, headers, httpVersion }: FastifyRequest['raw']) {
  const hosts = headerValues(rawHeaders, 'host').length
  if (hosts !== 1 && !(hosts === 0 && httpVersion === '1.0')) {
    return 'A request must have exactly one Host header.'
  }
  // Where the last coding is another one, the parser itself refuses the request.
  if (/\bchunked\s*$/i.test(headers['transfer-encoding'] ?? '')) {
    if (httpVersion === '1.0') return 'HTTP/1.0 has no Transfer-Encoding.'
    if (headerValues(rawHeaders, 'transfer-encoding').join().toLowerCase() !== 'chunked') {
      return 'The only Transfer-Encoding is chunked.'
    }
  }
  const isTyped = headers['content-type'] !== undefined
  if (isTyped && headerValues(rawHeaders, 'content-type').length > 1) {
    return 'A request must have at most one Content-Type header.'
  }
  return undefined
}
