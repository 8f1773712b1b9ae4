/** Tokens that are bound to a switch node (BIND_NODES). */
import t from 'tap'
import { BY_POST } from '../../plugins/by-post.ts'
import { ACCESS } from '../../services/auth/access-table.ts'
import { type Claims, as, startApp, startAppOn } from '../helpers/app.ts'
import { isBackground, monitorRedis } from '../helpers/redis-monitor.ts'
import { startRedis } from '../helpers/servers.ts'

/** A body for each route that changes sessions, about the session `id` of alice on a node. */
const changes: Record<string, (id: string, node: string) => object | undefined> = {
  'POST /api/sessions': (id) => ({ username: 'alice', session_id: id }),
  'POST /api/sessions/renew': (id) => ({
    sessions: [
      { session_id: `${id}-new`, username: 'alice' },
      { session_id: id, username: 'alice' }
    ]
  }),
  'POST /api/sessions/:session_id/renew': () => ({ username: 'alice' }),
  'DELETE /api/sessions/:session_id': () => undefined,
  'POST /api/sessions/release': (id) => ({
    sessions: [{ session_id: `${id}-new` }, { session_id: id }]
  }),
  'PUT /api/sessions/nodes/:node': (id) => ({
    epoch: 1,
    sessions: [{ session_id: id, username: 'alice' }]
  }),
  'DELETE /api/sessions/nodes/:node': () => undefined,
  'DELETE /api/sessions/users/:username/sessions': () => undefined,
  'POST /api/sessions/sweep': () => undefined,
  'POST /api/auth/api-keys': () => ({ name: 'k', role: 'switch' }),
  'GET /api/auth/api-keys': () => undefined,
  'DELETE /api/auth/api-keys/:id': () => undefined
}
for (const [route, url] of Object.entries(BY_POST)) {
  const body = changes[route]
  if (body !== undefined) changes[`POST ${url}`] = body
}
/** What a node may do to itself. */
const FORGETS = ['DELETE /api/sessions/nodes/:node', 'POST /api/sessions/nodes/:node/forget']

