/** API keys: made, shown once, accepted in three places, revoked; with a file and with Redis. */
import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import {
  ADMIN,
  as,
  listen,
  startApp,
  startOwnApp,
  startOwnAppOnCluster,
  type Send
} from '../helpers/app.ts'
import { temporaryFolder } from '../helpers/process.ts'
import { isBackground, monitorRedis, quiet } from '../helpers/redis-monitor.ts'
import { startCluster, startRedis, waitFor } from '../helpers/servers.ts'
import { Log } from './logged-service.ts'

const redis = await startRedis(t)
const cluster = await startCluster(t, 3, 0)
const root = new URL('../../', import.meta.url)
const program = fileURLToPath(new URL('dist/scripts/api-key.js', root))
const KEYS = '/api/auth/api-keys'
const DAY_MS = 24 * 3600 * 1000

/** The headers that carry a key, in each of the places where one is accepted. */
const places: Record<string, (key: string) => Record<string, string>> = {
  'X-API-Key': (key) => ({ 'x-api-key': key }),
  Bearer: (key) => ({ authorization: `Bearer ${key}` }),
  'the password of Basic': (key) => ({ authorization: basic(`kamailio:${key}`) }),
  'the password of Basic without a name': (key) => ({ authorization: basic(`:${key}`) })
}

const basic = (text: string | Buffer) => `Basic ${Buffer.from(text).toString('base64')}`

/** The secret part of a key, which may have underscores itself. */
const secretOf = (key: string) => key.slice('vfk_0123456789abcdef_'.length)

/** A service, and the settings with which another replica or the command line joins it. */
interface Subject {
  app: FastifyInstance
  env: Record<string, string>
}

const starts: Record<string, (t: Test) => Promise<Subject>> = {
  'a file': async (t) => {
    const env = { API_KEYS_FILE: join(temporaryFolder(t), 'keys.json') }
    return { app: await startApp(t, env), env }
  },
  redis: async (t) => {
    const app = await startOwnApp(t, redis)
    const { REDIS_KEY_PREFIX } = app.config
    return { app, env: { REDIS_URL: redis.url, REDIS_KEY_PREFIX, REDIS_TIMEOUT_MS: '10000' } }
  },
  'a Cluster': async (t) => {
    const app = await startOwnAppOnCluster(t, cluster)
    const { REDIS_KEY_PREFIX, REDIS_CLUSTER_NODES } = app.config
    return {
      app,
      env: {
        REDIS_CLUSTER_NODES: REDIS_CLUSTER_NODES ?? '',
        REDIS_KEY_PREFIX,
        REDIS_TIMEOUT_MS: '10000'
      }
    }
  }
}

