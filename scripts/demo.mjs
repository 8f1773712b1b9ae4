#!/usr/bin/env node
/**
 * Shows the service on real input: a Redis as a Voice Ferry switch leaves it, the service beside
 * it, and every promise as a request that anybody can send. Stops all it started; exits with 1 when
 * an answer is not as promised.
 *
 *   npm run demo
 */
import { execFileSync, spawn } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { findServers } from './servers.mjs'

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url))
const input = path('test/data/switch-redis.resp')
const expected = JSON.parse(readFileSync(path('test/data/expected.json'), 'utf8'))
const programs = findServers()
const children = []
let failed = 0

try {
  await demonstrate()
} catch (error) {
  failed++
  console.error(`\n✗ ${error.message}`)
} finally {
  await Promise.all(children.map(stop))
}
console.log(
  failed === 0 ? '\nEverything was as promised.' : `\n${failed} of these were not as promised.`
)
process.exitCode = failed === 0 ? 0 : 1

async function demonstrate () {
  const [redisPort, port] = [await freePort(), await freePort()]
  const redisCli = (args, options = {}) =>
    execFileSync(programs.redisCli, ['-p', redisPort, ...args], {
      encoding: 'utf8',
      ...options
    }).trimEnd()
  /** Runs redis-cli in sight, and checks what it prints. */
  const redis = (command, promised) => {
    const printed = redisCli(command.split(' '))
    show(
      `redis-cli -p ${redisPort} ${command}`,
      JSON.stringify(printed),
      printed === promised,
      `prints ${JSON.stringify(promised)}`
    )
  }

  title('A Redis, filled as the switch fills it')
  start(programs.redisServer, [
    '--port',
    redisPort,
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--loglevel',
    'warning'
  ])
  await until('Redis', () => redisCli(['PING'], { stdio: ['ignore', 'pipe', 'ignore'] }) === 'PONG')
  const loaded = redisCli(['--pipe'], { input: readFileSync(input) })
    .split('\n')
    .at(-1)
  show(
    `redis-cli -p ${redisPort} --pipe < test/data/switch-redis.resp`,
    loaded,
    loaded.startsWith('errors: 0'),
    'no error'
  )

  title('The service beside it')
  const secret = randomBytes(32).toString('base64')
  const url = `http://127.0.0.1:${port}`
  start(process.execPath, [path('dist/server.js')], {
    PATH: process.env.PATH,
    HOST: '127.0.0.1',
    PORT: String(port),
    REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    JWT_SECRET: secret,
    GHOST_SWEEP_INTERVAL_SECONDS: '0',
    LOG_LEVEL: 'warn'
  })
  await until('the service', async () => (await fetch(`${url}/healthz/ready`)).ok)
  const authorization = `Bearer ${token(secret, { sub: 'demo', role: 'admin' })}`
  console.log(
    `$ export URL=${url} TOKEN=<signed with JWT_SECRET: {"sub":"demo","role":"admin","exp":…}>`
  )
  /**
   * Sends a request in sight, and checks its answer: the status and the whole body, or what
   * `promised` says of it.
   */
  const curl = async (method, route, body, promise, promised, status = 200) => {
    const headers = { authorization, ...(body && { 'content-type': 'application/json' }) }
    const answer = await fetch(url + route, {
      method,
      headers,
      ...(body && { body: JSON.stringify(body) })
    })
    const text = await answer.text()
    const got = JSON.parse(text)
    const kept = typeof promised === 'function' ? promised(got) : isDeepStrictEqual(got, promised)
    const verb = method === 'GET' ? '' : ` -X ${method}`
    const data = body ? ` -H 'Content-Type: application/json' -d '${JSON.stringify(body)}'` : ''
    show(
      `curl${verb}${data} -H "Authorization: Bearer $TOKEN" "$URL${route}"`,
      `${answer.status} ${text}`,
      answer.status === status && kept,
      promise
    )
    return got
  }

  title('What the switch wrote is what is answered')
  const {
    limits,
    limits_without_meaning: odd,
    counts_with_ghosts: before,
    counts_without_ghosts: after
  } = expected
  const policy = { enabled: true, max_sessions_per_user: 5, session_limit_action: 'reject' }
  const count = Object.keys(limits).length
  const all = `all ${count} limits and the default, and none of ${odd.join(', ')}`
  await curl('GET', '/api/sessions/limits', undefined, all, {
    ...policy,
    user_limits: { _default: 5, ...limits }
  })
  const first = await curl(
    'GET',
    '/api/sessions/limits?count=5',
    undefined,
    'or a page of them',
    ({ user_limits: page }) =>
      Object.entries(page).every(([name, limit]) => name === '_default' || limits[name] === limit)
  )
  await curl(
    'GET',
    `/api/sessions/limits?count=5&cursor=${first.next_cursor}`,
    undefined,
    'and the next, with others',
    ({ user_limits: page }) =>
      Object.keys(page).every((name) => name === '_default' || !(name in first.user_limits))
  )
  await curl('GET', '/api/sessions/limits/negative', undefined, 'a negative limit is unlimited', {
    username: 'negative',
    limit: -1,
    source: 'user',
    unlimited: true
  })
  redis('GET voice-ferry-c4:user-limit:hex', '0x10')
  await curl(
    'GET',
    '/api/sessions/limits/hex',
    undefined,
    'a value without meaning is no own limit',
    { username: 'hex', limit: 5, source: 'default', unlimited: false }
  )

  title('Sessions that are gone and still counted are swept')
  await curl('GET', '/api/sessions/counts', undefined, 'the counts with them', {
    counts: before,
    total: sum(before)
  })
  await curl(
    'POST',
    '/api/sessions/sweep',
    undefined,
    `${sum(before) - sum(after)} of them are removed`,
    ({ removed }) => removed === sum(before) - sum(after)
  )
  await curl('GET', '/api/sessions/counts', undefined, 'the counts without them', {
    counts: after,
    total: sum(after)
  })
  await curl(
    'GET',
    '/api/sessions/counts/wrongtype',
    undefined,
    'a key of another type counts nothing and breaks nothing',
    ({ count, limit }) => count === 0 && limit === 5
  )

  title('A limit that is set here is the one that the switch reads')
  const [route, key] = ['/api/sessions/limits/final_test', 'voice-ferry-c4:user-limit:final_test']
  await curl('PUT', route, { limit: 25 }, 'in the shape that existing clients read', {
    success: true,
    username: 'final_test',
    limit: 25,
    message: 'Session limit for user final_test set to 25'
  })
  redis(`GET ${key}`, '25')
  redis(`SET ${key} 30`, 'OK')
  await curl('GET', route, undefined, 'what redis-cli sets holds at once', {
    username: 'final_test',
    limit: 30,
    source: 'user',
    unlimited: false
  })
  await curl('DELETE', route, undefined, 'and is removed again', {
    success: true,
    username: 'final_test',
    message: 'Session limit for user final_test removed (will use default)',
    removed: true
  })
  redis(`EXISTS ${key}`, '0')

  title('What is wrong is refused')
  await curl(
    'PUT',
    '/api/sessions/limits/_default',
    { limit: 25 },
    'a reserved name',
    ({ code, errors }) => code === 'invalid_input' && errors.length > 0,
    400
  )
  await curl(
    'PUT',
    route,
    { limit: '25' },
    'a limit that is no number',
    ({ code, errors }) => code === 'invalid_input' && errors[0].path === 'body/limit',
    400
  )
}

