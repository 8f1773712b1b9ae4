/**
 * Callers who are known, and may not: each permission missing in turn, claims that look like more,
 * headers that claim more.
 */
import { ACCESS } from '../../services/auth/access-table.ts'
import { PERMISSIONS } from '../../services/auth/permissions.ts'
import { type Case, type Request, get, put } from './case.ts'
import { validToken } from './forge.ts'

const LISTS = '/api/sessions/limits'
const ALICE = '/api/sessions/limits/alice'
const nobody = validToken({ sub: 'mallory' })

const bodies: Record<string, string | undefined> = {
  'PUT /api/sessions/limits': '{"enabled":false}',
  'PUT /api/sessions/limits/:username': '{"limit":5}',
  'POST /api/sessions/limits/bulk': '{"limits":{"alice":5}}',
  'POST /api/sessions/users/:username/temporary-limit': '{"limit":5,"duration":60}',
  'PUT /api/sessions/users/:username/bar': '{}',
  'POST /api/sessions': '{"username":"alice","session_id":"call-1"}',
  'POST /api/sessions/renew': '{"sessions":[]}',
  'POST /api/sessions/:session_id/renew': '{"username":"alice"}',
  'PUT /api/sessions/nodes/:node': '{"epoch":1,"sessions":[]}'
}

/** Every route that needs a permission, asked as it should be. */
const guarded = Object.entries(ACCESS).flatMap(([route, access]) => {
  if (access === 'public') return []
  const [method = '', pattern = ''] = route.split(' ')
  const body = bodies[route]
  const request: Request = {
    method,
    path: pattern.replace(/:\w+/g, 'alice'),
    ...(body !== undefined && { body })
  }
  return [{ route, access, request }]
})

/** Claims that grant nothing. */
const worthless: Array<Record<string, unknown>> = [
  { role: 'Admin' },
  { role: 'ADMIN' },
  { role: 'admin ' },
  { role: ' admin' },
  { role: 'admin\0' },
  { role: 'adm\u0131n' },
  { role: 'administrator' },
  { role: 'root' },
  { role: '*' },
  { role: ['nobody'] },
  { role: [['admin']] },
  { role: { admin: true } },
  { role: true },
  { role: 1 },
  { role: '__proto__' },
  { role: 'constructor' },
  { role: 'toString' },
  { roles: 'admins' },
  { roles: { 0: 'admin', length: 1 } },
  { roles: 'viewer,admin' },
  { Role: 'admin' },
  { permissions: 'limits' },
  { permissions: ['*'] },
  { permissions: ['limits:*'] },
  { permissions: ['LIMITS:READ'] },
  { permissions: { 'limits:read': true } },
  { permissions: [['limits:read']] },
  { scope: ['limits:read'] },
  { scope: 'limits:readx' },
  { scope: 'limits:read,limits:write' },
  { scope: 'limits:read\tx' },
  { admin: true },
  { isAdmin: true },
  { is_superuser: 1 },
  { groups: ['admin'] },
  { user: { role: 'admin' } },
  { __proto__: null, constructor: { role: 'admin' } }
]

/** Headers by which some servers are told who calls, what for, or from where. */
const headers = [
  'X-User: admin',
  'X-Username: admin',
  'X-Remote-User: admin',
  'Remote-User: admin',
  'X-Forwarded-User: admin',
  'X-Role: admin',
  'X-Roles: admin',
  'X-Permissions: limits:read',
  'X-Scope: limits:read',
  'X-Admin: true',
  'X-Forwarded-For: 127.0.0.1',
  'Forwarded: for=127.0.0.1;proto=https',
  'X-Real-IP: 127.0.0.1',
  'X-Original-URL: /healthz/live',
  'X-Rewrite-URL: /healthz/live',
  'X-Forwarded-Prefix: /healthz',
  'X-Forwarded-Host: localhost',
  'Referer: http://localhost/admin',
  'Origin: http://localhost',
  'Cookie: role=admin',
  'X-Middleware-Subrequest: middleware'
]

