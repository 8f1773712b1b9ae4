/**
 * Refuses a request without exactly one Host header (RFC 9112, 3.2): a proxy in front and this
 * service must not disagree about the host.
 */
import fp from 'fastify-plugin'
import { ServiceError } from '../services/errors.ts'
import { headerValues } from './http/header-values.ts'

export default fp(
  async (app) => {
    app.addHook('onRequest', (request, _reply, done) => {
      const { rawHeaders, httpVersion } = request.raw
      const hosts = headerValues(rawHeaders, 'host').length
      const isOne = hosts === 1 || (hosts === 0 && httpVersion === '1.0')
      done(
        isOne
          ? undefined
          : new ServiceError('invalid_input', 'A request must have exactly one Host header.')
      )
    })
  },
  { name: 'host-header', dependencies: ['errors'] }
)
