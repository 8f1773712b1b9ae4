/** The dearest requests of each route. */
import type { Request } from './meter.ts'

/** A name of so many characters. */
export const name = (i: number, length: number) => `n${i}`.padEnd(length, 'x')
const longest = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) =>
    ({ session_id: name(from + i, 512), username: name(from + i, 256), attempt: 2 ** 31 - 1 }))
/** Its lists were taken in a minute, so that no call in it is young. */
const report = (sessions: object[], more = {}) =>
  JSON.stringify({ epoch: 1, as_of: '2100-01-01T00:00:00Z', ...more, sessions })
const node = '/api/sessions/nodes/pbx-1'
const invalid = () => longest(20_000).map((one) => ({ ...one, attempt: -1 }))
const MiB = 2 ** 20

const [sessions, user] = ['/api/sessions', '/api/sessions/users/alice']

/** One request to each of the routes that have no dearer one. */
const SMALL: Array<[Request['who'], string, string, number, object?]> = [
  ['nobody', 'GET', '/', 302],
  ['nobody', 'GET', '/healthz/live', 200],
  ['nobody', 'GET', '/healthz/ready', 200],
  ['nobody', 'GET', '/openapi.json', 200],
  ['nobody', 'GET', '/docs/', 200],
  ['admin', 'POST', '/api/auth/api-keys', 201, { name: 'key', role: 'viewer' }],
  ['admin', 'GET', '/api/auth/api-keys', 200],
  ['admin', 'DELETE', '/api/auth/api-keys/0123456789abcdef', 200],
  ['admin', 'PUT', `${sessions}/limits`, 200, { session_limit_action: 'reject' }],
  ['viewer', 'GET', `${sessions}/limits/dry`, 200],
  ['operator', 'PUT', `${sessions}/limits/alice`, 200, { limit: 5 }],
  ['operator', 'DELETE', `${sessions}/limits/alice`, 200],
  ['operator', 'POST', `${user}/temporary-limit`, 200, { limit: 5, duration: 60 }],
  ['operator', 'DELETE', `${user}/temporary-limit`, 200],
  ['operator', 'PUT', `${user}/bar`, 200, {}],
  ['operator', 'DELETE', `${user}/bar`, 200],
  ['viewer', 'GET', `${sessions}/counts/big`, 200],
  ['viewer', 'GET', `${sessions}/big-1`, 404],
  ['switch', 'POST', `${sessions}/one/renew`, 200, { username: 'alice' }],
  ['switch', 'POST', `${sessions}/one/release`, 200, {}],
  ['switch', 'DELETE', `${sessions}/one`, 200]
]

