/** Who may ask for admission, what a switch is told, and what the log says of it. */
import { randomUUID } from 'node:crypto'
import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { encodeCursor } from '../../services/util/cursor.ts'
import { ADMIN, as, startApp, startOwnApp, tokenFor } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import { active, isProblem, admission, own, pbx, nobody, viewer, newUser } from './api.ts'

const redis = await startRedis(t)

const apps = {
  memory: await startApp(t),
  redis: await startOwnApp(t, redis)
}

async function checkLog (
  t: Test,
  store: string,
  app: FastifyInstance,
  lines: Array<Record<string, unknown>>,
  log: () => string
): Promise<void> {
  const send = as(app, ADMIN)
  const acquire = async (id: string, more: object = {}) =>
    await send('POST', admission, { username: 'alice', session_id: id, ...more })
  /** What the calls of one kind since the last look have left behind. */
  const noted = (kind: 'violation' | 'emergency') =>
    lines.splice(0).flatMap((line) => (line[kind] === undefined ? [] : [line[kind]]))

  await acquire('a')
  t.strictSame(noted('violation'), [], `${store}: nothing where all is well`)
  isProblem(
    t,
    await acquire('b'),
    {
      status: 409,
      code: 'session_limit_reached',
      username: 'alice',
      count: 1,
      limit: 1,
      sip: {
        status: 603,
        reason: 'Decline'
      },
      degraded: false
    },
    'the answer that was set'
  )
  t.strictSame(noted('violation'), [
    { username: 'alice', session_id: 'b', count: 1, limit: 1, degraded: false, observed: false }
  ])
  await acquire('b', { dry_run: true })
  t.strictSame(noted('violation'), [], 'a dry run is no violation')
  await acquire('sos', { emergency: true })
  t.strictSame(noted('emergency'), [{ username: 'alice', session_id: 'sos', count: 2, limit: 1 }])
  await acquire('sos2', { emergency: true, dry_run: true })
  t.strictSame(noted('emergency'), [])
  await send('PUT', '/api/sessions/limits', { session_limit_action: 'observe' })
  await acquire('c')
  const [line] = lines.filter(({ violation }) => violation !== undefined)
  t.ok(Number(line?.level) >= 40, 'what only observing let in is a warning')
  t.strictSame(noted('violation'), [
    { username: 'alice', session_id: 'c', count: 3, limit: 1, degraded: false, observed: true }
  ])
  await acquire('c')
  await acquire('d', { dry_run: true })
  t.strictSame(noted('violation'), [], 'neither a refresh nor a dry run is observed')
  await send('PUT', '/api/sessions/limits', { enabled: false })
  await acquire('e')
  t.strictSame(noted('violation'), [], 'limits that are off are not violated')

  const token = tokenFor(app, { ...ADMIN, jti: randomUUID() })
  const bearer = as(app, null)
  for (const authorization of [`Bearer ${token}`, `Bearer ${token}x`]) {
    await bearer('GET', active, undefined, { authorization })
    await bearer('GET', `${active}?token=${token}`, undefined, { authorization })
    await bearer('POST', admission, `{"username":"${token}`, { authorization })
    await bearer(
      'POST',
      admission,
      { username: 'alice', session_id: 'a', metadata: { token: { token } } },
      { authorization }
    )
  }
  t.not(log(), '')
  for (const part of [token, token.split('.')[2] ?? token]) {
    t.notOk(log().includes(part), `${store}: no token in the log`)
  }
}

