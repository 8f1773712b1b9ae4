/** What is wrong with a request is told as a problem document, and nothing that is sent makes the service fail. */
import t, { type Test } from 'tap'
import { ADMIN, type Answer, as, listen, startApp, tokenFor } from './helpers/app.ts'
import { sendRaw } from './helpers/raw-http.ts'
import { startRedis } from './helpers/servers.ts'

const alice = '/api/sessions/limits/alice'
const bulk = '/api/sessions/limits/bulk'
const temporary = '/api/sessions/users/alice/temporary-limit'

/** Holds an answer to RFC 9457, and to the stable code that goes with its status. */
function isProblem (t: Test, answer: Answer, status: number, code: string): void {
  t.match(answer, { status, headers: { 'content-type': /^application\/problem\+json/ }, body: { type: 'about:blank', status, code } },
    `${status} ${code}`)
  t.equal(typeof answer.body?.title, 'string')
  t.equal(typeof answer.body?.detail, 'string')
  t.ok((answer.body?.detail.length ?? 0) <= 300, 'the detail is short')
  t.notMatch(answer.text, /\.(?:ts|js):\d|node_modules/, 'no stack trace')
}

function json (value: unknown): string {
  return JSON.stringify(value)
}

t.test('bodies', async (t) => {
  const app = await startApp(t)
  const send = as(app, ADMIN)

  t.test('what is not JSON is 400', async (t) => {
    for (const body of [
      '{', '{"limit": }', '{"limit": 5', '{"limit": 05}', '{limit: 5}', "{'limit': 5}", '{"limit": NaN}', 'limit=5',
      '{"limit":5}{"limit":6}',
      '\u0000', ' ', '{"limit":5,}', '{"limit":5}//', Buffer.from([0x80, 0xff]), Buffer.from('\ufeff\ufeff{"limit":5}')
    ]) isProblem(t, await send('PUT', alice, body), 400, 'invalid_input')
  })

  t.test('no body where one is needed is 400', async (t) => {
    isProblem(t, await send('PUT', alice, ''), 400, 'invalid_input')
    isProblem(t, await send('PUT', alice), 400, 'invalid_input')
    isProblem(t, await send('POST', bulk, ''), 400, 'invalid_input')
  })

  t.test('another shape is 400 and names the place', async (t) => {
    for (const body of ['null', '[]', '5', '"5"', 'true', '{}', '{"limit":null}', '{"limit":true}', '{"limit":"5"}', '{"limit":[5]}',
      '{"limit":{}}', '{"limit":1.5}', '{"limit":-1}', '{"limit":1000001}', '{"limit":1e308}', '{"limit":5,"extra":1}']) {
      const answer = await send('PUT', alice, body)
      isProblem(t, answer, 400, 'invalid_input')
      t.match(answer.body.errors, [{ path: /^body/, message: String }], body)
    }
    const { body } = await send('PUT', alice, { limit: 5, extra: 1 })
    t.match(body.errors, [{ path: 'body/extra' }])
    t.equal((await send('POST', bulk, {
      limits: Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`!${i}`,
        -1]))
    })).body.errors.length, 20)
  })

  t.test('a byte order mark before JSON is passed over', async (t) => {
    t.equal((await send('PUT', alice, Buffer.from('\ufeff{"limit":5}'))).status, 200)
  })

  t.test('a body that reaches for a prototype is 400 and reaches none', async (t) => {
    for (const body of [
      '{"limit":5,"__proto__":{"polluted":1}}', '{"__proto__":{"limit":5}}', '{"limit":5,"\\u005f\\u005fproto__":{"polluted":1}}',
      '{"limit":5,"constructor":{"prototype":{"polluted":1}}}', '{"limit":{"__proto__":{"polluted":1}}}'
    ]) isProblem(t, await send('PUT', alice, body), 400, 'invalid_input')
    for (const name of ['__proto__', 'constructor', 'prototype', '_default']) {
      isProblem(t, await send('POST', bulk, `{"limits":{"bob":3,"${name}":5}}`), 400, 'invalid_input')
      isProblem(t, await send('PUT', `/api/sessions/limits/${name}`, { limit: 5 }), 400, 'invalid_input')
    }
    isProblem(t, await send('POST', bulk, '{"limits":{"__proto__":{"prototype":{"polluted":1}}}}'), 400, 'invalid_input')
    t.notOk('polluted' in {}, 'the prototype is as it was')
    t.same(Object.keys(Object.prototype), [])
    t.equal((await send('GET', '/api/sessions/limits/bob')).body.source, 'default', 'nothing of a refused body was kept')
  })

  t.test('a member that is named twice is 400: readers disagree on which one counts', async (t) => {
    for (const [url, body] of [
      [alice, '{"limit":1,"limit":100}'], [alice, '{"limit":1,"l\\u0069mit":100}'], [bulk, '{"limits":{"bob":1,"bob":2}}'],
      [bulk, '{"limits":{"bob":1},"limits":{}}']
    ] as const) {
      const method = url === alice ? 'PUT' : 'POST'
      const answer = await send(method, url, body)
      isProblem(t, answer, 400, 'invalid_input')
      t.match(answer.body.detail, 'twice')
    }
    t.equal((await send('POST', temporary, '{"limit":1,"duration":60,"reason":"\\"limit\\":1 {\\"limit\\":2 ["}')).status, 200,
      'text that looks like it is no member')
  })

  t.test('depth is 400, however deep', async (t) => {
    for (const depth of [33, 1_000, 100_000, 500_000]) {
      for (const [open, close] of [['[', ']'], ['{"a":', '}']] as const) {
        const text = `{"limits":${open.repeat(depth)}1${close.repeat(depth)}}`
        const answer = await send('POST', bulk, text)
        if (text.length > 2 * 1024 * 1024) isProblem(t, answer, 413, 'payload_too_large')
        else isProblem(t, answer, 400, 'invalid_input')
      }
    }
    isProblem(t, await send('POST', bulk, `{"limits":${'['.repeat(100_000)}`), 400, 'invalid_input')
  })

  t.test('a large body is 413', async (t) => {
    isProblem(t, await send('PUT', alice, json({ limit: 5, extra: 'x'.repeat(70_000) })), 413, 'payload_too_large')
    isProblem(t, await send('POST', bulk, json({ limits: { ['a'.repeat(2_100_000)]: 5 } })), 413, 'payload_too_large')
    isProblem(t, await send('POST', bulk, json({ limits: { ['a'.repeat(2_000_000)]: 5 } })), 400, 'invalid_input')
  })

  t.test('a body of another type is 415', async (t) => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml', 'json',
      ';;;',
      'application/jsonp', 'application/json-patch+json', `application/${'x'.repeat(2000)}`]) {
      isProblem(t, await send('PUT', alice, '{"limit":5}', { 'content-type': type }), 415, 'unsupported_media_type')
    }
    for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON']) {
      t.equal((await send('PUT', alice, '{"limit":5}', { 'content-type': type })).status, 200, type)
    }
    t.equal((await send('DELETE', alice, '', { 'content-type': 'application/json' })).status, 200, 'an empty body is none')
  })

  t.test('a compressed body is not JSON', async (t) => {
    isProblem(t, await send('PUT', alice, Buffer.from([0x1f, 0x8b, 8, 0]), { 'content-encoding': 'gzip' }), 400, 'invalid_input')
  })
})

