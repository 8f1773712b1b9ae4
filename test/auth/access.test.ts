/** Who may do what: every route of the access table against every way a token can grant. */
import diagnostics from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import t from 'tap'
import type { FastifyInstance, RouteOptions } from 'fastify'
import { buildApp } from '../../app.ts'
import { loadConfig } from '../../config.ts'
import { ACCESS } from '../../services/auth/access-table.ts'
import { PERMISSIONS, type Permission } from '../../services/auth/permissions.ts'
import { withPermissions } from '../../scripts/write-permissions.ts'
import { ADMIN, type Claims, TEST_SECRET, as, listen, startApp, tokenFor } from '../helpers/app.ts'
import { alice, bearer, statusOf, guarded } from './requests.ts'

const roles: Record<string, readonly Permission[]> = {
  admin: PERMISSIONS,
  operator: ['limits:read', 'limits:write', 'sessions:read', 'sessions:write'],
  switch: ['sessions:read', 'sessions:write', 'limits:read'],
  viewer: ['limits:read', 'sessions:read'],
  nobody: []
}

t.test('every route of the access table', async (t) => {
  const app = await startApp(t)
  const base = await listen(app)
  const status = async (
    { method, path }: (typeof guarded)[number],
    claims: Claims
  ): Promise<number> => await statusOf(base, method, path, bearer(tokenFor(app, claims)))
  const isLetIn = (status: number) => status !== 401 && status !== 403 && status < 500

  t.test('public routes need no token and ignore a bad one', async (t) => {
    for (const route of Object.keys(ACCESS).filter((route) => ACCESS[route] === 'public')) {
      const [method = '', path = ''] = route.split(' ')
      t.ok(isLetIn(await statusOf(base, method, path)), route)
      t.ok(
        isLetIn(await statusOf(base, method, path, bearer('garbage'))),
        `${route} with a bad token`
      )
    }
    t.equal(await statusOf(base, 'GET', '/docs/'), 200, 'the documentation')
  })

  t.test('all other routes answer 401 without a token', async (t) => {
    for (const { route, method, path } of guarded) {
      t.equal(await statusOf(base, method, path), 401, route)
    }
  })

  t.test('a permission in any claim opens the routes that need it and no other', async (t) => {
    const claims: Array<(permissions: readonly Permission[]) => Claims> = [
      (permissions) => ({ sub: 'x', permissions }),
      (permissions) => ({ sub: 'x', scope: permissions.join(' ') })
    ]
    for (const one of guarded) {
      const {
        route,
        access: { permission }
      } = one
      const others = PERMISSIONS.filter((other) => other !== permission)
      for (const claim of claims) {
        t.ok(isLetIn(await status(one, claim([permission]))), `${route} with ${permission} alone`)
        t.equal(await status(one, claim(others)), 403, `${route} with all but ${permission}`)
      }
      if (one.method === 'GET') {
        t.equal(
          await statusOf(base, 'HEAD', one.path, bearer(tokenFor(app, { permissions: others }))),
          403,
          `HEAD ${one.path}`
        )
      }
    }
  })

  t.test('each role opens the routes of its permissions', async (t) => {
    for (const [role, permissions] of Object.entries(roles)) {
      for (const one of guarded) {
        const expected = permissions.includes(one.access.permission)
        for (const claims of [
          { sub: 'x', role },
          { sub: 'x', roles: [role] },
          { sub: 'x', roles: ['unknown', role] }
        ]) {
          const actual = await status(one, claims)
          t.ok(
            expected ? isLetIn(actual) : actual === 403,
            `${JSON.stringify(claims)} ${one.route}: ${actual}`
          )
        }
      }
    }
  })

  t.test('a caller without permissions reads its own data and nothing else', async (t) => {
    for (const one of guarded) {
      const { ownData } = one.access
      const query = ownData === 'query' ? '?username=alice' : ''
      for (const claims of [
        { sub: 'alice' },
        { username: 'alice' },
        { sub: 'bob', username: 'alice', role: 'user' }
      ]) {
        const actual = await status({ ...one, path: one.path + query }, claims)
        t.ok(
          ownData !== undefined ? isLetIn(actual) : actual === 403,
          `${JSON.stringify(claims)} ${one.route}: ${actual}`
        )
      }
      for (const claims of [
        { sub: 'Alice' },
        { sub: 'bob' },
        { sub: 'alice', username: 'bob' },
        {},
        { sub: '' },
        { sub: ['alice'] },
        { sub: 5 }
      ]) {
        t.equal(
          await status({ ...one, path: one.path + query }, claims),
          403,
          `${JSON.stringify(claims)} ${one.route}`
        )
      }
      for (const query of [
        '',
        '?username=bob',
        '?username=alice&username=bob',
        '?username[]=alice',
        '?user=alice'
      ]) {
        if (ownData !== 'params') {
          t.equal(
            await status({ ...one, path: one.path + query }, { sub: 'alice' }),
            403,
            one.route + query
          )
        }
      }
    }
    t.equal(
      await statusOf(
        base,
        'GET',
        '/api/sessions/limits/%61lice',
        bearer(tokenFor(app, { sub: 'alice' }))
      ),
      200,
      'however it is written'
    )
    t.equal(
      await statusOf(
        base,
        'GET',
        '/api/sessions/counts/alice',
        bearer(tokenFor(app, { sub: 'alice' }))
      ),
      200,
      'its count'
    )
    t.equal(
      await statusOf(
        base,
        'GET',
        '/api/sessions/limits/__proto__',
        bearer(tokenFor(app, { sub: '__proto__' }))
      ),
      400
    )
    t.equal(
      await statusOf(
        base,
        'GET',
        '/api/sessions/limits?prefix=alice',
        bearer(tokenFor(app, { sub: 'alice' }))
      ),
      403,
      'no lists'
    )
  })

  t.test('claims that are not understood grant nothing', async (t) => {
    for (const claims of [
      { role: 'Admin' },
      { role: 'admin ' },
      { role: ['nobody'] },
      { role: { admin: true } },
      { role: true },
      { roles: 'admins' },
      { roles: { 0: 'admin' } },
      { permissions: 'limits' },
      { permissions: ['*'] },
      { permissions: ['limits:*'] },
      { permissions: { 'limits:read': true } },
      { permissions: [['limits:read']] },
      { scope: ['limits:read'] },
      { scope: 'limits:readx' },
      { scope: 'limits:read,sessions:read' },
      { role: '__proto__' },
      { role: 'constructor' },
      { admin: true },
      { isAdmin: true }
    ]) {
      t.equal(
        await statusOf(base, 'GET', '/api/sessions/limits', bearer(tokenFor(app, claims))),
        403,
        JSON.stringify(claims)
      )
    }
  })

  t.test('the permissions of several claims add up', async (t) => {
    const token = tokenFor(app, {
      role: 'viewer',
      permissions: ['policy:write', 'nonsense'],
      scope: 'limits:write unknown'
    })
    t.equal(await statusOf(base, 'GET', '/api/sessions/limits', bearer(token)), 200)
    t.equal(await statusOf(base, 'PUT', '/api/sessions/limits', bearer(token)), 400)
    t.equal(await statusOf(base, 'PUT', alice, bearer(token)), 400)
    t.equal(await statusOf(base, 'POST', '/api/sessions/sweep', bearer(token)), 403)
  })

  t.test('a 403 names the missing permission', async (t) => {
    t.match(await as(app, { sub: 'x', role: 'viewer' })('PUT', alice, { limit: 5 }), {
      status: 403,
      headers: { 'content-type': /^application\/problem\+json/ },
      body: {
        status: 403,
        code: 'forbidden',
        detail: /limits:write/
      }
    })
  })

  t.test('an unsupported method does not get round the access table', async (t) => {
    t.equal(await statusOf(base, 'PATCH', alice), 405)
    t.equal(await statusOf(base, 'GET', '/api/sessions/limits/alice/', {}), 404)
    t.equal(await statusOf(base, 'GET', '/api/sessions/limits?x=/healthz/live', {}), 401)
    t.equal(await statusOf(base, 'GET', '/docs/..%2fapi/sessions/limits', {}), 404)
  })
})

