/** Answers bytes that are not an HTTP request, and closes the connection. */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ConnectionError } from 'fastify'
import { FRAMEWORK_CODES, problemDocument } from '../errors.ts'

/** The statuses of what the HTTP parser refuses, where that is not 400. */
const CONNECTION_STATUS: Record<string, number> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431
}

/** A connection, and the answer that Node is to write there next. The name is Node's own. */
type Connection = Socket & { _httpMessage?: ServerResponse<IncomingMessage> | null }

/** Connections whose earlier requests are answered first. */
const closing = new WeakSet<Socket>()

/**
 * Refuses what came, when all that came before is answered: whoever sent a whole request would take
 * the refusal for its answer, and the request may have changed something.
 */
export function handleClientError (error: ConnectionError, socket: Connection): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy(error)
    return
  }
  if (!closing.has(socket)) refuse(error, socket)
}

function refuse (error: ConnectionError, socket: Connection): void {
  const before = socket._httpMessage
  if (socket.writable && before?.req.complete === true && !before.closed) {
    closing.add(socket)
    socket.pause()
    before.once('close', () => refuse(error, socket))
    return
  }
  if (socket.writable) socket.write(refusal(error.code))
  socket.destroy(error)
}

function refusal (errorCode: string): string {
  const status = CONNECTION_STATUS[errorCode] ?? 400
  const body = JSON.stringify(
    problemDocument({
      status,
      code: FRAMEWORK_CODES[status] ?? 'invalid_input',
      detail: 'The bytes received are not a valid HTTP request.'
    })
  )
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/problem+json\r\n` +
    `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`
  )
}