t.test('paths and queries', async (t) => {
  const app = await startApp(t)
  const send = as(app, ADMIN)

  t.test('a path that does not exist is 404, whatever the method', async (t) => {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'] as const) {
      for (const url of ['/nothing', '/api', '/api/sessions/limits/alice/bob', '/API/sessions/limits', '/api/sessions/limits/', '//',
        '/api//sessions/limits']) {
        const { status } = await send(method, url)
        t.ok([400, 404].includes(status) || (status === 405 && url.endsWith('/limits/')), `${method} ${url} is ${status}`)
      }
    }
    isProblem(t, await send('GET', '/nothing'), 404, 'not_found')
    isProblem(t, await as(app, null)('GET', '/nothing'), 404, 'not_found')
  })

  t.test('a method that a path does not have is 405 and told what it has', async (t) => {
    for (const [method, url, allow] of [
      ['POST', '/api/sessions/counts/alice', 'GET, HEAD'], ['PATCH', alice, 'DELETE, GET, HEAD, PUT'], ['PATCH', bulk,
        'DELETE, GET, HEAD, POST, PUT'],
      ['GET', temporary, 'DELETE, POST'], ['PUT', '/healthz/live', 'GET, HEAD'], ['OPTIONS', alice, 'DELETE, GET, HEAD, PUT'],
      ['DELETE', '/', 'GET, HEAD'], ['POST', '/openapi.json', 'GET, HEAD']
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

  t.test('a header that names another method is ignored', async (t) => {
    await send('PUT', alice, { limit: 7 })
    for (const header of ['x-http-method-override', 'x-method-override', 'x-http-method']) {
      t.equal((await send('GET', alice, undefined, { [header]: 'DELETE' })).body.limit, 7)
      isProblem(t, await send('POST', alice, { limit: 9 }, { [header]: 'PUT' }), 405, 'method_not_allowed')
    }
    t.equal((await send('GET', `${alice}`)).body.limit, 7)
  })

  t.test('HEAD is GET without a body', async (t) => {
    await send('PUT', alice, { limit: 7 })
    for (const url of ['/healthz/live', '/healthz/ready', '/health', '/openapi.json', alice, '/api/sessions/limits',
      '/api/sessions/limits?count=10',
      '/api/sessions/counts', '/api/sessions/counts/alice']) {
      const answer = await send('HEAD', url)
      t.match(answer, { status: 200, text: '', headers: { 'content-type': /^application\/json/ } }, url)
    }
  })

  t.test('names that are none are 400 and reach no store', async (t) => {
    for (const name of [
      'a'.repeat(129), '%00', 'a%00b', 'a%0d%0aSet-Cookie:x', 'a%2fb', '..%2f..%2fetc', '%2e%2e', 'a%20b', 'a*', '%7B%7D', 'a:b',
      '%F0%9F%98%80', '%C3%A4',
      'a%25b', "a'b", 'a"b', 'a,b', 'a;b', 'a[b]', '_default', '__proto__', '%5f%5fproto__', 'constructor', 'prototype'
    ]) {
      for (const path of ['/api/sessions/limits/', '/api/sessions/counts/']) {
        const answer = await send('GET', path + name)
        t.ok([400, 404].includes(answer.status), `${name} is ${answer.status}`)
        t.equal(answer.body.status, answer.status, 'as a problem document')
        t.notOk('set-cookie' in answer.headers)
      }
      const { status } = await send('PUT', `/api/sessions/limits/${name}`, { limit: 5 })
      t.ok([400, 404, 405].includes(status), `PUT ${name} is ${status}`)
    }
    t.same((await send('GET', '/api/sessions/limits')).body.user_limits, { _default: 5, alice: 7 })
    t.equal((await send('GET', `/api/sessions/limits/${'a'.repeat(128)}`)).status, 200, '128 characters are a name')
  })

  t.test('percent signs that are no escapes are 400', async (t) => {
    for (const name of ['%', '%zz', '%e0%a4%a', '%ff', '%c0%ae', '%u0041', 'a%2']) {
      isProblem(t, await send('GET', `/api/sessions/limits/${name}`), 400, 'invalid_input')
    }
  })

  t.test('a very long name is 414', async (t) => {
    isProblem(t, await send('GET', `/api/sessions/limits/${'a'.repeat(3_000)}`), 414, 'uri_too_long')
    isProblem(t, await send('PUT', `/api/sessions/limits/${'%61'.repeat(3_000)}`, { limit: 1 }), 414, 'uri_too_long')
  })

  t.test('what a query may not have is 400', async (t) => {
    for (const url of [
      '/api/sessions/limits?page=1', '/api/sessions/limits?count=0', '/api/sessions/limits?count=1001', '/api/sessions/limits?count=1.5',
      '/api/sessions/limits?count=', '/api/sessions/limits?count=ten', '/api/sessions/limits?count=1&count=2',
      '/api/sessions/limits?cursor=!!',
      '/api/sessions/limits?cursor=bm9uZQ', '/api/sessions/limits?cursor=AAAA', '/api/sessions/limits?prefix=%00',
      '/api/sessions/limits?prefix=*',
      '/api/sessions/limits?__proto__=1', '/api/sessions/limits?constructor=1', '/api/sessions/limits?prefix=%zz',
      '/api/sessions/limits?token=x',
      '/api/sessions/counts?limit=1', '/api/sessions/counts?count=-1', `${alice}?unknown=1`, '/api/sessions/counts/alice?unknown=1'
    ]) isProblem(t, await send('GET', url), 400, 'invalid_input')
    isProblem(t, await send('PUT', `${alice}?dry_run=true`, { limit: 5 }), 400, 'invalid_input')
    isProblem(t, await send('DELETE', `${alice}?force=1`), 400, 'invalid_input')
    t.equal((await send('GET', alice)).body.limit, 7, 'and changes nothing')
    t.equal((await send('GET', '/healthz/live?probe=1')).status, 200, 'probes may carry what they like')
    t.notOk('1' in {} || Object.keys(Object.prototype).length > 0, 'the prototype is as it was')
  })

  t.test('the documented description of a route without a query names none', async (t) => {
    const { body } = await send('GET', '/openapi.json')
    t.same(body.paths['/api/sessions/limits/{username}'].get.parameters.map((one: { in: string }) => one.in), ['path'])
  })
})

t.test('names that the URL lets through reach no key but their own', async (t) => {
  const redis = await startRedis(t)
  const app = await startApp(t, { REDIS_URL: redis.url })
  const send = as(app, ADMIN)
  for (const name of ['%7Balice%7D', 'a%0d%0aSET%20x%201', '*', 'a:b', '%2e%2e']) {
    for (const [method, body] of [['GET', undefined], ['PUT', { limit: 5 }], ['DELETE', undefined]] as const) {
      await send(method, `/api/sessions/limits/${name}`, body)
    }
  }
  t.equal(await redis.cli('KEYS', '*user-limit*'), '')
  for (const name of ['a~b', 'a%2Bb', 'a%40b.example', 'A', '...', '-rf', '%61lice']) {
    t.equal((await send('PUT', `/api/sessions/limits/${name}`, { limit: 5 })).status, 200, name)
  }
  t.same((await redis.cli('KEYS', '*user-*')).split('\n').sort(), [
    'voice-ferry-c4:user-limit:-rf', 'voice-ferry-c4:user-limit:...', 'voice-ferry-c4:user-limit:A', 'voice-ferry-c4:user-limit:a+b',
    'voice-ferry-c4:user-limit:a@b.example', 'voice-ferry-c4:user-limit:alice', 'voice-ferry-c4:user-limit:a~b'
  ])
})

t.test('on the wire', async (t) => {
  const app = await startApp(t)
  const port = Number(new URL(await listen(app)).port)
  const authorization = `Authorization: Bearer ${tokenFor(app, ADMIN)}\r\n`
  const head = `Host: localhost\r\n${authorization}Connection: close\r\n`
  const body = '{"limit":5}'

  t.test('a healthy request is answered', async (t) => {
    t.match(await sendRaw(port, `GET ${alice} HTTP/1.1\r\n${head}\r\n`), { status: 200, body: /"username":"alice"/ })
  })

  t.test('what is not HTTP is 400, as a problem document, and the connection ends', async (t) => {
    for (const bytes of [
      'nonsense\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00', 'GET\r\n\r\n', `GET ${alice} HTTP/9.9\r\n${head}\r\n`,
        `GET ${alice} FTP/1.1\r\n\r\n`,
      `G\x00T / HTTP/1.1\r\n${head}\r\n`, `GET /a b HTTP/1.1\r\n${head}\r\n`, 'GET / HTTP/1.1\r\nHost localhost\r\n\r\n',
      `GET / HTTP/1.1\r\n${head}Bad Header: x\r\n\r\n`, `GET / HTTP/1.1\r\n${head}X: a\x00b\r\n\r\n`,
        `GET / HTTP/1.1\r\n${head} folded: x\r\n\r\n`,
      `PUT ${alice} HTTP/1.1\r\n${head}Content-Length: ten\r\n\r\n${body}`,
        `PUT ${alice} HTTP/1.1\r\n${head}Content-Length: -1\r\n\r\n${body}`,
      `BREW / HTTP/1.1\r\n${head}\r\n`, `PUT ${alice} HTTP/1.1\r\n${head}Content-Length: 11\r\nContent-Length: 12\r\n\r\n${body}`
    ]) {
      const answer = await sendRaw(port, Buffer.from(bytes, 'latin1'))
      t.equal(answer.status, 400, JSON.stringify(bytes.slice(0, 60)))
      t.match(answer.head, /^content-type: application\/problem\+json/mi)
      t.match(JSON.parse(answer.body), { status: 400, code: 'invalid_input' })
    }
  })

  t.test('a request cannot hide another one in its body', async (t) => {
    const smuggled = `DELETE ${alice} HTTP/1.1\r\n${head}\r\n`
    const put = `PUT ${alice} HTTP/1.1\r\nHost: localhost\r\n${authorization}Content-Type: application/json\r\n`
    await as(app, ADMIN)('PUT', alice, { limit: 8 })
    for (const bytes of [
      `${put}Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      `${put}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
      `${put}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
      `${put}Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n${smuggled}`,
      `${put}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`,
      `${put}Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n${smuggled}`,
      `${put}Content-Length: 0\n\n${smuggled}`
    ]) {
      const answer = await sendRaw(port, bytes)
      t.equal(answer.status, 400, JSON.stringify(bytes.slice(put.length, put.length + 60)))
      t.notMatch(answer.body, 'HTTP/1.1 200', 'what was hidden is not answered')
    }
    t.equal((await as(app, ADMIN)('GET', alice)).body.limit, 8)
  })

  t.test('headers that are too large are 431', async (t) => {
    for (const bytes of [`GET / HTTP/1.1\r\n${head}X: ${'x'.repeat(20_000)}\r\n\r\n`,
      `GET /${'x'.repeat(20_000)} HTTP/1.1\r\n${head}\r\n`]) {
      const answer = await sendRaw(port, bytes)
      t.equal(answer.status, 431)
      t.match(JSON.parse(answer.body), { status: 431, code: 'headers_too_large' })
    }
  })

  t.test('a request without a host is refused', async (t) => {
    t.equal((await sendRaw(port, `GET ${alice} HTTP/1.1\r\n${authorization}Connection: close\r\n\r\n`)).status, 400)
  })

  t.test('methods that are not for an API are refused', async (t) => {
    for (const method of ['TRACE', 'OPTIONS']) {
      const answer = await sendRaw(port, `${method} ${alice} HTTP/1.1\r\n${head}\r\n`)
      t.equal(answer.status, 405, method)
      t.notMatch(answer.body, 'Bearer ey', 'the token is not echoed')
    }
    for (const method of ['CONNECT', 'QUERY', 'PROPFIND', 'PURGE', 'LINK', 'M-SEARCH']) {
      const { status } = await sendRaw(port, `${method} ${alice} HTTP/1.1\r\n${head}\r\n`)
      t.ok([0, 400, 404, 405].includes(status), `${method} is ${status}`)
    }
    t.ok([200, 400, 404].includes((await sendRaw(port,
      `GET ${alice} HTTP/1.1\r\n${head.replace('close', 'Upgrade')}Upgrade: websocket\r\n\r\n`)).status))
  })

  t.test('a body without a type is 415, one that ends early is no write', async (t) => {
    const answer = await sendRaw(port, `PUT ${alice} HTTP/1.1\r\n${head}Content-Length: ${body.length}\r\n\r\n${body}`)
    t.match([answer.status, JSON.parse(answer.body).code], [415, 'unsupported_media_type'])
    await sendRaw(port, `PUT ${alice} HTTP/1.1\r\nContent-Type: application/json\r\n${head}Content-Length: 5\r\n\r\n${body}`)
    t.equal((await as(app, ADMIN)('GET', alice)).body.limit, 8)
  })

  t.test('an unmet expectation is 417', async (t) => {
    t.equal((await sendRaw(port, `GET ${alice} HTTP/1.1\r\n${head}Expect: miracles\r\n\r\n`)).status, 417)
  })

  t.test('the service goes on after all that', async (t) => {
    t.match(await sendRaw(port, `GET /healthz/live HTTP/1.1\r\n${head}\r\n`), { status: 200 })
  })
})