/** Own data: what is asked, by whom, and what comes of it. */
const ownData: Array<[path: string, claims: Record<string, unknown>, status: number]> = [
  [ALICE, { sub: 'alice' }, 200],
  [ALICE, { username: 'alice' }, 200],
  ['/api/sessions/limits/%61lice', { sub: 'alice' }, 200],
  [ALICE, { sub: 'Alice' }, 403],
  [ALICE, { sub: 'bob', username: 'alice' }, 200],
  [ALICE, { sub: 'alic\u0435' }, 403],
  [ALICE, { sub: 'alice ' }, 403],
  [ALICE, { sub: ['alice'] }, 403],
  [ALICE, { sub: '' }, 403],
  [ALICE, {}, 403],
  [ALICE, { sub: '*' }, 403],
  [`${LISTS}?prefix=alice`, { sub: 'alice' }, 403],
  ['/api/sessions/active', { sub: 'alice' }, 403],
  ['/api/sessions/active?username=bob', { sub: 'alice' }, 403],
  ['/api/sessions/active?username=alice&username=bob', { sub: 'alice' }, 403],
  ['/api/sessions/active?username[]=alice', { sub: 'alice' }, 403],
  ['/api/sessions/active?user=alice', { sub: 'alice' }, 403],
  ['/api/sessions/active?USERNAME=alice', { sub: 'alice' }, 403],
  ['/api/sessions/active?username=alice', { sub: 'alice' }, 200],
  ['/api/sessions/call-1', { sub: 'alice' }, 403],
  ['/api/sessions/limits/__proto__', { sub: '__proto__' }, 400],
  ['/api/sessions/limits/undefined', {}, 403]
]

export const authorisation: Case[] = [
  ...guarded.flatMap(({ route, access: { permission }, request }): Case[] => {
    const others = PERMISSIONS.filter((other) => other !== permission)
    return [
      { what: `${route} without a token`, ...request, token: null, status: 401 },
      {
        what: `${route} with all but ${permission}`,
        ...request,
        token: validToken({ sub: 'mallory', permissions: others, scope: others.join(' ') }),
        status: 403
      },
      { what: `${route} with nothing`, ...request, token: nobody, status: 403 }
    ]
  }),
  ...guarded
    .filter(({ request }) => request.method === 'GET')
    .map(({ route, request }): Case => ({
      what: `${route} by HEAD`,
      ...request,
      method: 'HEAD',
      token: nobody,
      status: 403
    })),
  ...worthless.map((claims): Case => ({
    what: JSON.stringify(claims),
    ...get(LISTS, { token: validToken({ sub: 'mallory', ...claims }) }),
    status: 403
  })),
  ...headers.map((header): Case => ({
    what: header,
    ...put(ALICE, '{"limit":5}', { token: nobody, headers: [header] }),
    status: 403
  })),
  ...ownData.map(([path, claims, status]): Case => ({
    what: `${path} by ${JSON.stringify(claims)}`,
    ...get(path, { token: validToken(claims) }),
    status,
    ...(status === 200 && { leaves: [] })
  })),
  {
    what: 'a limit of its own',
    ...put(ALICE, '{"limit":5}', { token: validToken({ sub: 'alice' }) }),
    status: 403
  },
  {
    what: 'a slot of its own',
    method: 'POST',
    path: '/api/sessions',
    body: '{"username":"alice","session_id":"a"}',
    token: validToken({ sub: 'alice' }),
    status: 403
  },
  {
    what: 'another path behind a public one',
    ...get('/healthz/../api/sessions/limits', { token: null }),
    status: 404
  },
  {
    what: 'another path behind the pages',
    ...get('/docs/..%2fapi/sessions/limits', { token: null }),
    status: 404
  },
  {
    what: 'a file behind the pages',
    ...get('/docs/static/..%2f..%2f..%2fpackage.json', { token: null }),
    status: 404
  },
  {
    what: 'a public path in the query',
    ...get(`${LISTS}?x=/healthz/live`, { token: null }),
    status: 401
  },
  {
    what: 'a public path in the fragment',
    ...get(`${LISTS}#/healthz/live`, { token: null }),
    status: 401
  },
  { what: 'a matrix parameter', ...get(`${LISTS};x=1`, { token: null }), status: 401 },
  { what: 'another case of the path', ...get('/API/sessions/limits', { token: null }), status: 404 }
]
