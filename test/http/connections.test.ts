/** Callers with many connections, or many requests on one, who read no answer, are bounded. */
import { once } from 'node:events'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { promisify } from 'node:util'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { ADMIN, as, listen, startApp, tokenFor } from '../helpers/app.ts'
import { sendRaw } from '../helpers/raw-http.ts'
import { waitFor } from '../helpers/wait.ts'

const MiB = 2 ** 20

/** Connects to the service, and sends a request so many times. */
async function ask (t: Test, app: FastifyInstance, path: string, times: number): Promise<Socket> {
  const { port } = app.addresses()[0] as AddressInfo
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  const head = `Host: x\r\nAuthorization: Bearer ${tokenFor(app, ADMIN)}\r\n\r\n`
  socket.write(`GET ${path} HTTP/1.1\r\n${head}`.repeat(times))
  return socket
}

const connections = async ({ server }: FastifyInstance) =>
  await promisify(server.getConnections.bind(server))()

const isLive = async (app: FastifyInstance) =>
  (await as(app, null)('GET', '/healthz/live')).status === 200

t.test('large answers that nobody reads', async (t) => {
  const app = await startApp(t)
  const values = Array.from({ length: 16 }, (_, i) => [`m${i}`, '~'.repeat(250)] as const)
  const metadata = Object.fromEntries(values)
  for (let part = 0; part < 4; part++) {
    const sessions = Array.from({ length: 250 }, (_, i) =>
      ({ session_id: `s${part}-${i}`, username: 'alice', metadata }))
    const body = { epoch: part + 1, sessions }
    t.equal((await as(app, ADMIN)('PUT', `/api/sessions/nodes/n${part}`, body)).status, 200)
  }
  await listen(app)
  const path = '/api/sessions/active?username=alice'
  const sockets: Socket[] = []
  for (let i = 0; i < 60; i++) sockets.push(await ask(t, app, path, 3))
  let most = 0
  await waitFor(async () => {
    most = Math.max(most, app.unreadAnswers.bytes)
    return most > 80 * MiB || (await connections(app)) < sockets.length
  }, { what: 'somebody to be cut off' })
  t.ok(most < 80 * MiB, `${most} bytes`)
  t.ok(await isLive(app))
  for (const one of sockets) one.destroy()
  await waitFor(() => app.unreadAnswers.bytes === 0, { what: 'all to be forgotten' })
})

t.test('requests of one connection that wait for each other', async (t) => {
  const app = await startApp(t)
  await listen(app)
  for (const [times, isCut] of [[90, false], [2_000, true]] as const) {
    const socket = await ask(t, app, '/healthz/live', times)
    let answers = 0
    socket.on('data', (chunk: Buffer) => {
      answers += chunk.toString().split('HTTP/1.1 200').length - 1
    })
    await waitFor(() => socket.destroyed || answers === times, { what: 'the answers' })
    t.equal(socket.destroyed, isCut, `${times} at once`)
    t.equal(answers === times, !isCut)
  }
  t.ok(await isLive(app))
})

t.test('connections that do nothing make room for others', async (t) => {
  const app = await startApp(t)
  await listen(app)
  t.equal(app.server.maxConnections, 10_000)
  app.server.maxConnections = 10
  const answered = async () => {
    const socket = await ask(t, app, '/healthz/live', 1)
    return await Promise.race([
      once(socket, 'data').then(() => true),
      once(socket, 'close').then(() => false)
    ])
  }
  for (let i = 0; i < 10; i++) t.ok(await answered())
  t.equal(await connections(app), 10)
  await waitFor(answered, { what: 'room for one more' })
  t.ok((await connections(app)) <= 10)
})

t.test('bytes that are no request, behind one that is', async (t) => {
  const app = await startApp(t)
  const port = Number(new URL(await listen(app)).port)
  const head = `Host: x\r\nAuthorization: Bearer ${tokenFor(app, ADMIN)}\r\n`
  const post = (id: string) => {
    const body = JSON.stringify({ username: 'alice', session_id: id })
    return `POST /api/sessions HTTP/1.1\r\n${head}Content-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`
  }
  const bad = {
    'no request': 'nonsense\r\n\r\n',
    'a body that is none':
      `PUT /api/sessions/nodes/n HTTP/1.1\r\n${head}Content-Type: application/json\r\n` +
      'Transfer-Encoding: chunked\r\n\r\nzz\r\n'
  }
  for (const [what, bytes] of Object.entries(bad)) {
    const id = what.replaceAll(' ', '-')
    const { head, body } = await sendRaw(port, post(`${id}-1`) + post(`${id}-2`) + bytes)
    const statuses = [...`${head}\r\n\r\n${body}`.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, one]) => one)
    t.strictSame(statuses, ['201', '201', '400'], `${what}: the answers come in their order`)
  }
})
