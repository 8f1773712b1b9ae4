#!/usr/bin/env node
/**
 * Shows the service on real input: a Redis as a Voice Ferry switch leaves it, the service beside
 * it, and every promise as a request that anybody can send. Stops all it started; exits with 1 when
 * an answer is not as promised.
 *
 *   npm run demo
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fail, failed, redisConsole, requests, show, title } from './demo/console.mjs'
import { freePort, start, stopAll, until } from './demo/processes.mjs'
import { findServers } from './servers.mjs'

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url))
const route = '/api/sessions/limits/final_test'
const expected = JSON.parse(readFileSync(path('test/data/expected.json'), 'utf8'))

try {
  const redis = await startRedis()
  const curl = await startService(redis)
  await showLimits(curl, redis)
  await sweepGhosts(curl)
  await setLimit(curl, redis)
  await refuseWrong(curl)
} catch (error) {
  fail(error)
} finally {
  await stopAll()
}
console.log(
  failed === 0 ? '\nEverything was as promised.' : `\n${failed} of these were not as promised.`
)
process.exitCode = failed === 0 ? 0 : 1

async function startRedis () {
  title('A Redis, filled as the switch fills it')
  const { redisServer, redisCli } = findServers()
  const port = await freePort()
  const redis = { port, ...redisConsole(redisCli, port) }
  const nothingSaved = ['--save', '', '--appendonly', 'no', '--loglevel', 'warning']
  start(redisServer, ['--port', port, '--bind', '127.0.0.1', ...nothingSaved])
  const quiet = { stdio: ['ignore', 'pipe', 'ignore'] }
  await until('Redis', () => redis.run(['PING'], quiet) === 'PONG')
  const input = readFileSync(path('test/data/switch-redis.resp'))
  const loaded = redis.run(['--pipe'], { input }).split('\n').at(-1)
  show(
    `redis-cli -p ${port} --pipe < test/data/switch-redis.resp`,
    loaded,
    loaded.startsWith('errors: 0'),
    'no error'
  )
  return redis
}

async function startService (redis) {
  title('The service beside it')
  const port = await freePort()
  const secret = randomBytes(32).toString('base64')
  const url = `http://127.0.0.1:${port}`
  start(process.execPath, [path('dist/server.js')], {
    PATH: process.env.PATH,
    HOST: '127.0.0.1',
    PORT: String(port),
    REDIS_URL: `redis://127.0.0.1:${redis.port}`,
    JWT_SECRET: secret,
    GHOST_SWEEP_INTERVAL_SECONDS: '0',
    LOG_LEVEL: 'warn'
  })
  await until('the service', async () => (await fetch(`${url}/healthz/ready`)).ok)
  return requests(url, secret)
}

async function showLimits (curl, redis) {
  title('What the switch wrote is what is answered')
  const { limits, limits_without_meaning: odd } = expected
  const policy = { enabled: true, max_sessions_per_user: 5, session_limit_action: 'reject' }
  const all = `all limits and the default, and none of ${odd.join(', ')}`
  const user_limits = { _default: 5, ...limits }
  await curl('GET', '/api/sessions/limits', undefined, all, { ...policy, user_limits })
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
  redis.show('GET voice-ferry-c4:user-limit:hex', '0x10')
  await curl(
    'GET',
    '/api/sessions/limits/hex',
    undefined,
    'a value without meaning is no own limit',
    { username: 'hex', limit: 5, source: 'default', unlimited: false }
  )
}

async function sweepGhosts (curl) {
  const { counts_with_ghosts: before, counts_without_ghosts: after } = expected
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
}

async function setLimit (curl, redis) {
  title('A limit that is set here is the one that the switch reads')
  const key = 'voice-ferry-c4:user-limit:final_test'
  await curl('PUT', route, { limit: 25 }, 'in the shape that existing clients read', {
    success: true,
    username: 'final_test',
    limit: 25,
    message: 'Session limit for user final_test set to 25'
  })
  redis.show(`GET ${key}`, '25')
  redis.show(`SET ${key} 30`, 'OK')
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
  redis.show(`EXISTS ${key}`, '0')
}

async function refuseWrong (curl) {
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

function sum (values) {
  return Object.values(values).reduce((total, n) => total + n, 0)
}