for (const [store, start] of Object.entries(starts)) {
  t.test(store, async (t) => {
    const { app, env } = await start(t)
    const admin = as(app, ADMIN)
    const anyone = as(app, null)

    t.test('a key is shown once, and accepted in every place', async (t) => {
      const made = await admin('POST', KEYS, { name: 'k1', role: 'switch', node: 'k1', days: 30 })
      t.equal(made.status, 201)
      const { key, id, ...rest } = made.body
      t.match(rest, { success: true, name: 'k1', role: 'switch', node: 'k1' })
      t.equal(Date.parse(rest.expires_at) - Date.parse(rest.created_at), 30 * DAY_MS)
      for (const [place, headers] of Object.entries(places)) {
        const call = { username: 'alice', session_id: place.replaceAll(' ', '-') }
        const taken = await anyone('POST', '/api/sessions', call, headers(key))
        t.match(taken, { status: 201, body: { session: { node: 'k1' } } }, place)
        const limit = { limit: 1 }
        const refused = await anyone('PUT', '/api/sessions/limits/bob', limit, headers(key))
        t.equal(refused.status, 403, `${place}: a switch sets no limits`)
      }
      const { text, body } = await admin('GET', KEYS)
      t.notMatch(text, secretOf(key))
      const found = body.keys.find((one: any) => one.id === id)
      t.match(found, { id, name: 'k1', role: 'switch', node: 'k1', last_used_at: String })
      t.notMatch(JSON.stringify(found), /hash|key"/)
    })

    t.test('a key of one node changes nothing of another', async (t) => {
      const { key } = (await admin('POST', KEYS, { name: 'k2', role: 'switch', node: 'k2' })).body
      const other = { username: 'carol', session_id: 'on-k3', node: 'k3' }
      const headers = { 'x-api-key': key }
      t.match(await anyone('POST', '/api/sessions', other, headers), { status: 403 })
      const report = { epoch: 1, sessions: [] }
      t.match(await anyone('PUT', '/api/sessions/nodes/k3', report, headers), { status: 403 })
      t.match((await admin('GET', '/api/sessions/counts/carol')).body, { count: 0 })
      const king = (await admin('POST', KEYS, { name: 'king', role: 'admin', node: 'k2' })).body
      const more = { name: 'more', role: 'admin' }
      const answer = await anyone('POST', KEYS, more, { 'x-api-key': king.key })
      t.equal(answer.status, 403, 'nor does it make a key for all nodes')
    })

    t.test('a revoked key is 401 at once here, and within 1 s elsewhere', async (t) => {
      const replica = store === 'redis' ? await startOwnApp(t, redis, env) : await startApp(t, env)
      const { key, id } = (await admin('POST', KEYS, { name: 'gone', role: 'viewer' })).body
      const status = async (send: Send) =>
        (await send('GET', '/api/sessions/limits/alice', undefined, { 'x-api-key': key })).status
      t.equal(await status(anyone), 200)
      const soon = { deadlineMs: 30_000, what: 'the other replica', everyMs: 20 }
      await waitFor(async () => (await status(as(replica, null))) === 200, soon)
      t.match(await admin('DELETE', `${KEYS}/${id}`), { status: 200, body: { revoked: true } })
      t.equal(await status(anyone), 401)
      await waitFor(async () => (await status(as(replica, null))) === 401, soon)
      t.match(await admin('DELETE', `${KEYS}/${id}`), { status: 200, body: { revoked: false } })
    })

    t.test('what is not a key is 401 or 400, and changes nothing', async (t) => {
      const { key, id } = (await admin('POST', KEYS, { name: 'good', role: 'switch' })).body
      for (const [what, headers] of Object.entries(badCredentials(key))) {
        const call = { username: 'dora', session_id: 'never' }
        const answer = await anyone('POST', '/api/sessions', call, headers)
        t.match(answer, { status: 401, body: { code: 'unauthorized' } }, what)
        t.equal(answer.headers['www-authenticate'], 'Bearer')
        t.notMatch(answer.text, key)
      }
      t.match((await admin('GET', '/api/sessions/counts/dora')).body, { count: 0 })
      const before = (await admin('GET', KEYS)).body.keys.length
      for (const body of [
        {},
        { name: 'x' },
        { name: 'x', role: 'king' },
        { name: '', role: 'switch' },
        { name: 'a\nb', role: 'switch' },
        { name: 'x', role: 'switch', days: 0 },
        { name: 'x', role: 'switch', days: 3651 },
        { name: 'x', role: 'switch', node: 'a b' },
        { name: 'x', role: 'switch', hash: 'x' }
      ]) t.equal((await admin('POST', KEYS, body)).status, 400, JSON.stringify(body))
      t.equal((await admin('DELETE', `${KEYS}/${id}x`)).status, 400)
      t.equal((await admin('GET', KEYS)).body.keys.length, before)
    })

    t.test('only an administrator manages keys', async (t) => {
      for (const role of ['operator', 'switch', 'viewer']) {
        const send = as(app, { sub: 'x', role })
        t.equal((await send('GET', KEYS)).status, 403, role)
        t.equal((await send('POST', KEYS, { name: 'x', role: 'viewer' })).status, 403, role)
        t.equal((await send('DELETE', `${KEYS}/0123456789abcdef`)).status, 403, role)
      }
      const all = ['limits:write', 'sessions:write', 'policy:write', 'limits:read']
      t.equal((await as(app, { sub: 'x', permissions: all })('GET', KEYS)).status, 403)
    })

    t.test('the list comes in pages', async (t) => {
      const all = (await admin('GET', KEYS)).body.keys.map((one: any) => one.id)
      const first = (await admin('GET', `${KEYS}?count=2`)).body
      t.equal(first.keys.length, 2)
      const rest = (await admin('GET', `${KEYS}?cursor=${first.next_cursor}`)).body
      t.strictSame([...first.keys, ...rest.keys].map((one: any) => one.id), all)
      t.equal(rest.next_cursor, null)
    })

    t.test('npm run api-key makes, lists and revokes keys', async (t) => {
      await useProgram(t, app, env)
    })
  })
}

t.test('no key is in the log or in Redis, and a bad one sends no command', async (t) => {
  const log = new Log()
  const prefix = 'keys-without-commands:'
  const app = await startApp(
    t,
    { REDIS_URL: redis.url, REDIS_KEY_PREFIX: prefix, REDIS_TIMEOUT_MS: '10000' },
    { logger: { level: 'trace', stream: log.stream } }
  )
  const made = await as(app, ADMIN)('POST', KEYS, { name: 'quiet', role: 'viewer' })
  const { key, id } = made.body
  const secret = secretOf(key)
  await as(app, ADMIN)('DELETE', `${KEYS}/${id}`)
  const monitor = await monitorRedis(t, redis)
  await quiet(monitor)
  for (const headers of Object.values(badCredentials(key))) {
    const answer = await as(app, null)('GET', '/api/sessions/limits/alice', undefined, headers)
    t.equal(answer.status, 401)
  }
  const commands = (await monitor.take()).filter((seen) => !isBackground(seen))
  t.strictSame(commands, [], 'nothing reaches Redis')
  t.notMatch(log.text, secret)
  t.notMatch(await redis.cli('HGETALL', `${prefix}api-keys`), secret)
  const audited = log.take().filter((line) => String(line.action).startsWith('api_key.'))
  t.match(audited, [
    { action: 'api_key.create', values: { name: 'quiet', role: 'viewer' }, result: { id } },
    { action: 'api_key.revoke', target: { id }, result: { revoked: true } }
  ])
})

t.test('a key ends by the clock, and what a key does is audited as its own', async (t) => {
  const log = new Log()
  let now = Date.now()
  const file = join(temporaryFolder(t), 'keys.json')
  const app = await startApp(
    t,
    { API_KEYS_FILE: file },
    { clock: () => now, logger: { level: 'info', stream: log.stream } }
  )
  const { key, id } = (await as(app, ADMIN)('POST', KEYS, {
    name: 'short',
    role: 'operator',
    days: 1
  })).body
  const send = as(app, null)
  const put = async () =>
    await send('PUT', '/api/sessions/limits/alice', { limit: 3 }, { 'x-api-key': key })
  t.equal((await put()).status, 200)
  t.match(log.take().at(-1), {
    action: 'limit.set',
    actor: { sub: null, roles: ['operator'], token_id: id, api_key: 'short' }
  })
  now += DAY_MS - 1000
  t.equal((await put()).status, 200)
  now += 1000
  t.equal((await put()).status, 401)
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.notMatch(readFileSync(file, 'utf8'), secretOf(key))
})

t.test('a file of keys that cannot be read lets nobody in, and the service says so', async (t) => {
  const file = join(temporaryFolder(t), 'keys.json')
  writeFileSync(file, '{"keys": [')
  const app = await startApp(t, { API_KEYS_FILE: file })
  const headers = { 'x-api-key': `vfk_${'0'.repeat(16)}_${'A'.repeat(43)}` }
  const answer = await as(app, null)('GET', '/api/sessions/limits/alice', undefined, headers)
  t.equal(answer.status, 503, 'whether the key is good is not known')
  t.equal((await as(app, ADMIN)('POST', KEYS, { name: 'x', role: 'viewer' })).status, 503)
  t.equal(readFileSync(file, 'utf8'), '{"keys": [', 'the file is left as it is')
})

t.test('each key has a rate limit of its own', async (t) => {
  const env = { API_KEYS_FILE: join(temporaryFolder(t), 'keys.json'), RATE_LIMIT_MAX: '3' }
  const app = await startApp(t, env)
  const base = await listen(app)
  const admin = as(app, { sub: 'root', role: 'admin' })
  const keys: string[] = []
  for (const name of ['one', 'two']) {
    keys.push((await admin('POST', KEYS, { name, role: 'viewer' })).body.key)
  }
  const statuses: number[] = []
  for (const key of [keys[0], keys[0], keys[0], keys[0], keys[1]]) {
    const answer = await fetch(`${base}/api/sessions/limits/alice`, {
      headers: { 'x-api-key': String(key) }
    })
    statuses.push(answer.status)
    await answer.text()
  }
  t.strictSame(statuses, [200, 200, 200, 429, 200])
})

/** Headers that carry no key, or not this one. */
function badCredentials (key: string): Record<string, Record<string, string>> {
  const [, id] = key.split('_')
  const secret = secretOf(key)
  const other = secret.startsWith('A') ? `B${secret.slice(1)}` : `A${secret.slice(1)}`
  return {
    'a key that is cut': { 'x-api-key': key.slice(0, -1) },
    'a key with more': { 'x-api-key': `${key}A` },
    'another secret': { 'x-api-key': `vfk_${id}_${other}` },
    'an unknown id': { 'x-api-key': `vfk_0000000000000000_${secret}` },
    'an empty key': { 'x-api-key': '' },
    'a cut key as Bearer': { authorization: `Bearer ${key.slice(0, 20)}` },
    'Basic that is not base64': { authorization: 'Basic %%%' },
    'Basic with a cut encoding': { authorization: `${basic(`a:${key}`).slice(0, -3)}` },
    'Basic without a colon': { authorization: basic(key) },
    'Basic with nothing': { authorization: 'Basic' },
    'Basic with another password': { authorization: basic('admin:admin') },
    'Basic that is not UTF-8': { authorization: basic(Buffer.from([255, 58, 255])) },
    'the key as the name': { authorization: basic(`${key}:`) },
    Digest: { authorization: `Digest username="${key}"` },
    'two credentials': { authorization: `Bearer ${key}`, 'x-api-key': `${key}A` }
  }
}

async function useProgram (
  t: Test,
  app: FastifyInstance,
  settings: Record<string, string>
): Promise<void> {
  const env = { ...process.env, ...settings }
  const run = (...args: string[]) =>
    execFileSync(process.execPath, [program, ...args], { cwd: root, env, encoding: 'utf8' })
  const options = ['--name', 'cli', '--role', 'switch', '--node', 'k9', '--days', '7']
  const key = run('create', ...options).trim()
  t.match(key, /^vfk_[0-9a-f]{16}_[\w-]{43}$/)
  const id = key.split('_')[1] ?? ''
  const headers = { 'x-api-key': key }
  const status = async () =>
    (await as(app, null)('GET', '/api/sessions/limits/alice', undefined, headers)).status
  const soon = { deadlineMs: 30_000, what: 'the service to know', everyMs: 20 }
  await waitFor(async () => (await status()) === 200, soon)
  t.match(run('list'), new RegExp(`${id} +cli +switch +k9 `))
  t.match(run('revoke', id), /revoked/)
  await waitFor(async () => (await status()) === 401, soon)
  const again = spawnSync(process.execPath, [program, 'revoke', id], {
    cwd: root, env, encoding: 'utf8'
  })
  t.match(again, { status: 1, stdout: '', stderr: `there is no API key ${id}\n` })
}

t.test('npm run api-key says what is wrong, in one line', async (t) => {
  const env = { ...process.env, API_KEYS_FILE: join(temporaryFolder(t), 'keys.json') }
  for (const args of [[], ['make'], ['create'], ['create', '--name', 'x', '--role', 'king'],
    ['revoke'], ['revoke', 'x'], ['list', '--all', 'yes']]) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
      cwd: root, env, encoding: 'utf8'
    })
    t.equal(status, 1, args.join(' '))
    t.equal(stdout, '')
    t.match(stderr, /^[^\n]+\n$/, 'one line')
  }
})
