/** Bodies are JSON and nothing else; an empty one is none; one that tries to reach a prototype is refused. */
import fp from 'fastify-plugin'

export default fp(async (app) => {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else void parse(request, body as string, done)
  })
}, { name: 'json-body' })
