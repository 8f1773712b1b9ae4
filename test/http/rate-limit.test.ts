/** Too many requests, and requests that never end. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import {
  ADMIN,
  type Answer,
  type Claims,
  as,
  connected,
  listen,
  startApp,
  startAppOn,
  tokenFor
} from '../helpers/app.ts'
import { sendRaw } from '../helpers/raw-http.ts'
import { isBackground, monitorRedis, quiet } from '../helpers/redis-monitor.ts'
import { startRedis } from '../helpers/servers.ts'
import { waitFor } from '../helpers/wait.ts'
import { from } from './callers.ts'

const alice = '/api/sessions/limits/alice'

const limited = { RATE_LIMIT_MAX: '3' }

const SWITCH: Claims = { sub: 'b2bua-1', role: 'switch' }

/** How many requests are left half open at once, and by when they are cut, in milliseconds. */
const HALF_OPEN = 50

/** The statuses of so many requests, one after the other. */
async function statuses (times: number, ask: () => Promise<{ status: number }>): Promise<number[]> {
  const seen = []
  for (let i = 0; i < times; i++) seen.push((await ask()).status)
  return seen
}

function isTooMany (
  t: Test,
  answer: Pick<Answer, 'status' | 'headers'> & { body: unknown },
  withinSeconds = 60
): void {
  const body = typeof answer.body === 'string' ? (JSON.parse(answer.body) as unknown) : answer.body
  t.match(
    { ...answer, body },
    {
      status: 429,
      headers: { 'content-type': /^application\/problem\+json/ },
      body: { status: 429, code: 'too_many_requests' }
    }
  )
  const seconds = Number(answer.headers['retry-after'])
  t.ok(
    Number.isInteger(seconds) && seconds >= 1 && seconds <= withinSeconds,
    `Retry-After: ${seconds}`
  )
}

