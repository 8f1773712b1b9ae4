/**
 * Parses JSON bodies, and refuses every other type. An empty body counts as no body. A body that
 * sets a prototype or repeats a member name is refused.
 */
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { ServiceError } from '../services/errors.ts'
import { formProblem } from './http/duplicate-keys.ts'
import { LargeBodyError, parseLarge } from './http/large-json.ts'

/** A longer text is parsed in slices, in characters. */
const LARGE = 64 * 1024

/** Calls back at once. */
type Parse = (
  request: FastifyRequest,
  text: string,
  done: (error: Error | null, value?: unknown) => void
) => void

export default fp(
  async (app) => {
    // Whatever type an empty body is said to have: libcurl calls it a form.
    app.addHook('onRequest', (request, _reply, done) => {
      const { headers } = request.raw
      const isEmpty = (headers['content-length'] ?? '0') === '0'
      if (isEmpty && headers['transfer-encoding'] === undefined) delete headers['content-type']
      done()
    })
    const parse = app.getDefaultJsonParser('error', 'error') as Parse
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
      if (!isUtf8(request.headers['content-type'])) {
        return done(Object.assign(new Error('JSON is sent in UTF-8.'), { statusCode: 415 }))
      }
      if (body === '') return done(null, undefined)
      if (body.length <= LARGE) {
        let value: unknown
        try {
          value = parseNow(parse, request, body as string)
        } catch (error) {
          return done(error as Error)
        }
        return done(null, value)
      }
      parseLarge(body as string, (text) => parseNow(parse, request, text)).then(
        (value) => done(null, value),
        (error: Error) => done(error instanceof LargeBodyError ? refusal(error.message) : error)
      )
    })
  },
  { name: 'json-body', dependencies: ['errors'] }
)

function parseNow (parse: Parse, request: FastifyRequest, text: string): unknown {
  let parsed: unknown
  parse(request, text, (error, value) => {
    if (error !== null) throw error
    parsed = value
  })
  const problem = formProblem(text, parsed)
  if (problem !== undefined) throw refusal(problem)
  return parsed
}

function refusal (problem: string): ServiceError {
  return new ServiceError('invalid_input', `The body ${problem}.`)
}

/**
 * Whether a media type names no other character set than UTF-8, of which ASCII is a part (RFC 8259,
 * 8.1). A body in another one would be read as something else than it is.
 */
function isUtf8 (type = ''): boolean {
  if (!type.includes(';')) return true
  const named = [...type.matchAll(/;\s*charset\s*=\s*"?([^";\s]*)/gi)]
  return named.every(([, charset = '']) => /^(?:utf-?8|us-ascii)$/i.test(charset))
}