/** In the order in which they are sent. */
export const REQUESTS: Request[] = [
  {
    what: 'a login',
    who: 'nobody',
    method: 'POST',
    path: '/api/auth/login',
    status: 401,
    body: () => JSON.stringify({ username: 'x'.repeat(128), password: 'x'.repeat(1024) })
  },
  {
    what: 'a login of 2,000 members',
    who: 'nobody',
    method: 'POST',
    path: '/api/auth/login',
    status: 413,
    body: () => `{${Array.from({ length: 2000 }, (_, i) => `"m${i}":1`).join()}}`
  },
  {
    what: 'an admission of 10,000 members',
    who: 'switch',
    method: 'POST',
    path: '/api/sessions',
    status: 413,
    body: () => `{${Array.from({ length: 10_000 }, (_, i) => `"m${i}":1`).join()}}`
  },
  {
    what: 'an admission of 6,000 members',
    who: 'switch',
    method: 'POST',
    path: '/api/sessions',
    status: 400,
    body: () => `{${Array.from({ length: 6_000 }, (_, i) => `"m${i}":1`).join()}}`
  },
  {
    what: 'a report of 20,000 new calls of the longest names',
    who: 'switch',
    method: 'PUT',
    path: node,
    status: 200,
    body: () => report(longest(20_000))
  },
  {
    what: 'the same again',
    who: 'switch',
    method: 'PUT',
    path: node,
    status: 200,
    body: () => report(longest(20_000))
  },
  {
    what: 'a report of 20,000 items that are not valid',
    who: 'switch',
    method: 'PUT',
    path: node,
    status: 200,
    body: () => report(invalid())
  },
  {
    what: 'the same of an operator, whose reports are audited',
    who: 'operator',
    method: 'PUT',
    path: node,
    status: 200,
    body: () => report(invalid())
  },
  {
    what: 'a report of 20,000 other calls: 20,000 young ones are not listed',
    who: 'switch',
    method: 'PUT',
    path: node,
    status: 200,
    body: () => report(longest(20_000, 20_000))
  },
  {
    what: 'a report of one part: 40,000 young ones are not listed',
    who: 'switch',
    method: 'PUT',
    path: node,
    status: 200,
    body: () => report(longest(1), { part: 1, parts: 1 })
  },
  {
    what: 'a report of no call where 20,000 of the longest names are missing',
    who: 'switch',
    method: 'PUT',
    path: '/api/sessions/nodes/n3',
    status: 200,
    body: () => report([])
  },
  {
    what: 'ten reports of 20,000 calls at once',
    who: 'switch',
    method: 'PUT',
    path: node,
    atOnce: 10,
    status: 200,
    body: () => report(longest(20_000))
  },
  {
    what: 'ten reports of 20,000 items that are not valid at once',
    who: 'switch',
    method: 'PUT',
    path: node,
    atOnce: 10,
    status: 200,
    body: () => report(invalid())
  },
  {
    what: 'a report of 8 million zeros',
    who: 'switch',
    method: 'PUT',
    path: node,
    status: 400,
    body: () => `{"epoch":1,"sessions":[${'0,'.repeat(8 * MiB - 100)}0]}`
  },
  {
    what: 'a report of 5 million empty objects',
    who: 'switch',
    method: 'PUT',
    path: node,
    status: 400,
    body: () => `{"epoch":1,"sessions":[${'{},'.repeat(5.3 * MiB)}{}]}`
  },
  {
    what: 'a report with `as_of` of 15 MiB',
    who: 'switch',
    method: 'PUT',
    path: node,
    status: 400,
    body: () => `{"epoch":1,"sessions":[],"as_of":"${'1'.repeat(15 * MiB)}"}`
  },
  {
    what: 'a report with `as_of` of 15 MiB of escaped quotation marks',
    who: 'switch',
    method: 'PUT',
    path: node,
    status: 400,
    body: () => `{"epoch":1,"sessions":[],"as_of":"${'\\"'.repeat(7.5 * MiB)}"}`
  },
  {
    what: 'a report of 20,000 calls with details in Chinese',
    who: 'switch',
    method: 'PUT',
    path: '/api/sessions/nodes/pbx-2',
    status: 200,
    body: () => report(Array.from({ length: 20_000 }, (_, i) =>
      ({ session_id: `c${i}`, username: `c${i}`, from: '限'.repeat(120), to: '限'.repeat(120) })))
  },
  {
    what: 'renewal of 5,000 calls of the longest names',
    who: 'switch',
    method: 'POST',
    path: '/api/sessions/renew',
    status: 200,
    body: () => JSON.stringify({ sessions: longest(5_000), node: 'pbx-1' })
  },
  {
    what: 'release of 5,000 calls of the longest names',
    who: 'switch',
    method: 'POST',
    path: '/api/sessions/release',
    status: 200,
    body: () => JSON.stringify({ sessions: longest(5_000) })
  },
  {
    what: 'the same of an operator, whose releases are audited',
    who: 'operator',
    method: 'POST',
    path: '/api/sessions/release',
    status: 200,
    body: () => JSON.stringify({ sessions: longest(5_000) })
  },
  {
    what: 'a node with 100,000 calls is forgotten',
    who: 'switch',
    method: 'DELETE',
    path: '/api/sessions/nodes/n1',
    status: 200
  },
  {
    what: '10,000 limits',
    who: 'operator',
    method: 'POST',
    path: '/api/sessions/limits/bulk',
    status: 200,
    body: () => JSON.stringify({
      limits: Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [name(i, 256), i]))
    })
  },
  {
    what: '300,000 limits',
    who: 'operator',
    method: 'POST',
    path: '/api/sessions/limits/bulk',
    status: 400,
    body: () => `{"limits":{${Array.from({ length: 300_000 }, (_, i) => `"${i}":1`).join()}}}`
  },
  {
    what: 'a dry run where 99,998 calls would have to end',
    who: 'switch',
    method: 'POST',
    path: '/api/sessions',
    status: 200,
    body: () => JSON.stringify({ username: 'dry', session_id: 'new-0', dry_run: true })
  },
  {
    what: 'an admission for which 99,998 calls have to end',
    who: 'switch',
    method: 'POST',
    path: '/api/sessions',
    status: 201,
    body: () => JSON.stringify({ username: 'huge', session_id: 'new-1' })
  },
  {
    what: 'a user with 100,000 calls',
    who: 'viewer',
    method: 'GET',
    path: '/api/sessions/users/dry',
    status: 200
  },
  {
    what: 'the end of 100,000 calls of a user',
    who: 'operator',
    method: 'DELETE',
    path: '/api/sessions/users/dry/sessions',
    status: 200
  },
  ...['/users?limit=1', '/users?page=10&limit=1000', '/counts', '/counts?count=1000', '/limits',
    '/limits?prefix=zz&count=1', '/active?count=1000', '/nodes'].map((path): Request => ({
    what: `\`GET /api/sessions${path}\``,
    who: 'viewer',
    method: 'GET',
    path: `/api/sessions${path}`,
    status: 200
  })),
  { what: 'a sweep', who: 'operator', method: 'POST', path: '/api/sessions/sweep', status: 200 },
  ...SMALL.map(([who, method, path, status, body]): Request => ({
    what: `\`${method} ${path}\``,
    who,
    method,
    path,
    status,
    ...(body !== undefined && { body: () => JSON.stringify(body) })
  }))
]