t.test('the access table has every route of the router and no other', async (t) => {
  const routes: RouteOptions[] = []
  // Fastify tells of every instance that it makes, so that no route can be registered before this
  // listens.
  const listen = (message: unknown): void => {
    ;(message as { fastify: FastifyInstance }).fastify.addHook('onRoute', (route) => {
      routes.push(route)
    })
  }
  diagnostics.subscribe('fastify.initialization', listen)
  const salt = 'A'.repeat(22)
  const app = await startApp(t, {
    ADMIN_USERNAME: 'root',
    ADMIN_PASSWORD_HASH: `$scrypt$ln=14,r=8,p=1$${salt}$${salt}`
  })
  diagnostics.unsubscribe('fastify.initialization', listen)
  const seen = new Set<string>()
  for (const route of routes) {
    for (const method of [route.method].flat()) {
      const name = `${method === 'HEAD' ? 'GET' : method} ${route.url}`
      const { access } = route.config as { access?: unknown }
      if (name in ACCESS) {
        seen.add(name)
        t.strictSame(access, ACCESS[name], `${method} ${route.url} needs what the table says`)
      } else {
        const { statusCode } = await app.inject({
          method: method as 'GET',
          url: route.url.replace(/:\w+/g, 'alice'),
          ...(method === 'QUERY' && { payload: {} })
        })
        t.equal(statusCode, 405, `${name} is not in the table, and does nothing`)
      }
    }
  }
  t.strictSame([...seen].sort(), Object.keys(ACCESS).sort(), 'every entry has a route')
})