t.test('with BIND_NODES, the token of a switch node', async (t) => {
  const redis = await startRedis(t)
  const app = await startAppOn(t, redis, {
    BIND_NODES: 'true',
    MAX_SESSIONS_PER_USER: '0',
    GHOST_SWEEP_INTERVAL_SECONDS: '0'
  })
  const of = (claims: Claims) => as(app, { sub: 'sw', role: 'switch', ...claims })
  const [a, b, unbound] = [of({ node: 'pbx-a' }), of({ node: 'pbx-b' }), of({})]
  const change = async (send: typeof a, route: string, id: string, node: string) => {
    const [method, pattern = ''] = route.split(' ')
    const path = pattern
      .replace(':session_id', id)
      .replace(':node', node)
      .replace(':username', 'alice')
    return await send(method as 'GET', path, changes[route]?.(id, node))
  }
  const routes = Object.entries(ACCESS).flatMap(([route, access]) =>
    access !== 'public' && 'changes' in access ? [{ route, changes: access.changes }] : []
  )
  t.strictSame(
    routes.map(({ route }) => route).sort(),
    Object.keys(changes).sort(),
    'every route that changes sessions is tried'
  )

  t.test('takes sessions for its node, whether it names it or not', async (t) => {
    for (const [body, status, node] of [
      [{ session_id: 'a-1' }, 201, 'pbx-a'],
      [{ session_id: 'a-2', node: 'pbx-a' }, 201, 'pbx-a'],
      [{ session_id: 'a-3', node: 'pbx-b' }, 403],
      [{ session_id: 'a-3', node: 'PBX-A' }, 403],
      [{ session_id: 'a-3', node: 'pbx-b', emergency: true }, 403]
    ] as const) {
      const answer = await a('POST', '/api/sessions', { username: 'alice', ...body })
      t.match(
        answer,
        {
          status,
          body: status === 201 ? { session: { node } } : { code: 'forbidden', detail: /pbx-a/ }
        },
        JSON.stringify(body)
      )
    }
    t.match(await a('POST', '/api/sessions/a-4/renew', { username: 'alice' }), {
      status: 200,
      body: { session: { node: 'pbx-a' } }
    })
    await a('POST', '/api/sessions/renew', { sessions: [{ session_id: 'a-5', username: 'alice' }] })
    t.match(
      await a('GET', '/api/sessions/a-5'),
      { body: { node: 'pbx-a' } },
      'and so do renewals of what was unknown'
    )
  })

  t.test('changes sessions of its own node only', async (t) => {
    await unbound('POST', '/api/sessions', { username: 'alice', session_id: 'free' })
    for (const { route, changes } of routes) {
      const before = (await a('GET', '/api/sessions/active?username=alice')).text
      for (const [id, node] of [
        ['a-1', 'pbx-a'],
        ['a-1', 'pbx-b'],
        ['free', 'pbx-b']
      ] as const) {
        const { status } = await change(b, route, id, node)
        // Whoever has a node may forget it: that reaches no session of another.
        const own = FORGETS.includes(route) && node === 'pbx-b'
        t.equal(status, own ? 200 : 403, `${route} ${id} ${node}`)
      }
      t.equal(
        (await a('GET', '/api/sessions/active?username=alice')).text,
        before,
        `${route} changed nothing`
      )
      if (changes === 'any') {
        t.equal(
          (await change(a, route, 'a-1', 'pbx-a')).status,
          403,
          `${route} reaches beyond any node`
        )
      }
    }
    for (const { route, changes } of routes) {
      if (changes === 'any') continue
      await a('POST', '/api/sessions', {
        username: 'alice',
        session_id: `mine ${route}`.replace(/\W/g, '-')
      })
      const { status } = await change(a, route, `mine ${route}`.replace(/\W/g, '-'), 'pbx-a')
      t.equal(status, 200, route)
    }
    t.match(
      await a('DELETE', '/api/sessions/nobodys'),
      { status: 200, body: { released: false } },
      "what is not up is nobody's"
    )
  })

  t.test('takes over sessions that the switch recorded, which have no node', async (t) => {
    const external = {
      session_id: 'ext-1',
      call_id: 'c',
      username: 'carol',
      from_uri: '',
      to_uri: '',
      status: 'active',
      created_at: 1,
      last_activity: 1
    }
    await app.redis.set('voice-ferry-c4:session:ext-1', JSON.stringify(external), 'EX', 60)
    await app.redis.set('voice-ferry-c4:session:ext-2', JSON.stringify(external), 'EX', 60)
    await app.redis.sadd('voice-ferry-c4:user-sessions:carol', 'ext-1', 'ext-2')
    for (const path of ['ext-2', 'ext-2?username=carol']) {
      t.match(
        await b('DELETE', `/api/sessions/${path}`),
        { status: 200, body: { released: false } },
        'until then it is not theirs to end'
      )
    }
    t.match(
      await unbound('DELETE', '/api/sessions/ext-2?username=carol&node=pbx-b'),
      { status: 200, body: { released: false } },
      'nor that of a node that somebody names'
    )
    t.match((await b('GET', '/api/sessions/counts/carol')).body, { count: 2, external: 2 })
    t.equal(
      (await a('POST', '/api/sessions', { username: 'carol', session_id: 'ext-1' })).status,
      201
    )
    t.equal(
      (await b('DELETE', '/api/sessions/ext-1?username=carol')).status,
      403,
      'and has it then'
    )
  })

  t.test('with a malformed node claim changes nothing', async (t) => {
    for (const node of [
      '',
      null,
      5,
      true,
      ['pbx-a'],
      { name: 'pbx-a' },
      'pbx-a ',
      'pbx-a\npbx-b',
      '..'
    ]) {
      for (const { route } of routes) {
        t.equal(
          (await change(of({ node }), route, 'any', 'pbx-a')).status,
          403,
          `${JSON.stringify(node)} ${route}`
        )
      }
    }
  })

  t.test('costs Redis nothing more', async (t) => {
    const monitor = await monitorRedis(t, redis)
    const commands = async (send: typeof a, session_id: string, node?: string) => {
      await monitor.take()
      await send('POST', '/api/sessions', {
        username: 'dave',
        session_id,
        ...(node !== undefined && { node })
      })
      return await monitor.take()
    }
    // Only a look at one session reads what the switch has of it.
    const looks = async (...request: Parameters<typeof commands>) =>
      (await commands(...request)).filter(
        ([, key]) => key === `voice-ferry-c4:session:${request[1]}`
      ).length
    t.equal(await looks(unbound, 'd-1', 'pbx-a'), 0)
    t.equal(await looks(a, 'd-2'), 0)
    const report = async (send: typeof a, node: string) => {
      const sessions = Array.from({ length: 300 }, (_, i) => ({
        session_id: `${node}-${i}`,
        username: 'dave'
      }))
      await monitor.take()
      await send('PUT', `/api/sessions/nodes/${node}`, { epoch: 1, sessions })
      return (await monitor.take()).filter((seen) => !isBackground(seen)).length
    }
    const free = await report(unbound, 'pbx-f')
    t.equal(await report(b, 'pbx-b'), free, 'a report takes as many commands as of any caller')
    t.same(
      (await commands(a, 'd-3', 'pbx-b')).filter((seen) => !isBackground(seen)),
      [],
      'nothing for what is refused'
    )
  })

  t.test('admits while Redis is away, but does not change sessions of other nodes', async (t) => {
    await unbound('POST', '/api/sessions', {
      username: 'alice',
      session_id: 'known',
      node: 'pbx-a'
    })
    await redis.stop()
    t.match(await b('POST', '/api/sessions', { username: 'erin', session_id: 'away-1' }), {
      status: 201,
      body: { degraded: true }
    })
    t.equal((await b('DELETE', '/api/sessions/known?username=alice')).status, 403)
  })
})

t.test('without BIND_NODES a node claim is ignored', async (t) => {
  const app = await startApp(t)
  const send = as(app, { sub: 'sw', role: 'switch', node: 'pbx-a' })
  t.match(
    await send('POST', '/api/sessions', { username: 'alice', session_id: 'x', node: 'pbx-b' }),
    { status: 201, body: { session: { node: 'pbx-b' } } }
  )
  t.match(await send('POST', '/api/sessions', { username: 'alice', session_id: 'y' }), {
    status: 201,
    body: { session: { node: null } }
  })
  t.equal((await send('DELETE', '/api/sessions/users/alice/sessions')).status, 200)
})
