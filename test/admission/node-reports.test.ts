/** Nodes' reports over HTTP, on the memory store and on Redis. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { ADMIN, as, startApp, startOwnApp } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import { RFC3339, listed, isProblem, makeOlder, newUser, admission } from './api.ts'

const redis = await startRedis(t)

let aheadMs = 0

const apps = {
  memory: await startApp(t, {}, { clock: () => Date.now() + aheadMs }),
  redis: await startOwnApp(t, redis)
}

for (const [store, app] of Object.entries(apps)) {
  const send = as(app, ADMIN)
  const acquire = async (username: string, id: string, more: object = {}) =>
    await send('POST', admission, {
      username,
      session_id: id,
      ...more
    })

  /** Lets so much time go by that these sessions are not young any more. */
  const older = async (...ids: string[]) => {
    if (app === apps.memory) aheadMs += 20_000
    else await makeOlder(app, ids)
  }

  t.test(`${store}: a node's report`, async (t) => {
    const put = async (node: string, body: object | string) =>
      await send('PUT', `/api/sessions/nodes/${node}`, body)

    t.test(
      'answers with the tally, and 409 stale_epoch that names the epoch when it goes backwards',
      async (t) => {
        const [alice, bob, node] = [newUser(), newUser(), `pbx-${randomUUID()}`]
        await acquire(alice, `${alice}-known`, { node })
        await acquire(alice, `${alice}-dropped`, { node })
        await acquire(alice, `${alice}-ended`, { node })
        await send('DELETE', `${admission}/${alice}-ended`)
        await acquire(bob, `${bob}-1`)
        await older(`${alice}-known`, `${alice}-dropped`)
        const sessions = [
          { session_id: `${alice}-known`, username: alice },
          { session_id: `${alice}-ended`, username: alice },
          {
            session_id: `${bob}-1`,
            username: alice
          },
          {
            session_id: `${alice}-new`,
            username: alice,
            call_id: 'c',
            from: 'f',
            to: 't',
            direction: 'inbound',
            emergency: true,
            metadata: { k: 1 }
          }
        ]
        const { status, text } = await put(node, { epoch: 7, sessions, ttl: 60 })
        t.strictSame(
          [status, text],
          [
            200,
            '{"renewed":1,"registered":1,"released":1,' +
              `"ended":["${alice}-ended"],"conflicts":["${bob}-1"],"invalid":[],"degraded":false}`
          ]
        )
        t.match((await send('GET', `${admission}/${alice}-new`)).body, {
          node,
          call_id: 'c',
          from: 'f',
          to: 't',
          direction: 'inbound',
          emergency: true,
          metadata: { k: 1 }
        })
        isProblem(
          t,
          await put(node, { epoch: 6, sessions: [] }),
          { status: 409, code: 'stale_epoch', node, epoch: 7 },
          'from before the restart'
        )
        t.strictSame(await listed(send, `node=${node}`), [`${alice}-known`, `${alice}-new`])
        await older(`${alice}-known`, `${alice}-new`)
        t.match(
          await put(node, { epoch: 8, sessions: [] }),
          { status: 200, body: { released: 2 } },
          'a restart frees what the old one held'
        )
        t.equal((await send('GET', `${admission}/${alice}-known`)).status, 404)
        t.match(
          await acquire(alice, `${alice}-known`),
          { status: 201, body: { count: 1 } },
          'what was missing has not ended'
        )
      }
    )

    t.test('frees what is missing, and takes it again when it is listed again', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const ids = Array.from({ length: 5 }, (_, i) => `${user}-c${i}`)
      const sessions = ids.map((id) => ({ session_id: id, username: user }))
      t.match(await put(node, { epoch: 1, sessions }), { body: { registered: 5 } })
      t.match(await put(node, { epoch: 1, sessions: [] }), { body: { released: 0 } }, 'all young')
      await older(...ids)
      t.match(await put(node, { epoch: 1, sessions: [] }), {
        status: 200,
        body: { released: 5, ended: [] }
      })
      t.equal((await send('GET', `/api/sessions/counts/${user}`)).body.count, 0)
      t.match(await put(node, { epoch: 1, sessions }), {
        status: 200,
        body: { registered: 5, renewed: 0, ended: [], conflicts: [] }
      })
      t.strictSame(await listed(send, `node=${node}`), ids)
    })

    t.test('names an item that is not valid, and takes the others', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const good = { session_id: `${user}-1`, username: '*72' }
      const bad = [
        { ...good, username: 'a b' },
        null,
        { session_id: 'x' },
        { ...good, node: 'n' },
        { ...good, username: '__proto__' },
        { ...good, metadata: { a: [] } }
      ]
      const { status, body } = await put(node, { epoch: 1, sessions: [...bad, good] })
      t.equal(status, 200)
      t.match(body, { registered: 1, ended: [], conflicts: [] })
      t.strictSame(
        body.invalid.map(({ detail: _why, ...rest }: { detail: string }) => rest),
        bad.map((item, index) => ({
          index,
          session_id: item?.session_id ?? null,
          username: (item as { username?: string } | null)?.username ?? null
        }))
      )
      t.match(body.invalid, bad.map(() => ({ detail: /\S/ })))
      t.strictSame(await listed(send, `node=${node}`), [`${user}-1`])
    })

    t.test('is 409 incomplete_report, and frees nothing, when its total differs', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const sessions = [{ session_id: `${user}-1`, username: user }]
      await put(node, { epoch: 1, sessions, total: 1 })
      await older(`${user}-1`)
      for (const [total, list] of [[1, []], [0, sessions], [2, sessions]] as const) {
        const answer = await put(node, { epoch: 1, sessions: list, total })
        t.match(answer, { status: 409, body: { code: 'incomplete_report', node, total } })
        t.match(answer.body, { given: list.length })
      }
      t.strictSame(await listed(send, `node=${node}`), [`${user}-1`])
      t.match(await put(node, { epoch: 1, sessions: [], total: 0 }), { body: { released: 1 } })
    })

    t.test('may come in parts, and frees what is missing with the last', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const ids = ['a', 'b', 'c'].map((name) => `${user}-${name}`)
      const list = (...which: number[]) =>
        which.map((i) => ({ session_id: ids[i], username: user }))
      await put(node, { epoch: 1, sessions: list(0, 1, 2) })
      await older(...ids)
      const part = async (number: number, sessions: object[], more: object = {}) =>
        await put(node, { epoch: 1, sessions, part: number, parts: 2, ...more })
      t.match(
        await part(2, []),
        { status: 409, body: { code: 'incomplete_report' } },
        'part 2 without part 1'
      )
      t.strictSame(await listed(send, `node=${node}`), ids)
      t.match(await part(1, list(0), { total: 2 }), {
        status: 200,
        body: { renewed: 1, released: 0 }
      })
      t.match(await part(2, list(1), { total: 2 }), {
        status: 200,
        body: { renewed: 1, released: 1 }
      })
      t.strictSame(await listed(send, `node=${node}`), ids.slice(0, 2))
      for (const [number, parts] of [[1], [undefined, 2], [3, 2], [0, 2], [1, 101]]) {
        const wrong = { epoch: 1, sessions: [], part: number, parts }
        t.equal((await put(node, wrong)).status, 400, `${number} of ${parts}`)
      }
    })

    t.test('is taken by POST as well, and DELETE forgets its node', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const path = `/api/sessions/nodes/${node}`
      const sessions = [{ session_id: `${user}-1`, username: user }]
      const highest = Number.MAX_SAFE_INTEGER
      t.match(await send('POST', path, { epoch: highest, sessions }), {
        status: 200,
        body: { registered: 1 }
      })
      t.match(await send('POST', path, { epoch: 6, sessions }), { status: 409 })
      t.strictSame((await send('DELETE', path)).body, {
        success: true,
        node,
        released: 1,
        degraded: false
      })
      t.strictSame(await listed(send, `node=${node}`), [])
      t.match(
        await send('POST', path, { epoch: 6, sessions }),
        { status: 200, body: { registered: 1, ended: [] } },
        'its epoch is forgotten'
      )
    })

    t.test('with as_of or age_seconds protects what began 10 s before or later', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const {
        body: { session }
      } = await acquire(user, `${user}-1`, { node })
      await older(`${user}-1`)
      const started = (await send('GET', `${admission}/${user}-1`)).body.started_at
      const enough = Date.parse(started) + 10_000
      const before = new Date(enough - 1)
      t.equal(
        Date.parse(session.started_at) - Date.parse(started),
        app === apps.memory ? 0 : 20_000
      )
      t.match(await put(node, { epoch: 1, sessions: [], age_seconds: 86_400 }), {
        status: 200,
        body: { released: 0 }
      })
      t.match(await put(node, { epoch: 1, sessions: [], as_of: before.toISOString() }), {
        status: 200,
        body: { released: 0 }
      })
      t.match(await put(node, { epoch: 1, sessions: [], as_of: '2020-01-01T00:00:00+01:00' }), {
        status: 200,
        body: { released: 0 }
      })
      t.match(await put(node, { epoch: 1, sessions: [], as_of: new Date(enough).toISOString() }), {
        status: 200,
        body: { released: 1 }
      })
    })

    t.test('may list 20,000 sessions, not 20,001', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const sessions = Array.from({ length: 20_001 }, (_, i) => ({
        session_id: `${user}-${i}`,
        username: `${user}-${i % 100}`
      }))
      isProblem(
        t,
        await put(node, { epoch: 1, sessions }),
        { status: 400, code: 'invalid_input' },
        '20,001'
      )
      t.match(await put(node, { epoch: 1, sessions: sessions.slice(1) }), {
        status: 200,
        body: { registered: 20_000, ended: [], conflicts: [] }
      })
      t.match(
        (await send('GET', '/api/sessions/nodes?count=1000')).body.nodes.filter(
          (one: { node: string }) => one.node === node
        ),
        [{ sessions: 20_000 }]
      )
      await older(...sessions.slice(1).map((one) => one.session_id))
      t.match(await put(node, { epoch: 2, sessions: [] }), {
        status: 200,
        body: { released: 20_000 }
      })
    })

    t.test('is 400 for a malformed report', async (t) => {
      for (const body of [
        {},
        '',
        { epoch: 1 },
        { sessions: [] },
        ...[-1, 1.5, '1', null, 2 ** 53].map((epoch) => ({ epoch, sessions: [] })),
        ...[
          'yesterday',
          '',
          5,
          '2026-11-22',
          '2026-13-01T00:00:00Z',
          '2026-02-30T00:00:00Z',
          '2026-11-22T10:00:60Z',
          '2026-11-22T23:59:60Z',
          '2026-11-22T10:00:00+05',
          '2026-11-22T10:00:00+01'
        ].map((asOf) => ({
          epoch: 1,
          sessions: [],
          as_of: asOf
        })),
        ...[-1, 86_401, '5', null].map((age) => ({ epoch: 1, sessions: [], age_seconds: age })),
        { epoch: 1, sessions: [], as_of: '2026-11-22T10:00:00Z', age_seconds: 1 },
        { epoch: 1, sessions: {} },
        { epoch: 1, sessions: [], total: -1 },
        { epoch: 1, sessions: [], ttl: 9 },
        { epoch: 1, sessions: [], extra: 1 }
      ]) {
        t.match(
          await put('n', body),
          { status: 400, body: { code: 'invalid_input' } },
          JSON.stringify(body)
        )
      }
      for (const node of ['a%20b', '%00', 'n'.repeat(129), '%7Ba%7D']) {
        t.equal((await put(node, { epoch: 1, sessions: [] })).status, 400, node)
      }
      t.notOk(
        (await send('GET', '/api/sessions/nodes')).body.nodes.some(
          ({ node }: { node: string }) => node === 'n'
        ),
        'nothing of it was noted'
      )
    })

    t.test('with an as_of that is no instant is 400, and changes nothing', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      await acquire(user, `${user}-1`, { node })
      await older(`${user}-1`)
      const before = await send('GET', `${admission}/${user}-1`)
      t.equal(before.status, 200)
      for (const asOf of ['2026-11-22T10:00:00+05', '2026-11-22T23:59:60Z']) {
        const report = { epoch: 9, sessions: [], as_of: asOf }
        for (const method of ['PUT', 'POST'] as const) {
          t.match(await send(method, `/api/sessions/nodes/${node}`, report), {
            status: 400,
            body: { code: 'invalid_input', errors: [{ path: 'body/as_of' }] }
          }, `${method} ${asOf}`)
        }
      }
      t.strictSame((await send('GET', `${admission}/${user}-1`)).body, before.body)
      t.strictSame(await listed(send, `node=${node}`), [`${user}-1`])
      t.match((await send('GET', `/api/sessions/counts/${user}`)).body, { count: 1 })
      for (const asOf of ['2026-11-22t10:00:00z', '2026-11-22T10:00:00.123456789012345678+05:30']) {
        const lower = { epoch: 1, sessions: [], as_of: asOf }
        t.match(await put(node, lower), { status: 200, body: { released: 0 } }, 'nor the epoch')
      }
    })

    t.test('shows in the list of nodes', async (t) => {
      const node = `pbx-${randomUUID()}`
      await put(node, {
        epoch: 1795300000,
        sessions: [{ session_id: `${node}-1`, username: newUser() }]
      })
      const { body } = await send('GET', '/api/sessions/nodes')
      const mine = body.nodes.find((one: { node: string }) => one.node === node)
      t.match(mine.last_seen, RFC3339)
      t.strictSame(
        { ...mine, last_seen: '' },
        { node, epoch: 1795300000, last_seen: '', sessions: 1 }
      )
      t.equal(body.next_cursor, null)
      t.match((await send('GET', '/api/sessions/nodes?count=1')).body, {
        nodes: [{}],
        next_cursor: String
      })
    })
  })
}
