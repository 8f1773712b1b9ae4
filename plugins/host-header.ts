/**
 * A request names one host (RFC 9112, 3.2): a proxy in front and this service must not disagree on
 * whom it is for.
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
          : new ServiceError(
            'invalid_input',
            'One Host header is needed, not none and not several.'
          )
      )
    })
  },
  { name: 'host-header', dependencies: ['errors'] }
)
