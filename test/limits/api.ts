/** The problem documents that the tests of the limits API expect. */
import type { Test } from 'tap'
import { type Answer } from '../helpers/app.ts'

export const [json, problemJson] = ['application/json; charset=utf-8', 'application/problem+json']

export const invalid = { status: 400, code: 'invalid_input' }

export const writes = [
  ['PUT', '/limits/bob'],
  ['PUT', '/limits'],
  ['POST', '/limits/bulk'],
  ['POST', '/users/bob/temporary-limit']
] as const

export const [alice, viewer, operator] = [
  { sub: 'alice' },
  { sub: 'v', role: 'viewer' },
  { sub: 'o', role: 'operator' }
]

export interface Expected {
  status: number
  code: string
  errors?: boolean
}

/**
 * Checks that an answer is a problem document, whole and well-formed, and one that gives nothing
 * away.
 */
export function isProblem (
  t: Test,
  { status, headers, body, text }: Answer,
  expected: Expected,
  what: string
) {
  const { type, title, detail, errors, ...rest } = (body ?? {}) as Record<string, unknown>
  const places = (errors ?? []) as Array<Record<string, unknown>>
  t.strictSame(
    {
      status,
      type: String(headers['content-type']).split(';')[0],
      ...rest,
      texts: [type, title, detail].map((part) => typeof part === 'string' && part !== ''),
      errors: expected.errors === undefined ? undefined : places.length > 0,
      wrongPlaces: places.filter(
        ({ path, message, ...more }) =>
          !/^(body|params|querystring|headers)/.test(String(path)) ||
          typeof message !== 'string' ||
          Object.keys(more).length > 0
      ),
      stackTrace: /\bat .*\.[tj]s:\d+|node_modules/.test(text)
    },
    {
      status: expected.status,
      type: problemJson,
      code: expected.code,
      texts: [true, true, true],
      errors: expected.errors,
      wrongPlaces: [],
      stackTrace: false
    },
    `${what}: ${expected.status}`
  )
}