function title (text) {
  console.log(`\n── ${text}\n`)
}

/** One step: the command, its answer, shortened, and whether it is as promised. */
function show (command, answer, kept, promise) {
  const shown =
    answer.length <= 200 ? answer : `${answer.slice(0, 160)} … (${answer.length} characters)`
  console.log(`$ ${command}\n${shown}\n${kept ? '✓' : '✗'} ${promise}\n`)
  if (!kept) failed++
}

function start (program, args, env = process.env) {
  const child = spawn(program, args.map(String), { env, stdio: ['ignore', 'ignore', 'inherit'] })
  child.once('error', (error) => console.error(error.message))
  children.push(child)
}

async function stop (child) {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const force = setTimeout(() => child.kill('SIGKILL'), 5000)
  await ended
  clearTimeout(force)
}

async function until (what, isUp) {
  for (const deadline = Date.now() + 15_000; Date.now() < deadline; await sleep(50)) {
    if (children.some(({ exitCode }) => exitCode !== null)) {
      throw new Error(`${what} ended while starting`)
    }
    try {
      if (await isUp()) return
    } catch {
      /* not yet */
    }
  }
  throw new Error(`${what} did not start`)
}

async function freePort () {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** A token as the web console signs it: HS256 (RFC 7515). */
function token (secret, claims) {
  const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const payload = encode({ iat: now, exp: now + 3600, ...claims })
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${payload}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function sum (values) {
  return Object.values(values).reduce((total, n) => total + n, 0)
}