for (const [store, app] of Object.entries(apps)) {
  const send = as(app, ADMIN)
  const acquire = async (username: string, id: string, more: object = {}) =>
    await send('POST', admission, {
      username,
      session_id: id,
      ...more
    })

  t.test(`${store}: who may do what`, async (t) => {
    const user = newUser()
    await acquire(user, `${user}-1`)
    await acquire(`${user}x`, `${user}x-1`, { from: 'sip:secret@x' })
    const item = { session_id: `${user}-1`, username: user }
    const writes = [
      ['POST', admission, { ...item }],
      ['POST', `${admission}/${user}-1/renew`, { username: user }],
      ['POST', `${admission}/renew`, { sessions: [item] }],
      ['PUT', '/api/sessions/nodes/who-may', { epoch: 1, sessions: [] }],
      ['DELETE', `${admission}/${user}-none`, undefined],
      ['DELETE', `/api/sessions/users/${user}y/sessions`, undefined]
    ] as const
    const reads = [
      '/api/sessions/active',
      `${admission}/${user}-1`,
      '/api/sessions/users',
      '/api/sessions/nodes',
      `/api/sessions/users/${user}`,
      `${active}?username=${user}`
    ]

    t.test('writing needs sessions:write, reading sessions:read', async (t) => {
      for (const [method, url, body] of writes) {
        isProblem(
          t,
          await as(app, null)(method, url, body),
          { status: 401, code: 'unauthorized' },
          `${method} ${url} without a token`
        )
        for (const claims of [
          viewer,
          nobody,
          { sub: user },
          { sub: 'x', permissions: ['sessions:read', 'limits:write', 'policy:write'] }
        ]) {
          isProblem(
            t,
            await as(app, claims)(method, url, body),
            { status: 403, code: 'forbidden' },
            `${method} ${url}`
          )
        }
        for (const claims of [pbx, { role: 'operator' }, { scope: 'sessions:write' }]) {
          t.equal((await as(app, claims)(method, url, body)).status, 200, `${method} ${url}`)
        }
      }
      for (const url of reads) {
        isProblem(t, await as(app, null)('GET', url), { status: 401, code: 'unauthorized' }, url)
        isProblem(t, await as(app, nobody)('GET', url), { status: 403, code: 'forbidden' }, url)
        for (const claims of [viewer, pbx, { scope: 'sessions:read' }]) {
          t.equal((await as(app, claims)('GET', url)).status, 200, url)
        }
      }
    })

    t.test("a user reads its own sessions and nobody else's", async (t) => {
      const mine = as(app, { sub: user })
      t.match(await mine('GET', `/api/sessions/users/${user}`), {
        status: 200,
        body: { username: user, count: 1, sessions: [{ session_id: `${user}-1` }] }
      })
      t.match(await mine('GET', `${active}?username=${user}`), {
        status: 200,
        body: { sessions: [{ session_id: `${user}-1` }] }
      })
      t.equal((await mine('GET', `${active}?username=${user}&count=1`)).status, 200)
      t.equal(
        (await mine('GET', `${active}?username=${encodeURIComponent(user)}&node=pbx-1`)).status,
        200
      )
      t.equal((await as(app, { username: user })('GET', `/api/sessions/users/${user}`)).status, 200)
      const other = `${user}x`
      for (const url of [
        `/api/sessions/users/${other}`,
        `/api/sessions/users/${user.toUpperCase()}`,
        `${active}?username=${other}`,
        active,
        `${active}?node=pbx-1`,
        `${active}?username=`,
        `${admission}/${user}-1`,
        `${active}?username=${user}&username=${other}`,
        `${active}?username=${other}&username=${user}`,
        `${active}?username=${user}&username=${user}`,
        `${active}?username[]=${user}`,
        `${active}?Username=${user}`,
        `${active}?node=${user}`,
        '/api/sessions/users',
        '/api/sessions/nodes',
        `/api/sessions/users/${user}%00`,
        `/api/sessions/users/${user}/`
      ]) {
        const answer = await mine('GET', url)
        t.ok([403, 404].includes(answer.status), `${url}: ${answer.status}`)
        t.notMatch(answer.text, /secret|session_id/)
      }
    })

    t.test('a forged cursor shows a user nothing of others', async (t) => {
      const mine = as(app, { sub: user })
      const other = `${user}x`
      const names = [
        `l${other}\n${other}-1`,
        `e${other}\n${other}-1`,
        `l${user}\n${other}-1`,
        `e${user}\n${other}-1`,
        `l\n${other}-1`,
        `e\n${other}-1`,
        `${other}-1`,
        ''
      ]
      const positions = [
        [0, null, names],
        [1, null, names],
        [0, '0', names],
        [9, '18446744073709551615', names],
        [0, '0', [], ''],
        [0, '0', [], other],
        '',
        other,
        null,
        5,
        {},
        [],
        [0, '0', [5]],
        [0, '0', [], 5]
      ]
      for (const position of positions) {
        for (const path of [
          `${active}?username=${user}&cursor=`,
          `/api/sessions/users/${user}?cursor=`
        ]) {
          const { status, text } = await mine('GET', path + encodeCursor(position))
          t.ok([200, 400].includes(status), `${JSON.stringify(position)}: ${status}`)
          t.notMatch(text, new RegExp(`secret|${other}`))
        }
      }
    })
  })
}

t.test('the SIP answer is configurable, and outcomes are in the log', async (t) => {
  for (const [store, start] of Object.entries({
    memory: async (env: NodeJS.ProcessEnv, logger: object) => await startApp(t, env, { logger }),
    redis: async (env: NodeJS.ProcessEnv, logger: object) =>
      await startApp(
        t,
        {
          ...env,
          ...own,
          REDIS_URL: redis.url,
          REDIS_KEY_PREFIX: `${randomUUID()}:`
        },
        { logger }
      )
  })) {
    const lines: Array<Record<string, unknown>> = []
    let log = ''
    const stream = new Writable({
      write (chunk: Buffer, _encoding, done) {
        log += chunk.toString()
        lines.push(
          ...chunk
            .toString()
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line) as Record<string, unknown>)
        )
        done()
      }
    })
    const app = await start(
      {
        SIP_REJECT_STATUS: '603',
        SIP_REJECT_REASON: 'Decline',
        MAX_SESSIONS_PER_USER: '1',
        LOG_LEVEL: 'trace'
      },
      { level: 'trace', stream }
    )
    await checkLog(t, store, app, lines, () => log)
  }
})
