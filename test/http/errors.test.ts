/**
 * What is wrong with a request is told as a problem document; the paths, methods and queries that
 * there are.
 */
import t, { type Test } from 'tap'
import { ADMIN, type Answer, as, startApp } from '../helpers/app.ts'

const alice = '/api/sessions/limits/alice'
const bulk = '/api/sessions/limits/bulk'
const temporary = '/api/sessions/users/alice/temporary-limit'

/** Holds an answer to RFC 9457, and to the stable code that goes with its status. */
function isProblem (t: Test, answer: Answer, status: number, code: string): void {
  t.match(
    answer,
    {
      status,
      headers: { 'content-type': /^application\/problem\+json/ },
      body: { type: 'about:blank', status, code, title: String, detail: String }
    },
    `${status} ${code}`
  )
}

t.test('a body that is refused', async (t) => {
  const send = as(await startApp(t), ADMIN)

  t.test('is answered with the wrong places, at most twenty', async (t) => {
    for (const body of ['null', '{}', '{"limit":"5"}', '{"limit":1.5}', '{"limit":5,"extra":1}']) {
      const answer = await send('PUT', alice, body)
      isProblem(t, answer, 400, 'invalid_input')
      t.match(answer.body.errors, [{ path: /^body/, message: String }], body)
    }
    t.match((await send('PUT', alice, { limit: 5, extra: 1 })).body.errors, [
      { path: 'body/extra' }
    ])
    t.match((await send('PUT', alice, '{"limit":1,"limit":100}')).body.detail, 'twice')
    const { body } = await send('POST', bulk, {
      limits: Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`!${i}`, -1]))
    })
    t.equal(body.errors.length, 20)
    t.ok(body.detail.length <= 300, 'the detail is short')
  })

  t.test('leaves nothing of the body behind', async (t) => {
    isProblem(
      t,
      await send('POST', bulk, '{"limits":{"bob":3,"_default":5}}'),
      400,
      'invalid_input'
    )
    t.equal((await send('GET', '/api/sessions/limits/bob')).body.source, 'default')
  })
})

t.test('paths and methods', async (t) => {
  const app = await startApp(t)
  const send = as(app, ADMIN)

  t.test('a path that does not exist is 404, whatever the method', async (t) => {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const) {
      for (const url of [
        '/nothing',
        '/api',
        '/api/sessions/limits/alice/bob',
        '/API/sessions/limits',
        '//',
        '/api//sessions/limits'
      ]) {
        isProblem(t, await send(method, url), 404, 'not_found')
      }
    }
    isProblem(t, await as(app, null)('GET', '/nothing'), 404, 'not_found')
  })

  t.test('an unsupported method is 405 with the supported ones in Allow', async (t) => {
    for (const [method, url, allow] of [
      ['POST', '/api/sessions/counts/alice', 'GET, HEAD'],
      ['PATCH', alice, 'DELETE, GET, HEAD, PUT'],
      ['PATCH', bulk, 'DELETE, GET, HEAD, POST, PUT'],
      ['GET', temporary, 'DELETE, POST'],
      ['PUT', '/healthz/live', 'GET, HEAD'],
      ['OPTIONS', alice, 'DELETE, GET, HEAD, PUT'],
      ['DELETE', '/', 'GET, HEAD'],
      ['POST', '/openapi.json', 'GET, HEAD']
    ] as const) {
      const answer = await send(method, url)
      isProblem(t, answer, 405, 'method_not_allowed')
      t.equal(answer.headers.allow, allow)
    }
    t.equal((await send('PUT', bulk, { limit: 3 })).status, 200, 'a user may be named bulk')
    t.equal((await send('GET', bulk)).body.limit, 3)
    t.equal((await send('DELETE', bulk)).body.removed, true)
    const head = await send('HEAD', temporary)
    t.match(head, { status: 405, headers: { allow: 'DELETE, POST' }, text: '' })
  })

  t.test('HEAD is GET without a body', async (t) => {
    await send('PUT', alice, { limit: 7 })
    for (const url of [
      '/healthz/live',
      '/healthz/ready',
      '/health',
      '/openapi.json',
      alice,
      '/api/sessions/limits',
      '/api/sessions/limits?count=10',
      '/api/sessions/counts',
      '/api/sessions/counts/alice'
    ]) {
      const answer = await send('HEAD', url)
      t.match(
        answer,
        { status: 200, text: '', headers: { 'content-type': /^application\/json/ } },
        url
      )
    }
  })

  t.test(
    'probes may carry what query they like; the description of a route without one names none',
    async (t) => {
      t.equal((await send('GET', '/healthz/live?probe=1')).status, 200)
      const { body } = await send('GET', '/openapi.json')
      t.same(
        body.paths['/api/sessions/limits/{username}'].get.parameters.map(
          (one: { in: string }) => one.in
        ),
        ['path']
      )
    }
  )
})
