/**
 * What one request may cost the others at the most: the dearest ones of each route, on a Redis with
 * 100,000 users. Bounds in milliseconds need a machine that does nothing else: `npm run
 * test:costs`.
 */
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { PATIENT, listen, startApp, tokenFor } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import { measure, tableOf, type Cost, type Request } from './meter.ts'

/** What promise 10 allows: milliseconds of the event loop and of Redis, growth by the body. */
const [MOST_LOOP_MS, MOST_REDIS_MS, MOST_GROWTH] = [50, 20, 16]
/** What a process grows by whatever the body, in MiB; scrypt takes 128 for a login. */
const [GROUND_MIB, LOGIN_MIB] = [64, 192]
const USERS = 100_000

await t.test('what each request costs', async (t) => {
  const redis = await startRedis(t)
  const prefix = 'voice-ferry-c4:'
  const end = Date.now() + 3_600_000
  const commands = function * () {
    for (let i = 0; i < USERS; i++) {
      yield `ZADD ${prefix}user-leases:user-${i} ${end} s-${i}\r\n`
      yield `SET ${prefix}user-limit:user-${i} 5\r\n`
      for (const user of ['big', 'huge', 'dry']) {
        yield `ZADD ${prefix}user-leases:${user} ${end + i} ${user}-${i}\r\n`
        yield `SET ${prefix}session-lease:${user}-${i} "+${user} ${end - i} n1 " PX 3600000\r\n`
        if (user === 'big') yield `ZADD ${prefix}node-leases:n1 ${end + i} "big big-${i}"\r\n`
      }
    }
  }
  await redis.load(Buffer.from([...commands()].join('')))

  const app = await startApp(t, {
    REDIS_URL: redis.url,
    ...PATIENT,
    GHOST_SWEEP_INTERVAL_SECONDS: '0',
    MAX_SESSIONS_PER_USER: '3',
    SESSION_LIMIT_ACTION: 'terminate_oldest',
    ADMIN_USERNAME: 'root',
    ADMIN_PASSWORD_HASH: `$scrypt$ln=17,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`
  })
  const port = Number(new URL(await listen(app)).port)

  const name = (i: number, length: number) => `n${i}`.padEnd(length, 'x')
  const longest = (count: number) =>
    Array.from({ length: count }, (_, i) =>
      ({ session_id: name(i, 512), username: name(i, 256), attempt: 2 ** 31 - 1 }))
  const report = (sessions: object[]) => JSON.stringify({ epoch: 1, sessions })
  const node = '/api/sessions/nodes/pbx-1'
  const invalid = longest(20_000).map((one) => ({ ...one, attempt: -1 }))
  const MiB = 2 ** 20

  const requests: Request[] = [
    {
      what: 'a login',
      who: 'nobody',
      method: 'POST',
      path: '/api/auth/login',
      status: 401,
      body: JSON.stringify({ username: 'x'.repeat(128), password: 'x'.repeat(1024) })
    },
    {
      what: 'a login of 2,000 members',
      who: 'nobody',
      method: 'POST',
      path: '/api/auth/login',
      status: 413,
      body: `{${Array.from({ length: 2000 }, (_, i) => `"m${i}":1`).join()}}`
    },
    {
      what: 'an admission of 10,000 members',
      who: 'switch',
      method: 'POST',
      path: '/api/sessions',
      status: 413,
      body: `{${Array.from({ length: 10_000 }, (_, i) => `"m${i}":1`).join()}}`
    },
    {
      what: 'an admission of 6,000 members',
      who: 'switch',
      method: 'POST',
      path: '/api/sessions',
      status: 400,
      body: `{${Array.from({ length: 6_000 }, (_, i) => `"m${i}":1`).join()}}`
    },
    {
      what: 'a report of 20,000 new calls of the longest names',
      who: 'switch',
      method: 'PUT',
      path: node,
      status: 200,
      body: report(longest(20_000))
    },
    {
      what: 'the same again',
      who: 'switch',
      method: 'PUT',
      path: node,
      status: 200,
      body: report(longest(20_000))
    },
    {
      what: 'a report of 20,000 items that are not valid',
      who: 'switch',
      method: 'PUT',
      path: node,
      status: 200,
      body: report(invalid)
    },
    {
      what: 'a report of 8 million zeros',
      who: 'switch',
      method: 'PUT',
      path: node,
      status: 400,
      body: `{"epoch":1,"sessions":[${'0,'.repeat(8 * MiB - 100)}0]}`
    },
    {
      what: 'a report of 5 million empty objects',
      who: 'switch',
      method: 'PUT',
      path: node,
      status: 400,
      body: `{"epoch":1,"sessions":[${'{},'.repeat(5.3 * MiB)}{}]}`
    },
    {
      what: 'a report with `as_of` of 15 MiB',
      who: 'switch',
      method: 'PUT',
      path: node,
      status: 400,
      body: `{"epoch":1,"sessions":[],"as_of":"${'1'.repeat(15 * MiB)}"}`
    },
    {
      what: 'renewal of 5,000 calls of the longest names',
      who: 'switch',
      method: 'POST',
      path: '/api/sessions/renew',
      status: 200,
      body: JSON.stringify({ sessions: longest(5_000), node: 'pbx-1' })
    },
    {
      what: 'release of 5,000 calls of the longest names',
      who: 'switch',
      method: 'POST',
      path: '/api/sessions/release',
      status: 200,
      body: JSON.stringify({ sessions: longest(5_000) })
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
      body: JSON.stringify({
        limits: Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [name(i, 256), i]))
      })
    },
    {
      what: '300,000 limits',
      who: 'operator',
      method: 'POST',
      path: '/api/sessions/limits/bulk',
      status: 400,
      body: `{"limits":{${Array.from({ length: 300_000 }, (_, i) => `"${i}":1`).join()}}}`
    },
    {
      what: 'a dry run where 99,998 calls would have to end',
      who: 'switch',
      method: 'POST',
      path: '/api/sessions',
      status: 200,
      body: JSON.stringify({ username: 'dry', session_id: 'new-0', dry_run: true })
    },
    {
      what: 'an admission for which 99,998 calls have to end',
      who: 'switch',
      method: 'POST',
      path: '/api/sessions',
      status: 201,
      body: JSON.stringify({ username: 'huge', session_id: 'new-1' })
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
    { what: 'a sweep', who: 'operator', method: 'POST', path: '/api/sessions/sweep', status: 200 }
  ]

  const costs: Cost[] = []
  for (const request of requests) {
    const { who, what, status } = request
    const token = who === 'nobody' ? null : tokenFor(app, { sub: who, role: who })
    const cost = await measure(app, port, token, request)
    costs.push(cost)
    t.equal(cost.status, status, what)
    t.ok(cost.loopMs <= MOST_LOOP_MS, `${what}: ${cost.loopMs.toFixed()} ms of the event loop`)
    t.ok(cost.redisMs <= MOST_REDIS_MS, `${what}: ${cost.redisMs.toFixed(1)} ms of Redis`)
    const grown = cost.grownMiB - (what === 'a login' ? LOGIN_MIB : GROUND_MIB)
    t.ok(grown <= MOST_GROWTH * cost.bodyMiB, `${what}: grown by ${cost.grownMiB.toFixed()} MiB`)
  }
  t.comment(`\n${tableOf(costs)}`)
  writeFileSync('.cache/costs.md', `${tableOf(costs)}\n`)
})
