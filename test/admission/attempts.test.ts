/** Attempts and releases over HTTP, on the memory store and on Redis. */
import t from 'tap'
import { ADMIN, as, startApp, startOwnApp } from '../helpers/app.ts'
import { startRedis } from '../helpers/servers.ts'
import { admission, isProblem, listed, newUser } from './api.ts'

const redis = await startRedis(t)

const apps = {
  memory: await startApp(t),
  redis: await startOwnApp(t, redis)
}

const ended = { status: 410, code: 'session_ended' }

for (const [store, app] of Object.entries(apps)) {
  const send = as(app, ADMIN)
  const acquire = async (username: string, id: string, more: object = {}) =>
    await send('POST', admission, { username, session_id: id, ...more })

  t.test(`${store}: attempts`, async (t) => {
    t.test('a release that overtakes its call ends it', async (t) => {
      const user = newUser()
      t.match(await send('DELETE', `${admission}/${user}-1`), { body: { released: false } })
      isProblem(t, await acquire(user, `${user}-1`), ended, 'the call that was given up')
      t.match(
        await send('DELETE', `${admission}/${user}-2?attempt=3`),
        { status: 200, body: { released: false } }
      )
      isProblem(t, await acquire(user, `${user}-2`, { attempt: 3 }), ended, 'the same attempt')
      isProblem(t, await acquire(user, `${user}-2`, { attempt: 2 }), ended, 'a lower attempt')
      t.match(await acquire(user, `${user}-2`, { attempt: 4 }), {
        status: 201,
        body: { session: { attempt: 4 } }
      })
    })

    t.test('a call that is asked for its password comes again with a higher attempt', async (t) => {
      const user = newUser()
      const id = `${user}-1`
      t.match(await acquire(user, id, { attempt: 1 }), {
        status: 201,
        body: { count: 1, session: { attempt: 1 } }
      })
      t.match(await send('DELETE', `${admission}/${id}?attempt=1`), { body: { released: true } })
      isProblem(t, await acquire(user, id, { attempt: 1 }), ended, 'the first attempt, late')
      t.match(await acquire(user, id, { attempt: 2 }), {
        status: 201,
        body: { count: 1, session: { attempt: 2 } }
      })
      t.match(
        await send('DELETE', `${admission}/${id}?attempt=1`),
        { status: 200, body: { released: false } },
        'a late release of the first touches nothing'
      )
      isProblem(
        t,
        await send('POST', `${admission}/${id}/renew`, { username: user, attempt: 1 }),
        ended,
        'nor does a renewal of it'
      )
      t.match(await send('GET', `${admission}/${id}`), { status: 200, body: { attempt: 2 } })
      t.match(await acquire(user, id, { attempt: 3 }), {
        status: 200,
        body: { count: 1, session: { attempt: 3 } }
      })
    })

    t.test('a release for a node leaves the leases of others', async (t) => {
      const user = newUser()
      await acquire(user, `${user}-1`, { node: 'pbx-1' })
      for (const path of [`${user}-1?node=pbx-2`, `${user}-1?node=pbx-2&username=${user}`]) {
        t.match(await send('DELETE', `${admission}/${path}`), { body: { released: false } })
      }
      t.equal((await send('GET', `${admission}/${user}-1`)).status, 200)
      t.match(await send('DELETE', `${admission}/${user}-1?node=pbx-1`), {
        body: { released: true }
      })
    })
  })

  t.test(`${store}: releases by POST`, async (t) => {
    t.test('of one session are answered as those by DELETE', async (t) => {
      const user = newUser()
      for (const [i, body] of [undefined, {}, { reason: 'hangup' }].entries()) {
        const id = `${user}-${i}`
        await acquire(user, id)
        for (const released of [true, false]) {
          const query = `?username=${user}&attempt=0`
          const { status, text } = await send('POST', `${admission}/${id}/release${query}`, body)
          t.strictSame(
            [status, text],
            [200, `{"success":true,"session_id":"${id}","released":${released},"degraded":false}`]
          )
        }
        isProblem(t, await acquire(user, id), ended, 'ended')
      }
      for (const body of [{ reason: 5 }, { extra: 1 }, '[]']) {
        t.equal((await send('POST', `${admission}/${user}-x/release`, body)).status, 400)
      }
    })

    t.test('of many have one result per item, in order', async (t) => {
      const [alice, bob] = [newUser(), newUser()]
      const id = (name: string) => `${alice}-${name}`
      for (const name of ['up', 'named', 'kept', 'later']) {
        await acquire(alice, id(name), { node: 'pbx-1', attempt: 2 })
      }
      await acquire(alice, id('elsewhere'), { node: 'pbx-2' })
      const items = [
        { session_id: id('up'), reason: 'hangup' },
        { session_id: 'a b', username: alice },
        { session_id: id('named'), username: alice, attempt: 2 },
        { session_id: id('kept'), username: bob },
        { session_id: id('later'), attempt: 1 },
        { session_id: id('elsewhere') },
        { session_id: id('never') },
        { session_id: id('up'), extra: 1 },
        null
      ]
      const { status, body } = await send('POST', `${admission}/release`, {
        sessions: items,
        node: 'pbx-1'
      })
      t.equal(status, 200)
      t.strictSame(
        body.results.map((one: { outcome: string; released: boolean }) =>
          [one.outcome, one.released]),
        [
          ['released', true],
          ['invalid', false],
          ['released', true],
          ['session_id_conflict', false],
          ['unknown', false],
          ['unknown', false],
          ['unknown', false],
          ['invalid', false],
          ['invalid', false]
        ]
      )
      t.strictSame(
        body.results.map((one: { session_id: string | null }) => one.session_id),
        items.map((item) => item?.session_id ?? null)
      )
      t.match(body.results[1].detail, /session_id/)
      t.strictSame(
        await listed(send, `username=${alice}`),
        ['elsewhere', 'kept', 'later'].map(id)
      )
      isProblem(t, await acquire(alice, id('never')), ended, 'never seen, and ended all the same')
    })

    t.test('of many are 400 for a malformed request', async (t) => {
      const item = { session_id: 'x' }
      for (const body of [
        {},
        '',
        [],
        { sessions: {} },
        { sessions: [item], node: 'a b' },
        { sessions: [item], extra: 1 },
        { sessions: Array.from({ length: 5001 }, () => item) }
      ]) {
        t.match(
          await send('POST', `${admission}/release`, body),
          { status: 400, body: { code: 'invalid_input' } },
          JSON.stringify(body).slice(0, 50)
        )
      }
      t.strictSame((await send('POST', `${admission}/release`, { sessions: [] })).body, {
        results: [],
        degraded: false
      })
    })
  })
}
