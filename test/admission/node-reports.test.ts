/** Nodes' reports over HTTP, on the memory store and on Redis. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { ADMIN, as, startApp, startOwnApp } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import { RFC3339, listed, isProblem, newUser, admission } from './api.ts'

const redis = await startRedis(t)

const apps = {
  memory: await startApp(t),
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
              `"ended":["${alice}-ended"],"conflicts":["${bob}-1"],"degraded":false}`
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
        t.match(
          await put(node, { epoch: 8, sessions: [] }),
          { status: 200, body: { released: 2 } },
          'a restart ends what the old one held'
        )
        isProblem(
          t,
          await acquire(alice, `${alice}-known`),
          { status: 410, code: 'session_ended' },
          'ended by the node'
        )
      }
    )

    t.test('with as_of protects what started later', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const {
        body: { session }
      } = await acquire(user, `${user}-1`, { node })
      const before = new Date(Date.parse(session.started_at) - 1)
      t.match(await put(node, { epoch: 1, sessions: [], as_of: before.toISOString() }), {
        status: 200,
        body: { released: 0 }
      })
      t.match(await put(node, { epoch: 1, sessions: [], as_of: '2020-01-01T00:00:00+01:00' }), {
        status: 200,
        body: { released: 0 }
      })
      t.match(await put(node, { epoch: 1, sessions: [], as_of: session.started_at }), {
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
      t.match(await put(node, { epoch: 2, sessions: [] }), {
        status: 200,
        body: { released: 20_000 }
      })
    })

    t.test('is 400 for a malformed report', async (t) => {
      const item = { session_id: 'x', username: 'a' }
      for (const body of [
        {},
        '',
        { epoch: 1 },
        { sessions: [] },
        ...[-1, 1.5, '1', null, 2 ** 53].map((epoch) => ({ epoch, sessions: [] })),
        ...['yesterday', '', 5, '2026-11-22', '2026-13-01T00:00:00Z'].map((asOf) => ({
          epoch: 1,
          sessions: [],
          as_of: asOf
        })),
        { epoch: 1, sessions: [{ ...item, node: 'n' }] },
        { epoch: 1, sessions: [{ ...item, username: '__proto__' }] },
        {
          epoch: 1,
          sessions: [{ session_id: 'x' }]
        },
        { epoch: 1, sessions: [{ ...item, metadata: { a: [] } }] },
        { epoch: 1, sessions: [], ttl: 9 },
        { epoch: 1, sessions: [], extra: 1 }
      ]) {
        t.match(
          await put('n', body),
          { status: 400, body: { code: 'invalid_input' } },
          JSON.stringify(body)
        )
      }
      for (const node of ['a%20b', '%00', 'n'.repeat(129), 'a%2Fb']) {
        t.equal((await put(node, { epoch: 1, sessions: [] })).status, 400, node)
      }
      t.notOk(
        (await send('GET', '/api/sessions/nodes')).body.nodes.some(
          ({ node }: { node: string }) => node === 'n'
        ),
        'nothing of it was noted'
      )
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
