/** Large bodies are read when there is room for them; small ones wait for nothing. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { ADMIN, as, listen, startApp, tokenFor } from '../helpers/app.ts'
import { waitFor } from '../helpers/wait.ts'

const MiB = 2 ** 20

t.test('large bodies that do not come', async (t) => {
  const app = await startApp(t)
  const port = Number(new URL(await listen(app)).port)
  const sockets: Socket[] = []
  t.teardown(() => sockets.forEach((one) => one.destroy()))
  /** Begins a report of so many bytes, and sends no more than its head. */
  const begin = async (sub: string, length: string) => {
    const socket = connect(port, '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.write(
      'PUT /api/sessions/nodes/n HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' +
        `Authorization: Bearer ${tokenFor(app, { sub, role: 'switch' })}\r\n${length}\r\n\r\n`
    )
    return socket
  }
  const holds = async (used: number, waiting: number) =>
    await waitFor(() => {
      const { state } = app.largeBodies
      return state.used === used && state.waiting === waiting
    }, { what: `${used} bytes in use, and ${waiting} to wait` })

  await begin('a', `Content-Length: ${16 * MiB}`)
  await holds(16 * MiB, 0)
  for (let i = 1; i <= 8; i++) {
    await begin('a', 'Transfer-Encoding: chunked')
    await holds(16 * MiB, i)
  }
  const tooMany = await begin('a', `Content-Length: ${15 * MiB}`)
  const [answer] = (await once(tooMany, 'data')) as [Buffer]
  t.match(answer.toString(), /^HTTP\/1\.1 429 .*retry-after: 2\r\n/is)

  const small = { username: 'alice', session_id: 'call-1' }
  t.equal((await as(app, ADMIN)('POST', '/api/sessions', small)).status, 201)
  await begin('b', `Content-Length: ${17 * MiB}`)
  await begin('b', `Content-Length: ${10 * MiB}`)
  await holds(26 * MiB, 8)

  for (const one of sockets) one.destroy()
  await holds(0, 0)
  const body = JSON.stringify({ epoch: 1, sessions: [small] }).padEnd(MiB)
  t.equal((await as(app, ADMIN)('PUT', '/api/sessions/nodes/n', body)).status, 200)
  await holds(0, 0)
})