t.test('half-open requests are cut, and others are answered meanwhile', async (t) => {
  const app = await startApp(t)
  const port = Number(new URL(await listen(app)).port)
  const open = new Set<Socket>()
  t.teardown(() => open.forEach((socket) => socket.destroy()))
  const head =
    `PUT ${alice} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
    `Authorization: Bearer ${tokenFor(app, ADMIN)}\r\n`
  for (let i = 0; i < HALF_OPEN; i++) {
    const socket = connect(port, '127.0.0.1')
    open.add(socket)
    socket
      .on('error', () => {})
      .on('close', () => open.delete(socket))
      .resume()
    await once(socket, 'connect')
    // Nothing at all, half a head, half a body.
    if (i % 3 > 0) socket.write(i % 3 === 1 ? head : `${head}Content-Length: 100\r\n\r\n{"limit":`)
  }
  await waitFor(
    async () => {
      const { status } = await sendRaw(
        port,
        'GET /healthz/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
      )
      if (status !== 200) t.fail(`a probe was answered ${status}`)
      return open.size === 0
    },
    { what: 'all of them to be cut', deadlineMs: 60_000, everyMs: 200 }
  )
  t.pass('all are cut')
})

t.test('limits on requests', async (t) => {
  t.test('are off unless they are set', async (t) => {
    const app = await startApp(t)
    t.same(new Set(await statuses(100, from(app, '192.0.2.1', ADMIN))), new Set([200]))
    t.same(new Set(await statuses(100, from(app, '192.0.2.1', null))), new Set([401]))
  })

  t.test('hold for one caller, at every address, and for no other caller', async (t) => {
    const app = await startApp(t, limited)
    t.same(await statuses(3, from(app, '192.0.2.1', ADMIN)), [200, 200, 200])
    isTooMany(t, await from(app, '192.0.2.2', ADMIN)())
    t.equal(
      (await from(app, '192.0.2.1', { sub: 'other', role: 'viewer' })()).status,
      200,
      'another caller at the same address'
    )
  })

  t.test('hold for an address whose requests are refused, for whatever reason', async (t) => {
    const app = await startApp(t, { ...limited, RATE_LIMIT_WINDOW_SECONDS: '7' })
    for (const [i, [what, claims, url]] of (
      [
        ['no token', null, alice],
        ['no permission', { sub: 'nobody' }, alice],
        ['nonsense', ADMIN, '/api/sessions/limits/_default'],
        ['no such path', null, '/nowhere'],
        ['pages', null, '/docs/static/index.html']
      ] as const
    ).entries()) {
      const ask = from(app, `192.0.2.${i}`, claims)
      const [first, ...others] = await statuses(3, async () => await ask(url))
      t.same(others, [first, first], `${what}: ${first}`)
      const answer = await ask(url)
      isTooMany(t, answer, 7)
      t.notOk(answer.headers['www-authenticate'], 'a 429 asks for no token')
    }
    t.equal(
      (await from(app, '192.0.2.0', ADMIN)()).status,
      200,
      'a caller with a token is not held up by others at its address'
    )
  })

  t.test('count the addresses of one IPv6 /64 network as one', async (t) => {
    const app = await startApp(t, limited)
    for (let i = 0; i < 3; i++) t.equal((await from(app, `2001:db8::${i}`, null)()).status, 401)
    t.equal((await from(app, '2001:db8::ffff', null)()).status, 429)
    t.equal((await from(app, '2001:db8:0:1::1', null)()).status, 401)
  })

  t.test('do not count probes, nor the switch role unless configured', async (t) => {
    const app = await startApp(t, limited)
    for (const url of [
      '/healthz/live',
      '/healthz/ready',
      '/healthz/startup',
      '/health',
      '/api/health'
    ]) {
      t.same(
        new Set(await statuses(9, async () => await from(app, '192.0.2.1', null)(url))),
        new Set([200]),
        url
      )
    }
    t.same(new Set(await statuses(9, from(app, '192.0.2.1', SWITCH))), new Set([200]))
    const strict = await startApp(t, { ...limited, RATE_LIMIT_EXEMPT_ROLES: 'none' })
    t.same(await statuses(4, from(strict, '192.0.2.1', SWITCH)), [200, 200, 200, 429])
    const kind = await startApp(t, { ...limited, RATE_LIMIT_EXEMPT_ROLES: 'switch, admin' })
    t.same(new Set(await statuses(9, from(kind, '192.0.2.1', ADMIN))), new Set([200]))
  })

  t.test('end with their window', async (t) => {
    const app = await startApp(t, { ...limited, RATE_LIMIT_WINDOW_SECONDS: '1' })
    const ask = from(app, '192.0.2.1', ADMIN)
    await waitFor(async () => (await ask()).status === 429, { what: 'the limit', everyMs: 1 })
    await waitFor(async () => (await ask()).status === 200, { what: 'the next window' })
  })

  t.test('are shared by all replicas in one expiring key per caller', async (t) => {
    const redis = await startRedis(t)
    const env = { ...limited, REDIS_KEY_PREFIX: 'own:' }
    const [one, other] = [await startAppOn(t, redis, env), await startAppOn(t, redis, env)]
    await connected(one, other)
    const caller = { ...ADMIN, sub: `{slot} ${'x'.repeat(500)}` }
    t.same(
      [
        ...(await statuses(2, from(one, '192.0.2.1', caller))),
        ...(await statuses(1, from(other, '192.0.2.2', caller)))
      ],
      [200, 200, 200]
    )
    isTooMany(t, await from(one, '192.0.2.1', caller)())
    isTooMany(t, await from(other, '192.0.2.1', caller)())
    const keys = (await redis.cli('KEYS', '*request-count*')).split('\n')
    t.equal(keys.length, 1)
    t.match(keys[0], /^own:request-count:[\w-]{43}$/)
    const left = Number(await redis.cli('PTTL', keys[0] ?? ''))
    t.ok(left > 0 && left <= 60_000, `${left} ms are left`)
    await redis.cli('SET', keys[0] ?? '', '5')
    t.equal((await from(one, '192.0.2.1', caller)()).status, 429)
    t.ok(
      Number(await redis.cli('PTTL', keys[0] ?? '')) > 0,
      'a count that somebody took the end of gets one again'
    )
    await redis.cli('DEL', keys[0] ?? '')
    await redis.cli('LPUSH', keys[0] ?? '', 'x')
    t.equal(
      (await from(one, '192.0.2.1', caller)()).status,
      200,
      'a key of another type is no failure'
    )
  })

  t.test(
    'ask Redis nothing for what is refused, for the switch, or when they are off',
    async (t) => {
      const redis = await startRedis(t)
      const apps = [await startAppOn(t, redis, limited), await startAppOn(t, redis)]
      const monitor = await monitorRedis(t, redis)
      await quiet(monitor)
      const asked = async () => (await monitor.take()).filter((seen) => !isBackground(seen))
      const counted = async () =>
        (await asked()).filter((seen) => seen.some((word) => word.includes('request-count')))
      const [on, off] = apps as [FastifyInstance, FastifyInstance]
      t.equal((await from(on, '192.0.2.1', ADMIN)()).status, 200)
      t.not((await counted()).length, 0, 'what is let in is counted')
      for (const [claims, url, status] of [
        [null, alice, 401],
        [{ sub: 'x' }, alice, 403],
        [ADMIN, `${alice}?x=1`, 400]
      ] as const) {
        t.same(
          await statuses(4, async () => await from(on, `192.0.2.${status - 300}`, claims)(url)),
          [status, status, status, 429]
        )
      }
      t.same(await asked(), [])
      t.same(await statuses(5, from(on, '192.0.2.1', SWITCH)), [200, 200, 200, 200, 200])
      t.same(await statuses(5, from(off, '192.0.2.1', ADMIN)), [200, 200, 200, 200, 200])
      t.same(await counted(), [])
    }
  )

  t.test('go on without Redis while it hangs or is gone', async (t) => {
    const redis = await startRedis(t)
    const app = await startAppOn(t, redis, { ...limited, REDIS_TIMEOUT_MS: '2000' })
    const create = async (sub: string) => {
      const { status, body } = await as(app, { sub, role: 'operator' })('POST', '/api/sessions', {
        username: 'alice',
        session_id: 'one'
      })
      return { status, degraded: (body as { degraded?: boolean }).degraded }
    }
    const firsts = async (sub: string) => {
      const answers = []
      for (let i = 0; i < 4; i++) answers.push(await create(sub))
      t.equal(answers[3]?.status, 429, `${sub}: the limit holds`)
      return answers
    }
    t.notOk((await firsts('before')).some(({ degraded }) => degraded))
    redis.pause()
    await waitFor(async () => (await create('waiting')).degraded ?? true, {
      what: 'the outage to be noticed'
    })
    t.ok((await firsts('hung'))[0]?.degraded)
    redis.resume()
    await redis.kill()
    t.ok((await firsts('gone'))[0]?.degraded)
  })
})
