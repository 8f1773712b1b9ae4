/** The names that real switches send, on the memory store, on Redis and on a Cluster. */
import { Writable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import {
  ADMIN,
  as,
  startApp,
  startOwnApp,
  startOwnAppOnCluster,
  type Send
} from '../helpers/app.ts'
import { startCluster, startRedis } from '../helpers/servers.ts'

const redis = await startRedis(t)
const cluster = await startCluster(t, 3, 0)

const starts = {
  memory: async (t: Test) => await startApp(t),
  redis: async (t: Test) => await startOwnApp(t, redis),
  cluster: async (t: Test) => await startOwnAppOnCluster(t, cluster)
}

/** Every character that a username may have, and names that real systems use. */
const usernames = [
  'AZaz09-_.!~*\'()&=+$,;?/%@:[]#',
  '*72',
  '*97',
  "o'brien",
  '100%23',
  '%61lice',
  'a;phone-context=+1',
  'acme:100',
  '2001:db8::7',
  'alice@[2001:db8::7]:5060',
  'sip:alice@example.net;transport=tcp?x=y#z',
  'a/b',
  '...',
  'toString',
  'x'.repeat(256)
]

const sessionIds = [
  'x@[2001:db8::10]:5060',
  'a/b',
  'a!b',
  'x*y',
  'a(b)',
  '{5F2C1A}',
  '{}',
  '}{',
  'a%20b',
  '%2F',
  '!!:x*',
  '"<>\\^`{|}',
  'a?b=c#d',
  '...',
  '__proto__',
  'z'.repeat(512)
]

const path = encodeURIComponent

for (const [store, start] of Object.entries(starts)) {
  t.test(store, async (t) => {
    const app = await start(t)
    const send = as(app, ADMIN)

    t.test('a username may have every character of its alphabet', async (t) => {
      for (const username of usernames) await useUsername(t, send, username)
      const { user_limits: limits } = (await send('GET', '/api/sessions/limits')).body
      const page = (await send('GET', '/api/sessions/limits?count=1000')).body
      for (const username of usernames) {
        t.equal(limits[username], 7, `${username} is in the stream`)
        t.equal(page.user_limits[username], 7, `${username} is on the page`)
      }
    })

    t.test('a prefix is plain text, whatever it means in a pattern', async (t) => {
      for (const [prefix, matching] of [
        ['*', ['*72', '*97']],
        ['100%2523', ['100%23']],
        ['a%3B', ['a;phone-context=+1']],
        ['%5B', []],
        ['%3F', []]
      ] as Array<[string, string[]]>) {
        for (const count of ['', '&count=1000']) {
          const url = `/api/sessions/limits?prefix=${prefix}${count}`
          const { _default, ...found } = (await send('GET', url)).body.user_limits
          t.strictSame(Object.keys(found).sort(), matching, url)
        }
      }
    })

    t.test('a session id may be any printable ASCII', async (t) => {
      for (const id of sessionIds) await useSessionId(t, send, id)
    })

    t.test('names outside their alphabet are refused, and nothing changes', async (t) => {
      await refuseNames(t, send)
    })

    t.test('the host of a username is lower-cased wherever a name comes in', async (t) => {
      await spellHosts(t, app, send)
    })

    t.test('a plus in a query is a plus', async (t) => {
      const body = { username: '+4930123', session_id: '+1+2' }
      t.equal((await send('POST', '/api/sessions', body)).status, 201)
      for (const username of ['+4930123', '%2B4930123']) {
        const { body } = await send('GET', `/api/sessions/active?username=${username}`)
        t.strictSame(body.sessions.map((one: any) => one.session_id), ['+1+2'], username)
      }
      await send('PUT', '/api/sessions/limits/+4930123', { limit: 4 })
      const { body: list } = await send('GET', '/api/sessions/limits?prefix=+49')
      t.equal(list.user_limits['+4930123'], 4)
      const url = '/api/sessions/+1+2?username=+4930123'
      t.match(await send('DELETE', url), { status: 200, body: { released: true } })
    })

    t.test('an id that is also the word of a route works', async (t) => {
      for (const id of ['limits', 'counts', 'users', 'nodes', 'active', 'renew', 'sweep', 'bulk']) {
        const username = 'shadowed'
        const body = { username, session_id: id }
        t.equal((await send('POST', '/api/sessions', body)).status, 201, `${id} is admitted`)
        // `nodes/renew` is the report of a node called renew: such an id stands in the body.
        if (id !== 'nodes') {
          const renewed = await send('POST', `/api/sessions/${id}/renew`, { username })
          t.match(renewed, { status: 200, body: { session: { session_id: id } } }, `${id} renewed`)
        }
        const batch = await send('POST', '/api/sessions/renew', { sessions: [body] })
        t.match(batch, { status: 200, body: { results: [{ outcome: 'renewed' }] } }, id)
        const found = await send('GET', `/api/sessions/active?session_id=${id}`)
        t.strictSame(found.body.sessions.map((one: any) => one.session_id), [id], `${id} is found`)
        const released = await send('DELETE', `/api/sessions/${id}`)
        t.match(released, { status: 200, body: { released: true } }, `${id} is released`)
      }
      const wrong = await send('PATCH', '/api/sessions/limits/alice', {})
      t.match(wrong, { status: 405, headers: { allow: 'DELETE, GET, HEAD, PUT' } })
      t.equal((await send('POST', '/api/sessions/limits/alice', {})).status, 405)
      t.equal((await send('POST', '/api/nothing', {})).status, 404)
    })

    t.test('free text never refuses a call: it is cut and cleaned', async (t) => {
      const long = `<sip:${'x'.repeat(400)}>`
      const odd = 'a\u0000b\u001bc\u007fd\u0085e\u009ff\u2028g\u2029h'
      const details = { call_id: odd, from: long, to: `${'y'.repeat(255)}\u{1f600}` }
      const expected = {
        call_id: 'a b c d e f g h',
        from: long.slice(0, 256),
        to: 'y'.repeat(255)
      }
      const body = { username: 'texts', session_id: 'text-1', ...details }
      t.match(await send('POST', '/api/sessions', body), {
        status: 201,
        body: { session: expected }
      })
      const sessions = [{ username: 'texts', session_id: 'text-2', ...details }]
      const report = await send('PUT', '/api/sessions/nodes/texts', { epoch: 1, sessions })
      t.equal(report.status, 200)
      t.match((await send('GET', '/api/sessions/text-2')).body, expected)
      t.equal((await send('DELETE', '/api/sessions/text-1', { reason: long + odd })).status, 200)
      const url = '/api/sessions/users/texts/temporary-limit'
      const change = { limit: 1, duration: 60, reason: odd + long }
      t.equal((await send('POST', url, change)).status, 200)
      const { reason } = (await send('GET', '/api/sessions/limits/texts')).body
      t.equal(reason, `a b c d e f g h${long}`.slice(0, 256))
      t.equal((await send('DELETE', '/api/sessions/users/texts/sessions', { reason: long })).status,
        200)
    })
  })
}

t.test('a limit that another program stored under a foreign name', async (t) => {
  const app = await startOwnApp(t, redis)
  const send = as(app, ADMIN)
  const foreign = ['ren\u00e9', 'a b', 'a\nb', 'back\\slash', '{alice}', '<b>', '\u{1f600}']
  const spelt = 'Bob@Example.COM'
  for (const name of [...foreign, spelt]) {
    await app.redis.set(`${app.config.REDIS_KEY_PREFIX}user-limit:${name}`, '9')
  }
  const { user_limits: listed } = (await send('GET', '/api/sessions/limits')).body
  for (const name of [...foreign, spelt]) {
    const url = `/api/sessions/limits/${path(name)}`
    t.equal(listed[name], 9, `${name} is listed`)
    t.match(await send('GET', url), { status: 200, body: { username: name, limit: 9 } })
    t.equal((await send('GET', `/api/sessions/counts/${path(name)}`)).status, 200)
    t.equal((await send('GET', `/api/sessions/users/${path(name)}`)).status, 200)
    if (name !== spelt) t.equal((await send('PUT', url, { limit: 1 })).status, 400, 'is not set')
    t.match(await send('DELETE', url), { status: 200, body: { username: name, removed: true } })
    t.match(await send('DELETE', url), { status: 200, body: { removed: false } })
  }
  t.strictSame((await send('GET', '/api/sessions/limits')).body.user_limits, { _default: 5 })
})

t.test('a foreign name whose keys lie all over a Cluster puts nothing out', async (t) => {
  const app = await startOwnAppOnCluster(t, cluster)
  const send = as(app, ADMIN)
  const key = (family: string, name: string) =>
    `${app.config.REDIS_KEY_PREFIX}${family}:{${name}}`
  for (const name of ['}', '}x', '}{y}', 'a}b']) {
    const url = path(name)
    await app.redis.set(key('user-limit', name), '9')
    await app.redis.sadd(key('user-sessions', name), `up-${name}`)
    const json = JSON.stringify({ username: name, created_at: 1764150000 })
    await app.redis.set(`${app.config.REDIS_KEY_PREFIX}session:up-${name}`, json)
    t.strictSame((await send('GET', `/api/sessions/counts/${url}`)).body, {
      username: name, count: 1, limit: 9, available: 8, leases: 0, external: 1
    })
    t.match((await send('GET', '/api/sessions/counts')).body.counts, { [name]: 1 })
    t.match((await send('GET', `/api/sessions/users/${url}`)).body, { count: 1, sessions: [{}] })
    const ended = await send('DELETE', `/api/sessions/users/${url}/sessions`)
    t.match(ended, { status: 200, body: { degraded: false } })
    t.match(await send('GET', `/api/sessions/limits/${url}`), { body: { limit: 9 } })
    t.match(await send('DELETE', `/api/sessions/limits/${url}`), { body: { removed: true } })
    for (const other of ['bar', 'temporary-limit']) {
      const answer = await send('DELETE', `/api/sessions/users/${url}/${other}`)
      t.match(answer, { status: 200, body: { removed: false } })
    }
    await app.redis.del(key('user-sessions', name))
  }
  t.match((await send('GET', '/healthz/ready')).body.components.redis, { status: 'up' })
})

t.test('an index of ids that another program wrote to is no answer of its own', async (t) => {
  const app = await startOwnAppOnCluster(t, cluster)
  const send = as(app, ADMIN)
  await app.redis.lpush(`${app.config.REDIS_KEY_PREFIX}session-holder:odd`, 'x')
  t.equal((await send('GET', '/api/sessions/odd')).status, 404)
  t.match(await send('POST', '/api/sessions/odd/release'), { body: { released: false } })
})

t.test('a name cannot break a line of the log', async (t) => {
  let log = ''
  const stream = new Writable({
    write (chunk: Buffer, _encoding, done) {
      log += chunk.toString()
      done()
    }
  })
  const app = await startApp(t, {}, { logger: { level: 'info', stream } })
  const name = 'a\u2028b\u2029c\u0085d\u009be\u007ff\ng'
  await as(app, ADMIN)('DELETE', `/api/sessions/limits/${path(name)}`)
  const lines = log.trimEnd().split(/[\n\u0085\u2028\u2029\u009b\u007f]/)
  const records = lines.map((line) => JSON.parse(line))
  t.match(records.at(-1), { audit: { action: 'limit.remove', target: { username: name } } })
})

/** Sends a username through every route that takes one. */
async function useUsername (t: Test, send: Send, username: string): Promise<void> {
  const url = `/api/sessions/limits/${path(username)}`
  t.match(await send('PUT', url, { limit: 7 }), { status: 200, body: { username } }, username)
  t.match(await send('GET', url), { status: 200, body: { username, limit: 7 } })
  const session = { username, session_id: `${username.slice(0, 300)}-1`.replaceAll(' ', '') }
  t.match(await send('POST', '/api/sessions', session), { status: 201 }, username)
  const batch = await send('POST', '/api/sessions/renew', { sessions: [session] })
  t.match(batch.body.results, [{ username, result: 'renewed' }])
  const counts = await send('GET', `/api/sessions/counts/${path(username)}`)
  t.match(counts, { status: 200, body: { username, count: 1, limit: 7 } })
  const list = await send('GET', `/api/sessions/active?username=${path(username)}`)
  t.match(list.body.sessions, [{ username }])
  const temporary = `/api/sessions/users/${path(username)}/temporary-limit`
  t.equal((await send('POST', temporary, { limit: 3, duration: 60 })).status, 200)
  t.match(await send('DELETE', temporary), { status: 200, body: { removed: true } })
  const node = username.slice(0, 128)
  const report = await send('PUT', `/api/sessions/nodes/${path(node)}`, {
    epoch: 1,
    sessions: [session]
  })
  t.match(report, { status: 200, body: { renewed: 1 } }, `${node} is a node`)
  const onNode = await send('GET', `/api/sessions/active?node=${path(node)}`)
  t.match(onNode.body.sessions, [{ username, node }])
  const ended = await send('DELETE', `/api/sessions/users/${path(username)}/sessions`)
  t.match(ended, { status: 200, body: { terminated: [session.session_id] } })
}

/** Sends a session id through every route that takes one. */
async function useSessionId (t: Test, send: Send, id: string): Promise<void> {
  const username = 'ids'
  const url = `/api/sessions/${path(id)}`
  await send('PUT', '/api/sessions/limits/ids', { limit: 0 })
  const admitted = await send('POST', '/api/sessions', { username, session_id: id, node: 'ids' })
  t.match(admitted, { status: 201, body: { session: { session_id: id } } }, id)
  t.match(await send('GET', url), { status: 200, body: { session_id: id } })
  t.match(await send('POST', `${url}/renew`, { username }), { status: 200 })
  const report = { epoch: 1, sessions: [{ username, session_id: id }] }
  t.match(await send('PUT', '/api/sessions/nodes/ids', report), { body: { renewed: 1 } })
  t.match(await send('DELETE', `${url}?username=ids`), { status: 200, body: { released: true } })
  t.match(await send('DELETE', url), { status: 200, body: { released: false } })
}

async function refuseNames (t: Test, send: Send): Promise<void> {
  const before = (await send('GET', '/api/sessions/limits')).text
  const reserved = ['_default', '__proto__', 'prototype', 'constructor', '.', '..']
  const long = 'x'.repeat(257)
  for (const username of [...reserved, long, '', 'a b', 'a"b', 'a\\b', '{a}', 'a<b', 'ren\u00e9']) {
    const bodies: Array<[string, object]> = [
      ['/api/sessions', { username, session_id: 's' }],
      ['/api/sessions/s/renew', { username }],
      ['/api/sessions/limits/bulk', { limits: { [`${username}`]: 1 } }]
    ]
    for (const [url, body] of bodies) {
      const text = JSON.stringify(body)
      if (username === '__proto__' && url.endsWith('bulk')) continue
      t.match(await send('POST', url, text), { status: 400 }, `${username} at ${url}`)
    }
  }
  for (const name of ['_default', '__proto__', 'constructor', '%2e', '%2e%2e', long]) {
    for (const method of ['GET', 'DELETE'] as const) {
      const answer = await send(method, `/api/sessions/limits/${name}`)
      t.ok([400, 404, 405].includes(answer.status), `${method} ${name}: ${answer.status}`)
    }
  }
  for (const id of ['', 'a b', 'a\tb', 'caf\u00e9', 'z'.repeat(513)]) {
    const body = { username: 'ids', session_id: id }
    t.match(await send('POST', '/api/sessions', body), { status: 400 }, `the id ${id}`)
  }
  for (const node of ['.', '..', 'x'.repeat(129), 'a b']) {
    const body = { username: 'ids', session_id: 'n', node }
    t.match(await send('POST', '/api/sessions', body), { status: 400 }, `the node ${node}`)
  }
  t.equal((await send('GET', '/api/sessions/limits')).text, before, 'nothing changed')
}

async function spellHosts (t: Test, app: FastifyInstance, send: Send): Promise<void> {
  const one = 'Alice@example.com'
  t.match(await send('PUT', '/api/sessions/limits/Alice@EXAMPLE.com', { limit: 2 }), {
    body: { username: one }
  })
  const statuses: number[] = []
  const spellings = ['example.com', 'EXAMPLE.com', 'Example.Com']
  for (const [i, host] of [...spellings, ...spellings].entries()) {
    const body = { username: `Alice@${host}`, session_id: `spelt-${i}` }
    statuses.push((await send('POST', '/api/sessions', body)).status)
  }
  t.strictSame(statuses, [201, 201, 409, 409, 409, 409], 'no way round the limit')
  for (const url of [
    'counts/Alice@EXAMPLE.COM',
    'limits/Alice@EXAMPLE.COM',
    'users/Alice@EXAMPLE.COM'
  ]) {
    t.match((await send('GET', `/api/sessions/${url}`)).body, { username: one, limit: 2 }, url)
  }
  const other = { username: 'alice@example.com', session_id: 'spelt-9' }
  t.equal((await send('POST', '/api/sessions', other)).status, 201, 'the user part keeps its case')
  const list = await send('GET', '/api/sessions/active?username=Alice@Example.com')
  t.equal(list.body.sessions.length, 2)
  const batch = [{ username: 'Alice@EXAMPLE.com', session_id: 'spelt-0' }]
  const renewed = await send('POST', '/api/sessions/renew', { sessions: batch })
  t.match(renewed.body.results, [{ username: one, result: 'renewed' }])
  const report = await send('PUT', '/api/sessions/nodes/Spelt@HOST', { epoch: 1, sessions: batch })
  t.match(report.body, { renewed: 1, conflicts: [] })
  t.equal((await send('GET', '/api/sessions/active?node=Spelt@host')).body.sessions.length, 1)

  const owner = as(app, { sub: 'Alice@EXAMPLE.com' })
  t.equal((await owner('GET', '/api/sessions/counts/Alice@example.com')).status, 200)
  t.equal((await owner('GET', '/api/sessions/counts/alice@example.com')).status, 403)

  const bulk = await send('POST', '/api/sessions/limits/bulk', {
    limits: { 'Carol@EXAMPLE.com': 3, 'Alice@EXAMPLE.com': null }
  })
  t.match(bulk.body, { set: 1, removed: 1 })
  t.match((await send('GET', '/api/sessions/limits/Carol@example.com')).body, { limit: 3 })
  const twice = { limits: { 'Dan@A.example': 1, 'Dan@a.example': 2 } }
  t.equal((await send('POST', '/api/sessions/limits/bulk', twice)).status, 400, 'one user, once')
  const end = await send('DELETE', '/api/sessions/users/Alice@Example.COM/sessions')
  t.equal(end.body.terminated.length, 2)
}
