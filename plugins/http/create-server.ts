/**
 * The HTTP server, which takes no more connections, and no more requests of one, than it has room
 * for. A caller may send requests without waiting for answers (RFC 9112, 9.3.2), but only so many:
 * one packet has room for 2,000, which all others would wait for.
 */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyHttpOptions } from 'fastify'

/** The most requests of a connection that wait behind one that is not answered yet. */
const MOST_WAITING = 100
/** The most connections at one time. */
const MOST_CONNECTIONS = 10_000

/** The server that the framework makes, with these bounds. */
export function createHttpServer (
  handle: RequestListener,
  { http, keepAliveTimeout, requestTimeout, connectionTimeout }: FastifyHttpOptions<Server>
): Server {
  const waiting = new WeakMap<Socket, number>()
  const server = createServer(http ?? {}, (request, response) => {
    // An answer has no socket while another one has to be written before it.
    if (response.socket !== null) return handle(request, response)
    const { socket } = request
    const before = waiting.get(socket) ?? 0
    if (socket.destroyed || before >= MOST_WAITING) {
      socket.destroy()
      return
    }
    waiting.set(socket, before + 1)
    response.once('close', () => waiting.set(socket, (waiting.get(socket) ?? 1) - 1))
    handle(request, response)
  })
  server.maxConnections = MOST_CONNECTIONS
  // Whoever comes next finds room, unless all of them are at work.
  server.on('drop', () => server.closeIdleConnections())
  if (keepAliveTimeout !== undefined) server.keepAliveTimeout = keepAliveTimeout
  if (requestTimeout !== undefined) server.requestTimeout = requestTimeout
  return server.setTimeout(connectionTimeout)
}
