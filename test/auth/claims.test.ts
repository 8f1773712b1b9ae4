/** What a token says of its bearer, in the places where real issuers say it. */
import { execFileSync, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { loadConfig } from '../../config.ts'
import { callerOf } from '../../services/auth/permissions.ts'
import { TEST_SECRET, as, startApp } from '../helpers/app.ts'

const root = new URL('../../', import.meta.url)
/** What `npm run token` runs. */
const command = [fileURLToPath(new URL('dist/scripts/token.js', root))]

t.test('the name is that of username, then preferred_username, then sub', async (t) => {
  for (const [claims, username] of [
    [{ sub: '1001', username: 'alice' }, 'alice'],
    [{ sub: '1001', username: 'alice', preferred_username: 'bob' }, 'alice'],
    [{ sub: 'f3a1', preferred_username: 'bob' }, 'bob'],
    [{ sub: 'carol' }, 'carol'],
    [{ sub: 'carol', username: 5, preferred_username: '' }, 'carol'],
    [{ username: ['alice'] }, undefined],
    [{}, undefined]
  ] as const) {
    t.equal(callerOf(claims).username, username, JSON.stringify(claims))
  }
  const app = await startApp(t)
  const alice = as(app, { sub: '1001', username: 'alice' })
  t.equal((await alice('GET', '/api/sessions/limits/alice')).status, 200)
  t.equal((await alice('GET', '/api/sessions/limits/1001')).status, 403)
})

t.test('scp grants permissions, as text or as a list', async (t) => {
  for (const scp of ['openid limits:read', ['openid', 'limits:read']]) {
    t.strictSame([...callerOf({ scp }).permissions], ['limits:read'], JSON.stringify(scp))
  }
  t.strictSame([...callerOf({ scp: { 0: 'limits:read' } }).permissions], [])
})

t.test('roles stand where JWT_ROLE_CLAIMS says', async (t) => {
  const { JWT_ROLE_CLAIMS } = loadConfig({
    JWT_ROLE_CLAIMS: 'realm_access.roles, https://voice.example/roles,resource_access.ferry.roles'
  })
  const roleClaims = String(JWT_ROLE_CLAIMS).split(',').map((text) => text.trim())
  for (const [claims, roles] of [
    [{ realm_access: { roles: ['offline_access', 'viewer'] } }, ['offline_access', 'viewer']],
    [{ 'https://voice.example/roles': ['switch'] }, ['switch']],
    [{ 'https://voice.example/roles': 'switch' }, ['switch']],
    [{ resource_access: { ferry: { roles: ['operator'] } } }, ['operator']],
    [{ role: 'viewer', realm_access: { roles: ['switch'] } }, ['viewer', 'switch']],
    [{ realm_access: null }, []],
    [{ realm_access: { roles: { 0: 'admin' } } }, []],
    [{ __proto__: { realm_access: { roles: ['admin'] } } }, []]
  ] as const) {
    t.strictSame(callerOf(claims, { roleClaims }).roles, roles, JSON.stringify(claims))
  }
  const claims = { sub: 'kc', realm_access: { roles: ['viewer'] } }
  const told = await startApp(t, { JWT_ROLE_CLAIMS: 'realm_access.roles' })
  t.equal((await as(told, claims)('GET', '/api/sessions/limits')).status, 200)
  const untold = await startApp(t)
  t.equal((await as(untold, claims)('GET', '/api/sessions/limits')).status, 403)
})

t.test('npm run token prints a token that is accepted', async (t) => {
  const issuer = { JWT_ISSUER: 'console', JWT_AUDIENCE: 'vf' }
  const env = { ...process.env, ...issuer, JWT_SECRET: TEST_SECRET }
  const token = execFileSync(
    process.execPath,
    [...command, '--role', 'switch', '--node', 'k1', '--days', '365'],
    { cwd: root, env, encoding: 'utf8' }
  ).trim()
  const app = await startApp(t, { ...issuer, BIND_NODES: 'true' })
  const claims = app.jwt.decode<Record<string, any>>(token)
  t.match(claims, { sub: 'k1', role: 'switch', node: 'k1', iss: 'console', aud: 'vf', jti: /.{8}/ })
  t.equal(claims?.exp - claims?.iat, 365 * 24 * 3600)
  const send = as(app, null)
  const headers = { authorization: `Bearer ${token}` }
  const call = (node: string) => ({ username: 'alice', session_id: `on-${node}`, node })
  t.equal((await send('POST', '/api/sessions', call('k1'), headers)).status, 201)
  t.equal((await send('POST', '/api/sessions', call('k2'), headers)).status, 403)
  t.equal((await send('PUT', '/api/sessions/limits/alice', { limit: 1 }, headers)).status, 403)
})

t.test('npm run token says what is wrong, and prints no token', async (t) => {
  for (const [args, problem] of [
    [[], /--role/],
    [['--role', 'king'], /--role must be one of admin, operator, switch, viewer/],
    [['--role', 'switch', '--days', '0'], /--days must be a whole number from 1 to 3650/],
    [['--role', 'switch', '--days', '1e3'], /--days/],
    [['--role', 'switch', '--node', 'a b'], /--node/],
    [['--role', 'switch', '--colour', 'red'], /--colour/]
  ] as Array<[string[], RegExp]>) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [...command, ...args], {
      cwd: root,
      env: { ...process.env, JWT_SECRET: TEST_SECRET },
      encoding: 'utf8'
    })
    t.equal(status, 1, args.join(' '))
    t.equal(stdout, '')
    t.match(stderr, problem)
  }
  const { status, stderr } = spawnSync(process.execPath, [...command, '--role', 'viewer'], {
    cwd: root,
    env: { ...process.env, JWT_SECRET: '' },
    encoding: 'utf8'
  })
  t.equal(status, 1)
  t.match(stderr, /JWT_SECRET/)
})
