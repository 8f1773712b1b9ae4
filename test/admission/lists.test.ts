/** Lists of sessions, users and nodes over HTTP, on the memory store and on Redis. */
import { randomUUID } from 'node:crypto'
import t from 'tap'
import { ADMIN, as, startApp, startOwnApp } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import { active, listed, isProblem, bare, timeless, newUser, admission } from './api.ts'

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

  t.test(`${store}: lists`, async (t) => {
    t.test('GET of one session is 200, or 404 when it is not up', async (t) => {
      const user = newUser()
      await acquire(user, `${user}-1`)
      const { status, body } = await send('GET', `${admission}/${user}-1`)
      t.equal(status, 200)
      t.strictSame(timeless(t, body), bare(user, `${user}-1`))
      isProblem(
        t,
        await send('GET', `${admission}/${user}-2`),
        { status: 404, code: 'not_found' },
        'unknown'
      )
    })

    t.test('sessions that are up, of a user, of a node, of both, in pages', async (t) => {
      const [user, node] = [newUser(), `pbx-${randomUUID()}`]
      const ids = Array.from({ length: 5 }, (_, i) => `${user}-${i}`)
      for (const [i, id] of ids.entries()) await acquire(user, id, i < 3 ? { node } : {})
      await acquire(`${user}-b`, `${user}-b1`, { node })
      for (const count of [1, 2, 1000]) {
        t.strictSame(await listed(send, `username=${user}&count=${count}`), ids)
        t.strictSame(await listed(send, `node=${node}&count=${count}`), [
          ...ids.slice(0, 3),
          `${user}-b1`
        ])
        t.strictSame(
          await listed(send, `username=${user}&node=${node}&count=${count}`),
          ids.slice(0, 3)
        )
      }
      const all = await listed(send, 'count=100')
      for (const id of [...ids, `${user}-b1`]) {
        t.equal(all.filter((one) => one === id).length, 1, 'exactly once among all')
      }
      t.strictSame((await send('GET', `${active}?username=${newUser()}`)).body, {
        sessions: [],
        next_cursor: null
      })
      t.strictSame(
        (await send('GET', `${active}?username=a%20b`)).body,
        { sessions: [], next_cursor: null },
        'another program may have stored a name of another form'
      )
      for (const query of [
        'count=0',
        'count=1001',
        'count=x',
        'count=1.5',
        'cursor=!',
        'cursor=bnVsbA',
        `username=${'a'.repeat(257)}`,
        'username=_default',
        'node=a%20b',
        'extra=1',
        'username=a&username=b',
        `cursor=${'a'.repeat(12_001)}`
      ]) {
        t.match(
          await send('GET', `${active}?${query}`),
          { status: 400, body: { code: 'invalid_input' } },
          query.slice(0, 40)
        )
      }
    })

    t.test('a user with its limit, count and sessions, in pages too', async (t) => {
      const user = newUser()
      await send('PUT', `/api/sessions/limits/${user}`, { limit: 9 })
      const sessions = [
        (await acquire(user, `${user}-1`)).body.session,
        (await acquire(user, `${user}-2`)).body.session
      ]
      const { status, body } = await send('GET', `/api/sessions/users/${user}`)
      t.equal(status, 200)
      const byId = (a: { session_id: string }, b: { session_id: string }) =>
        a.session_id < b.session_id ? -1 : 1
      t.strictSame(
        { ...body, sessions: body.sessions.sort(byId) },
        { username: user, limit: 9, count: 2, sessions, next_cursor: null }
      )
      const page = await send('GET', `/api/sessions/users/${user}?count=1`)
      t.match(page.body, { count: 2, sessions: [{}], next_cursor: String })
      t.equal(
        (await send('GET', `/api/sessions/users/${user}?count=1&cursor=${page.body.next_cursor}`))
          .body.sessions.length,
        1
      )
      t.strictSame((await send('GET', `/api/sessions/users/${user}x`)).body, {
        username: `${user}x`,
        limit: 5,
        count: 0,
        sessions: [],
        next_cursor: null
      })
      for (const path of ['a'.repeat(257), '_default', `${user}?count=0`, `${user}?x=1`]) {
        t.equal((await send('GET', `/api/sessions/users/${path}`)).status, 400, path)
      }
    })

    t.test('users by the number of their sessions', async (t) => {
      const [big, small] = [newUser(), newUser()]
      await send('PUT', `/api/sessions/limits/${big}`, { limit: 0 })
      for (let i = 0; i < 300; i += 100) {
        await send('POST', `${admission}/renew`, {
          sessions: Array.from({ length: 100 }, (_, j) => ({
            session_id: `${big}-${i + j}`,
            username: big
          }))
        })
      }
      await acquire(small, `${small}-1`)
      const { status, body } = await send('GET', '/api/sessions/users?limit=1')
      t.equal(status, 200)
      t.strictSame(
        { ...body, total: 0 },
        {
          users: [
            {
              username: big,
              sessions: 300,
              activeSessions: 300,
              limit: 0,
              unlimited: true,
              source: 'user'
            }
          ],
          page: 1,
          limit: 1,
          total: 0
        }
      )
      t.ok(body.total >= 2)
      const lists = await Promise.all(
        ['sessions_desc', 'sessions_asc'].map(
          async (sort) => (await send('GET', `/api/sessions/users?limit=1000&sort=${sort}`)).body
        )
      )
      for (const [i, { users, total }] of lists.entries()) {
        t.equal(users.length, total)
        const sizes = users.map(({ sessions }: { sessions: number }) =>
          i === 0 ? -sessions : sessions
        )
        t.strictSame(
          sizes,
          [...sizes].sort((a: number, b: number) => a - b)
        )
      }
      const second = await send('GET', '/api/sessions/users?limit=2&page=2')
      t.strictSame(second.body.users, lists[0].users.slice(2, 4))
      t.match(second.body, { page: 2, limit: 2 })
      t.match((await send('GET', '/api/sessions/users')).body, { page: 1, limit: 50 })
      t.strictSame((await send('GET', '/api/sessions/users?page=10&limit=1000')).body.users, [])
      for (const query of [
        'page=0',
        'limit=0',
        'limit=1001',
        'page=x',
        'sort=up',
        'sort=',
        'page=11&limit=1000',
        'page=10001&limit=1',
        'x=1'
      ]) {
        t.match(
          await send('GET', `/api/sessions/users?${query}`),
          { status: 400, body: { code: 'invalid_input', errors: [{ path: /^querystring/ }] } },
          query
        )
      }
      await send('DELETE', `/api/sessions/users/${big}/sessions`)
    })

    t.test('ending all sessions of a user names them', async (t) => {
      const user = newUser()
      await acquire(user, `${user}-1`)
      await acquire(user, `${user}-2`)
      const { status, body } = await send('DELETE', `/api/sessions/users/${user}/sessions`, {
        reason: 'fraud'
      })
      t.strictSame(
        [status, { ...body, terminated: body.terminated.sort() }],
        [
          200,
          { success: true, terminated: [`${user}-1`, `${user}-2`], spared: [], degraded: false }
        ]
      )
      t.equal(
        (await send('DELETE', `/api/sessions/users/${user}/sessions`)).text,
        '{"success":true,"terminated":[],"spared":[],"degraded":false}'
      )
      t.equal((await acquire(user, `${user}-1`)).status, 410)
      for (const body of [{ reason: 5 }, { x: 1 }, { include_emergency: 'true' }, '[]']) {
        t.equal((await send('DELETE', `/api/sessions/users/${user}/sessions`, body)).status, 400)
      }
      t.equal((await send('DELETE', '/api/sessions/users/_default/sessions')).status, 400)
    })

    t.test('ending all sessions of a user spares emergency calls unless told', async (t) => {
      const user = newUser()
      const path = `/api/sessions/users/${user}/sessions`
      await acquire(user, `${user}-1`)
      await acquire(user, `${user}-sos`, { emergency: true })
      t.match(await send('DELETE', path), {
        status: 200,
        body: { terminated: [`${user}-1`], spared: [`${user}-sos`] }
      })
      t.strictSame(await listed(send, `username=${user}`), [`${user}-sos`])
      t.match(await send('DELETE', path, { include_emergency: true }), {
        status: 200,
        body: { terminated: [`${user}-sos`], spared: [] }
      })
      t.equal((await acquire(user, `${user}-sos`)).status, 410)
    })
  })
}