t.test('docs/security.md has the access table', async (t) => {
  const text = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8')
  t.equal(text, withPermissions(text), 'run `npm run permissions` and commit what it writes')
  for (const route of Object.keys(ACCESS)) t.ok(text.includes(`| \`${route}\` |`), route)
})

t.test('no caller reads the data of another, whatever the spelling of the path', async (t) => {
  const app = await startApp(t)
  const admin = as(app, ADMIN)
  await admin('PUT', '/api/sessions/limits/bob', { limit: 77 })
  await admin('POST', '/api/sessions', { username: 'bob', session_id: 'call-of-bob' })
  const base = await listen(app)
  const headers = bearer(tokenFor(app, { sub: 'alice' }))
  const paths = [
    'limits/bob?username=alice',
    'counts/bob?username=alice',
    'users/bob?username=alice',
    'limits/BOB',
    'limits/%62ob',
    'limits/%62%6f%62',
    'limits/alice%2F..%2Fbob',
    'limits/alice/../bob',
    'limits/..%2Flimits%2Fbob',
    'limits/%2562ob',
    'limits/bob%00',
    'limits/alice%00bob',
    'limits/alice;bob',
    'limits/alice,bob',
    'limits/alice%0d%0abob',
    'users/bob',
    'users/%62ob',
    'users',
    'counts',
    'limits',
    'active',
    'call-of-bob',
    'nodes',
    'active?username=bob',
    'active?username=alice&username=bob',
    'active?username=bob&username=alice',
    'active?username[]=alice&username[]=bob',
    'active?username[0]=bob',
    'active?username=alice&USERNAME=bob',
    'active?username=alice&username%5B%5D=bob',
    'active?%75sername=bob',
    'active?username=alice,bob',
    'active?username=alice%00',
    'active?username=alice%26username=bob',
    'active?username=',
    'active?username',
    'active?Username=alice',
    'active?username=alice%20',
    'active?username=*',
    'active?username=alice&username=alice',
    'active?username=alice;username=bob'
  ]
  for (const path of paths) {
    const response = await fetch(`${base}/api/sessions/${path}`, { headers })
    t.ok([400, 403, 404].includes(response.status), `${path}: ${response.status}`)
    t.notMatch(await response.text(), /77|call-of-bob/, path)
  }
  t.equal(
    (await fetch(`${base}/api/sessions/active?%75sername=alice`, { headers })).status,
    200,
    'its own it does read'
  )
})

t.test('a route that is not in the table fails the start', async (t) => {
  const build = async (): Promise<FastifyInstance> => {
    const app = await buildApp(loadConfig({ LOG_LEVEL: 'silent' }), TEST_SECRET)
    t.teardown(async () => await app.close())
    return app
  }
  const [one, other] = [await build(), await build()]
  t.throws(
    () => one.get('/api/sessions/unguarded', async () => 'open'),
    /GET \/api\/sessions\/unguarded is not in the access table/
  )
  await t.rejects(
    async () =>
      await other.register(async (scope) => {
        scope.post('/unguarded', async () => 'open')
      }),
    /not in the access table/
  )
})
