/**
 * Parses JSON bodies, and refuses every other type. An empty body counts as no body. A body that
 * sets a prototype or repeats a member name is refused.
 */
import fp from 'fastify-plugin'
import { ServiceError } from '../services/errors.ts'
import { formProblem } from './http/duplicate-keys.ts'

export default fp(
  async (app) => {
    const parse = app.getDefaultJsonParser('error', 'error')
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
      if (body === '') return done(null, undefined)
      void parse(request, body as string, (error, value) => {
        const problem = error === null ? formProblem(body as string, value) : undefined
        if (problem === undefined) done(error, value)
        else done(new ServiceError('invalid_input', `The body ${problem}.`))
      })
    })
  },
  { name: 'json-body', dependencies: ['errors'] }
)
